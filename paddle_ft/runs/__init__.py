"""The directory of a run, and what a finished run is used for."""
