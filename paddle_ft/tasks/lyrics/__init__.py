"""The lyrics task."""

from paddle_ft.tasks.lyrics.task import Lyrics as TASK

__all__ = ["TASK"]
