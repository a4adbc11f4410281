"""Divide rows into batches. The order depends only on seed and epoch, so a resumed run continues with the same batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_ft.system.errors import UserError

IGNORE_INDEX = -100  # label of a position that has no target
BUCKET_SIZE = 100  # number of batches whose rows are sorted by length together


class Batches:
    """The batches of every epoch over n rows. `len()` is the number of batches in an epoch.

    Args:
        lengths: [n], number of tokens of each row.
        batch_size: rows in a batch. The last batch of an epoch may be smaller.
        seed: fixes the order of every epoch.
        group_by_length: put rows of similar length into the same batch. Each epoch is shuffled and cut into buckets of 100
            batches, each bucket is sorted by length, and then the batches are shuffled.
        max_tokens: if set, replaces batch_size: a batch has as many rows as fit, counted as (longest row) * (number of rows).
            All rows are sorted by length, rows of equal length in random order, and then the batches are shuffled. Every epoch
            has the same number of batches.
    """

    def __init__(
        self, lengths: np.ndarray, batch_size: int, seed: int, group_by_length: bool = False, max_tokens: int | None = None
    ):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.group_by_length = group_by_length
        self.cuts = self._find_cuts(max_tokens) if max_tokens else None

    def __len__(self) -> int:
        return len(self.cuts) + 1 if self.cuts is not None else -(-len(self.lengths) // self.batch_size)

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """Return the row numbers of each batch of an epoch. Epochs count from 0."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.lengths))
        if self.cuts is not None:
            batches = np.split(order[np.argsort(-self.lengths[order], kind="stable")], self.cuts)
            return [batches[i] for i in rng.permutation(len(batches))]
        if not self.group_by_length:
            return self._cut(order)
        size = self.batch_size * BUCKET_SIZE
        batches = []
        for start in range(0, len(order), size):
            bucket = order[start : start + size]
            batches += self._cut(bucket[np.argsort(-self.lengths[bucket], kind="stable")])
        # Only the full batches are shuffled. A smaller one stays last.
        full = [batch for batch in batches if len(batch) == self.batch_size]
        smaller = [batch for batch in batches if len(batch) < self.batch_size]
        return [full[i] for i in rng.permutation(len(full))] + smaller

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def _find_cuts(self, max_tokens: int) -> list[int]:
        """Return the positions at which the rows, sorted from long to short, are cut into batches.

        Raises:
            UserError: a single row has more than max_tokens tokens.
        """
        lengths = -np.sort(-self.lengths)
        if lengths[0] > max_tokens:
            raise UserError(
                f"train.max_tokens_per_batch: {max_tokens} is less than the longest row, which has {lengths[0]} tokens. Raise it,"
                " or lower the task's max lengths."
            )
        cuts, start = [], 0
        for position, _ in enumerate(lengths):
            if (position - start + 1) * lengths[start] > max_tokens:
                cuts.append(position)
                start = position
        return cuts


def longest_first(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return the row numbers of each batch for evaluation and prediction, longest rows first.

    This order needs the least padding. The largest batch comes first, so a lack of memory shows immediately.

    Args:
        lengths: [n], number of tokens of each row.
        batch_size: rows in a batch.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def pad(rows: Sequence[np.ndarray], value: int, multiple: int = 1, max_length: int | None = None) -> np.ndarray:
    """Pad rows of different length on the right.

    Args:
        rows: b arrays of token ids.
        value: the id to pad with.
        multiple: the padded length s is rounded up to a multiple of this.
        max_length: the rounding stops at this length, which is the number of positions of the model.

    Returns:
        [b, s], int64.
    """
    longest = max(len(row) for row in rows)
    width = -(-longest // multiple) * multiple
    if max_length is not None and width > max_length:
        width = max(longest, max_length)
    padded = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
