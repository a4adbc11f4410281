"""What a task asks of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelRequest:
    """What a task needs of a model that is loaded or built for it.

    Attributes:
        head_type: which of an architecture's model classes; a key of Architecture.model_classes.
        texts: training texts, which a new tokenizer is built from where there is none.
        special_tokens: tokens added to the vocabulary, as the tokenizer's add_special_tokens takes them:
            {"bos_token": "<BOS>", "additional_special_tokens": [...]}.
        settings: what the task sets in the model's configuration (classes, head of a classifier); None changes nothing.
    """

    head_type: str
    texts: Iterable[str] = ()
    special_tokens: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] | None = None
