"""The classification task."""

from paddle_ft.tasks.classification.task import Classification as TASK

__all__ = ["TASK"]
