"""Load models into tasks, as training and inference do."""

from pathlib import Path

from paddle_ft.models.adapt import adapt_model
from paddle_ft.models.bundle import load_bundle, reload_bundle


def give_model(task, folder: Path, rows=None):
    """Load or build the model of the task's configuration. Return the task."""
    bundle = load_bundle(task.config.model, task.model_request(rows), folder)
    task.set_model(adapt_model(bundle, task.config, for_training=True))
    return task


def reload_model(task, directory: Path):
    """Load the model of a run's checkpoint. Return the task."""
    task.set_model(adapt_model(reload_bundle(task.head_type, directory), task.config))
    return task
