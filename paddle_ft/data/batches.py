"""The order in which rows become batches: reproducible from (seed, epoch) alone, so that a resumed run goes on exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_ft.system.errors import UserError

IGNORE_INDEX = -100  # the label of a position without a target
BUCKET = 100  # batches sorted among themselves by length


class Batches:
    """Splits n rows into batches.

    Args:
        lengths: [n] cost of each row (tokens), used where batches are grouped by length.
        batch_size: rows a batch; the last one of an epoch may be smaller.
        seed: fixes the order of every epoch.
        group_by_length: rows of like length share a batch: each epoch is shuffled, cut into buckets of 100 batches, each bucket
            sorted by length, and the batches shuffled again.
        max_tokens: instead of batch_size: as many rows as fit, the longest row times their number. All rows are sorted by
            length, rows of one length shuffled, and the batches shuffled; so every epoch has the same number of batches.
    """

    def __init__(
        self, lengths: np.ndarray, batch_size: int, seed: int, group_by_length: bool = False, max_tokens: int | None = None
    ):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.group_by_length = group_by_length
        self.cuts = self._cuts(max_tokens) if max_tokens else None

    def __len__(self) -> int:
        return len(self.cuts) + 1 if self.cuts is not None else -(-len(self.lengths) // self.batch_size)

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """The row numbers of every batch of an epoch (counted from 0)."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.lengths))
        if self.cuts is not None:
            batches = np.split(order[np.argsort(-self.lengths[order], kind="stable")], self.cuts)
            return [batches[i] for i in rng.permutation(len(batches))]
        if not self.group_by_length:
            return self._cut(order)
        size = self.batch_size * BUCKET
        batches = []
        for start in range(0, len(order), size):
            bucket = order[start : start + size]
            batches += self._cut(bucket[np.argsort(-self.lengths[bucket], kind="stable")])
        # the one batch that may be smaller than the rest stays last
        full = [b for b in batches if len(b) == self.batch_size]
        rest = [b for b in batches if len(b) < self.batch_size]
        return [full[i] for i in rng.permutation(len(full))] + rest

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def _cuts(self, max_tokens: int) -> list[int]:
        """Where the rows, sorted from long to short, are cut. Raises UserError if a row alone is longer than max_tokens."""
        lengths = -np.sort(-self.lengths)
        if lengths[0] > max_tokens:
            raise UserError(
                f"train.max_tokens_per_batch: {max_tokens} is less than the longest row, which has {lengths[0]} tokens. Raise it,"
                " or lower the task's max lengths."
            )
        cuts, start = [], 0
        for place, _ in enumerate(lengths):
            if (place - start + 1) * lengths[start] > max_tokens:
                cuts.append(place)
                start = place
        return cuts


def longest_first(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches for evaluation and prediction: by falling length, so that memory trouble shows at once and padding is least."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def pad(rows: Sequence[np.ndarray], value: int, multiple: int = 1, most: int | None = None) -> np.ndarray:
    """[b] rows of different length -> int64 [b, s], padded on the right with `value`, s a multiple of `multiple` unless that
    were more than `most`, the model's positions."""
    longest = max(len(row) for row in rows)
    width = -(-longest // multiple) * multiple
    if most is not None and width > most:
        width = max(longest, most)
    out = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
