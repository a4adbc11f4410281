"""Code that several tasks share. No module of this folder is a task."""
