"""The order in which rows become batches. It depends on (seed, epoch) alone, so a resumed run continues exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_ft.system.errors import UserError

IGNORE_INDEX = -100  # the label of a position without a target
BUCKET_SIZE = 100  # batches that are sorted by length together


class Batches:
    """Divide n rows into batches.

    Args:
        lengths: [n] tokens of each row, used to group rows by length.
        batch_size: rows in a batch; the last batch of an epoch may be smaller.
        seed: fixes the order of every epoch.
        group_by_length: put rows of similar length into one batch. Each epoch is shuffled and cut into buckets of 100 batches;
            each bucket is sorted by length, and the batches are shuffled again.
        max_tokens: replaces batch_size. A batch holds as many rows as fit, counted as the longest row times the number of rows.
            All rows are sorted by length, rows of equal length are shuffled, and the batches are shuffled. So every epoch has
            the same number of batches.
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
        """Return the row numbers of every batch of an epoch. Epochs count from 0."""
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
        # The one batch that may be smaller than the others stays last.
        full = [b for b in batches if len(b) == self.batch_size]
        rest = [b for b in batches if len(b) < self.batch_size]
        return [full[i] for i in rng.permutation(len(full))] + rest

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def _find_cuts(self, max_tokens: int) -> list[int]:
        """Return where the rows, sorted from long to short, are cut. Raise UserError if one row exceeds max_tokens."""
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
    """Return batches for evaluation and prediction, longest rows first.

    So the largest batch comes first and shows at once if memory suffices, and padding is least.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def pad(rows: Sequence[np.ndarray], value: int, multiple: int = 1, max_length: int | None = None) -> np.ndarray:
    """Pad rows of different length on the right.

    Args:
        rows: [b] arrays of token ids.
        value: what to pad with.
        multiple: s is rounded up to a multiple of this,
        max_length: but not beyond this, the number of the model's positions.

    Returns:
        int64 [b, s]
    """
    longest = max(len(row) for row in rows)
    width = -(-longest // multiple) * multiple
    if max_length is not None and width > max_length:
        width = max(longest, max_length)
    out = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
