"""What the search needs of a model."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Adapter(Protocol):
    """One architecture's weights as one-token steps. Rows are item-major: row = item * group + place in the group.

    Shapes: i items, p tokens, g rows of a group.
    """

    encoder_decoder: bool
    eos_token_id: int | None
    pad_token_id: int

    def first_ids(self, input_ids: np.ndarray) -> np.ndarray:
        """Return the ids [i, p] that the decoder starts from, which count in max_length."""

    def check_lengths(self, attention_mask: np.ndarray, max_length: int) -> None:
        """Raise UserError if the model has too few positions."""

    def prepare(self, input_ids: np.ndarray, attention_mask: np.ndarray, group: int) -> State:
        """Read the whole input but the last of `first_ids`, for `group` continuations of each row."""

    def step(self, tokens: np.ndarray, state: State):
        """Feed one token a row ([i * g]) and return float32 logits [i * g, vocabulary]."""


class State(Protocol):
    """What an adapter keeps between the steps of one batch."""

    def reorder(self, parents: np.ndarray) -> None:
        """Let place b of item i go on from place parents[i, b]; parents is [i, g]."""

    def keep(self, items: np.ndarray) -> None:
        """Drop all items but these, given by their places among the current ones."""
