"""The lowest room: errors, processor set-up, progress, plugins, and the checks of the doctor. It imports no other room."""
