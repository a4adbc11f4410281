"""The order in which rows become batches: reproducible from (seed, epoch) alone, so that a resumed run goes on exactly."""

from __future__ import annotations

import numpy as np

BUCKET = 100  # batches sorted among themselves by length


class Batches:
    """Splits n rows into batches.

    Args:
        lengths: [n] cost of each row (tokens), used where batches are grouped by length.
        batch_size: rows a batch; the last one of an epoch may be smaller.
        seed: fixes the order of every epoch.
        group_by_length: rows of like length share a batch: each epoch is shuffled, cut into buckets of 100 batches, each bucket
            sorted by length, and the batches shuffled again.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int, group_by_length: bool = False):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.group_by_length = group_by_length

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """The row numbers of every batch of an epoch (counted from 0)."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.lengths))
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


def longest_first(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches for evaluation and prediction: by falling length, so that memory trouble shows at once and padding is least."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def pad(rows: list[np.ndarray], value: int, multiple: int = 1) -> np.ndarray:
    """[b] rows of different length -> int64 [b, s], padded on the right with `value`, s a multiple of `multiple`."""
    width = max(len(row) for row in rows)
    width = -(-width // multiple) * multiple
    out = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
