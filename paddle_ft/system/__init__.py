"""What the program needs of its surroundings: errors, processor set-up, progress, and the checks of the doctor."""
