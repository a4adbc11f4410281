"""What the search needs of a model."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Adapter(Protocol):
    """One architecture's weights as one-token steps. Rows are item-major: row = item * group + place in the group."""

    encoder_decoder: bool
    eos_token_id: int | None
    pad_token_id: int

    def first_ids(self, input_ids: np.ndarray) -> np.ndarray:
        """[i, p]: the ids the decoder starts from, counted in max_length."""

    def check_lengths(self, attention_mask: np.ndarray, max_length: int) -> None:
        """Raises UserError if the positions that the model has do not reach."""

    def prepare(self, input_ids: np.ndarray, attention_mask: np.ndarray, group: int) -> State:
        """Reads the whole input but the last of `first_ids`, for `group` continuations of each row."""

    def step(self, tokens: np.ndarray, state: State):
        """Feeds one token a row ([i * g]) and returns float32 logits [i * g, vocabulary]."""


class State(Protocol):
    def reorder(self, parents: np.ndarray) -> None:
        """Place b of item i goes on from place parents[i, b]; parents is [i, g]."""

    def keep(self, items: np.ndarray) -> None:
        """Drops all items but these (positions among the items held now)."""
