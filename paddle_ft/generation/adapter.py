"""Declare the protocols between the search and the models."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Adapter(Protocol):
    """Compute the logits of one generation step after another with the weights of one architecture.

    Every item of the batch has a group of g rows: its beams or its samples. Rows are sorted by item: row = item * g + number in
    the group. Shapes: i items, p tokens, g rows of a group, v vocabulary.

    Attributes:
        encoder_decoder: whether the input is read by an encoder. Such inputs are padded on the right, prompts on the left.
        eos_token_id: the token that ends a sequence.
        pad_token_id: the token that fills up shorter inputs.
    """

    encoder_decoder: bool
    eos_token_id: int | None
    pad_token_id: int

    def first_ids(self, input_ids: np.ndarray) -> np.ndarray:
        """Return the ids [i, p] that the decoder starts with: the start token or the prompt. They count towards max_length."""

    def check_lengths(self, attention_mask: np.ndarray, max_length: int) -> None:
        """Raise UserError if the model has too few positions for the input or for max_length."""

    def prepare(self, input_ids: np.ndarray, attention_mask: np.ndarray, group: int) -> State:
        """Read the input up to, and without, the last token of `first_ids`. Return the state of `group` rows for each item."""

    def step(self, tokens: np.ndarray, state: State):
        """Read one token for each row [i * g] and return the float32 logits of the next token [i * g, v]."""


class State(Protocol):
    """What an adapter remembers between the steps of one batch."""

    def reorder(self, parents: np.ndarray) -> None:
        """Continue row b of item i from that item's row parents[i, b]. `parents` is [i, g]."""

    def keep(self, items: np.ndarray) -> None:
        """Keep only these items, numbered among the current ones, and drop the others."""
