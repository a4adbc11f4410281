"""Find tasks: how rows become batches, a loss, scores and predictions.

Each task is a module or folder here that defines TASK, or a user's own module named with --import.

Importing a task must not import Paddle.
"""

from __future__ import annotations

from paddle_ft.config.load import NO_TASKS
from paddle_ft.system.plugins import find_plugin, plugin_names


def task_names() -> list[str]:
    """Return the names that task.name may have."""
    return plugin_names(__name__, "TASK", without=NO_TASKS)


def find_task(name: str):
    """Return the task class of that name. A user's own class replaces ours of the same name."""
    return find_plugin(__name__, "TASK", name)
