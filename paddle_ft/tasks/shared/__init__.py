"""What several tasks share. Nothing in this folder is a task of its own."""
