"""Test which methods a task must define."""

import inspect
import re

from paddle_ft.tasks.base import Task


def test_the_docstring_names_the_methods_that_a_task_must_define():
    methods = {name: inspect.getsource(value) for name, value in vars(Task).items() if inspect.isfunction(value)}
    required = {name for name, source in methods.items() if "raise NotImplementedError" in source} - {"generate"}
    sentence = re.search(r"A task defines nine methods: (.*?)\.", inspect.getdoc(Task), re.DOTALL)[1]
    assert set(re.findall(r"\w+", sentence)) - {"and"} == required
    assert len(required) == 9
