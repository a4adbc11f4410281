"""Test what the base class of tasks says that a task must define."""

import inspect

from paddle_ft.tasks.base import Task


def test_required_methods_are_those_without_a_default():
    methods = {name: inspect.getsource(value) for name, value in vars(Task).items() if inspect.isfunction(value)}
    without_default = {name for name, source in methods.items() if "raise NotImplementedError" in source}
    assert set(Task.REQUIRED) == without_default - {"generate"}
