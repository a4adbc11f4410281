"""The masked_lm task."""

from paddle_ft.tasks.masked_lm.task import MaskedLM as TASK

__all__ = ["TASK"]
