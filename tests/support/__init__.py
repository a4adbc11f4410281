"""Models, rows and helpers for several tests. Tests import from here and not from each other."""
