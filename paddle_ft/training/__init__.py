"""Train a model as a configuration says: setup, steps, evaluation, checkpoints, and several processes."""
