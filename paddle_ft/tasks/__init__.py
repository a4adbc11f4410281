"""The tasks: one module or folder each, which defines TASK. Importing a task must not import paddle.

A user's own task is a class like those here, published as TASK by a module that is named with --import.
"""

from __future__ import annotations

from paddle_ft.system.plugins import find_plugin, plugin_names

NO_TASKS = ("base", "shared")


def task_names() -> list[str]:
    """Return the names that task.name may have."""
    return plugin_names(__name__, "TASK", without=NO_TASKS)


def find_task(name: str):
    """Return the task class of that name; a user's own comes before ours."""
    return find_plugin(__name__, "TASK", name)
