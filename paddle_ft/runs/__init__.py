"""The directory of a run, and the uses of a finished run: evaluation, prediction, generation, comparison over seeds."""
