"""Find tasks: how rows become batches, a loss, scores and predictions.

Each task is a module or folder here that defines TASK, or a user's own module named with --import.

Importing a task must not import Paddle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_ft.config.load import NO_TASKS
from paddle_ft.system.plugins import find_plugin, plugin_names

if TYPE_CHECKING:
    from paddle_ft.tasks.base import Flag


def task_names() -> list[str]:
    """Return the names that task.name may have."""
    return plugin_names(__name__, "TASK", without=NO_TASKS)


def find_task(name: str):
    """Return the task class of that name. A user's own class replaces ours of the same name."""
    return find_plugin(__name__, "TASK", name)


def generation_flags() -> dict[str, tuple[Flag, ...]]:
    """Return task -> its own flags of `generate`, for the tasks that have such flags."""
    flags = {name: find_task(name).generation_flags for name in task_names()}
    return {name: task_flags for name, task_flags in flags.items() if task_flags}
