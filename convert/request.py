"""Define what a user can say about a checkpoint that is converted to Paddle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What the user says about a checkpoint.

    Attributes:
        task: A task name, or "auto" for the checkpoint's own.
        model_type: The architecture, for a config.json that does not say it.
        keep_fields: Unknown configuration fields that do not change what the model computes.
        drop: Patterns of the names of tensors that are left out, such as "cls.species.*".
        base: The model that an adapter was trained on.
    """

    task: str = "auto"
    model_type: str | None = None
    keep_fields: Sequence[str] = ()
    drop: Sequence[str] = ()
    base: Path | None = None
