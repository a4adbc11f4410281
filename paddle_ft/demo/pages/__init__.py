"""Pages that fit one task. A task names its page in `demo_page`; a task without one has the page for all tasks."""

from __future__ import annotations

import importlib

from paddle_ft.demo.page import DemoPage, LoadedRun


def make_page(run: LoadedRun) -> DemoPage:
    """Return the page of a run: the one that its task names, or the one for all tasks."""
    name = run.task.demo_page
    return importlib.import_module(f"{__name__}.{name}").PAGE(run) if name else DemoPage(run)
