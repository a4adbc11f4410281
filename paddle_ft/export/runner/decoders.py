"""Compute generation steps with exported graphs, and generate for a batch.

Shapes: i items, g beams of an item, s source or prompt tokens, t tokens in the cache, l layers, h heads, d size of a head, v
vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .runtime import Graph
from .search import beam_search, greedy_search


class Decoder:
    """A decoder that has read its first tokens.

    Attributes:
        first_ids: [i, n], the tokens that the decoder started with.
        logits: [i, v], the logits of the token after them.
        cache: [2 * l, i, g, h, t, d], keys and values of each layer.
        positions: [i], position of the next token.
    """

    first_ids: np.ndarray
    logits: np.ndarray
    cache: np.ndarray
    positions: np.ndarray

    def __init__(self, graphs: dict[str, Graph]):
        self.next = graphs["decoder_next"]

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Read one token of each beam [i, g] and return the logits of the next [i, g, v]."""
        logits, new = self.next(tokens=tokens, positions=self.positions, cache=self.cache, **self.other_inputs())
        self.cache = np.concatenate([self.cache, new], axis=4)
        self.positions = self.positions + 1
        return logits

    def other_inputs(self) -> dict[str, np.ndarray]:
        """Return the further inputs of decoder_next."""
        raise NotImplementedError

    def spread(self, group: int) -> None:
        """Give each item `group` beams instead of one."""
        self.cache = np.repeat(self.cache, group, axis=2)

    def reorder(self, parents: np.ndarray) -> None:
        """Continue beam b of item i from beam parents[i, b]. `parents` is [i, g]."""
        self.cache = self.cache[:, np.arange(len(parents))[:, None], parents]

    def keep(self, items: np.ndarray) -> None:
        """Keep only these items, numbered among the current ones."""
        self.cache, self.positions = self.cache[:, items], self.positions[items]


class EncoderDecoder(Decoder):
    """The decoder of an encoder-decoder model."""

    def __init__(self, graphs: dict[str, Graph], ids: np.ndarray, mask: np.ndarray, start: int):
        """Read sources, input_ids and attention_mask [i, s] padded on the right, and the start token."""
        super().__init__(graphs)
        self.mask = mask
        self.first_ids = np.full([len(ids), 1], start, dtype=np.int64)
        self.positions = np.zeros(len(ids), dtype=np.int64)
        (self.memory,) = graphs["encoder"](input_ids=ids, attention_mask=mask)
        first = graphs["decoder_first"]
        logits, self.cache = first(tokens=self.first_ids, positions=self.positions, **self.other_inputs())
        self.logits, self.positions = logits[:, 0], self.positions + 1

    def other_inputs(self) -> dict[str, np.ndarray]:
        return {"memory": self.memory, "attention_mask": self.mask}

    def keep(self, items: np.ndarray) -> None:
        super().keep(items)
        self.memory, self.mask = self.memory[:, items], self.mask[items]


class DecoderOnly(Decoder):
    """The decoder of a model without an encoder."""

    def __init__(self, graphs: dict[str, Graph], ids: np.ndarray, mask: np.ndarray):
        """Read prompts, input_ids and attention_mask [i, s] padded on the left."""
        super().__init__(graphs)
        self.first_ids, self.mask = ids, mask
        last = np.arange(len(ids), dtype=np.int64) * ids.shape[1] + ids.shape[1] - 1
        self.logits, self.cache = graphs["decoder_first"](input_ids=ids, attention_mask=mask, positions=last)
        self.positions = mask.sum(axis=1)

    def step(self, tokens: np.ndarray) -> np.ndarray:
        self.mask = np.concatenate([self.mask, np.ones([len(self.mask), 1], dtype=np.int64)], axis=1)
        return super().step(tokens)

    def other_inputs(self) -> dict[str, np.ndarray]:
        return {"attention_mask": self.mask}

    def keep(self, items: np.ndarray) -> None:
        super().keep(items)
        self.mask = self.mask[items]


def pad(rows: Sequence[Sequence[int]], value: int, left: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of ids as input_ids and attention_mask [rows, longest]."""
    width = max(len(row) for row in rows)
    ids = np.full([len(rows), width], value, dtype=np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[number, place], mask[number, place] = row, 1
    return ids, mask


def generate(graphs: dict[str, Graph], rows: Sequence[Sequence[int]], settings: dict[str, Any]) -> list[list[int]]:
    """Generate for the token ids of one batch.

    Args:
        graphs: the graphs of the export.
        rows: token ids of each source or prompt.
        settings: content of export.json.

    Returns:
        The ids of each item. They begin with the start token or with the prompt.
    """
    options = settings["generation"]
    search = beam_search if options["num_beams"] > 1 else greedy_search
    if settings["kind"] == "seq2seq":
        decoder = EncoderDecoder(graphs, *pad(rows, settings["pad_token_id"]), settings["decoder_start_token_id"])
        return search(decoder, options["max_length"], options)
    ids, mask = pad(rows, settings["pad_token_id"], left=True)
    results = search(DecoderOnly(graphs, ids, mask), ids.shape[1] + options["max_new_tokens"], options)
    padding = mask.argmax(axis=1)
    return [result[count:] for result, count in zip(results, padding, strict=True)]
