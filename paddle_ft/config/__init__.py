"""The configuration: its schema, recipes and overrides, error messages, and what --print-config shows."""
