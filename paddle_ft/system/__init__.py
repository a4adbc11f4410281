"""The lowest layer: errors, CPU settings, progress bars, plugins and the doctor. It imports no other package of paddle_ft."""
