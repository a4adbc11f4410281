"""Notice that a model writes nothing, which scores alone do not say, and tell what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paddle_ft.tasks.base import Task

FORCED_LENGTH = 8  # tokens that the advice makes the model write


def is_empty(row: dict[str, Any]) -> bool:
    """Return whether the prediction of a row is empty."""
    return not str(row.get("prediction", row)).strip()


def are_all_empty(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether there are predictions and all of them are empty."""
    return bool(rows) and all(is_empty(row) for row in rows)


def describe_empty(task: Task, where: str, count: int) -> str:
    """Return the lines for the user of a model that wrote nothing.

    Args:
        task: the task.
        where: what was predicted, for example the name of a split.
        count: number of predictions.
    """
    text = (
        f"{where}: all {count:,} predictions are empty, because the model ends every text at once. After few training steps this is"
        " usual: train longer. Otherwise look at the examples that train.py --check prints: are the targets right? Then try another"
        " train.learning_rate."
    )
    if hasattr(task.options, "min_target_length"):
        text += f" To see what it would write: task.min_target_length={FORCED_LENGTH}."
    return text
