"""Define what a task asks of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelRequest:
    """What a task needs of the model that is loaded or built for it.

    Attributes:
        head_type: which of the architecture's model classes to use, a key of Architecture.model_classes.
        texts: the training texts, for building a new tokenizer if none is loaded.
        special_tokens: tokens to add to the vocabulary, in the form of the tokenizer's add_special_tokens:
            {"bos_token": "<BOS>", "additional_special_tokens": [...]}.
        settings: what to set in the model's configuration (classes and head of a classifier); None changes nothing.
    """

    head_type: str
    texts: Iterable[str] = ()
    special_tokens: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] | None = None
