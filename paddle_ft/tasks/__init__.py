"""The tasks: one file each, found by looking at this folder. Importing a task's file must not import paddle."""

from __future__ import annotations

import importlib
import pkgutil

_NOT_TASKS = {"base", "shared"}


def task_names() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_TASKS)


def find_task(name: str):
    """The task class in paddle_ft/tasks/NAME.py, which calls it TASK."""
    return importlib.import_module(f"{__name__}.{name}").TASK
