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

    def epoch(self, epoch: int) -> EpochBatches:
        """Return the row numbers of each batch of an epoch. Epochs count from 0."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.lengths))
        if self.cuts is not None:
            cuts = np.array([0, *self.cuts, len(order)])
            return EpochBatches(self._sort(order), cuts, rng.permutation(len(self)))
        cuts = np.append(np.arange(0, len(order), self.batch_size), len(order))
        if not self.group_by_length:
            return EpochBatches(order, cuts)
        size = self.batch_size * BUCKET_SIZE
        for start in range(0, len(order), size):
            order[start : start + size] = self._sort(order[start : start + size])
        # Only the full batches are shuffled. A smaller one stays last.
        full = rng.permutation(len(order) // self.batch_size)
        return EpochBatches(order, cuts, np.append(full, np.arange(len(full), len(self))))

    def _sort(self, rows: np.ndarray) -> np.ndarray:
        """Return row numbers sorted from long to short rows. Rows of equal length stay in order."""
        return rows[np.argsort(-self.lengths[rows], kind="stable")]

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
        while lengths[start] and start + max_tokens // int(lengths[start]) < len(lengths):
            start += max_tokens // int(lengths[start])
            cuts.append(start)
        return cuts


class EpochBatches(Sequence):
    """The batches of one epoch. A batch is cut out of the order of the rows when it is accessed.

    Args:
        order: [n], the row numbers.
        cuts: [batches + 1], where each batch begins in `order`, and where the last one ends.
        shuffled: [batches], which batch comes first, second, ...; None: they come in the order of `cuts`.
    """

    def __init__(self, order: np.ndarray, cuts: np.ndarray, shuffled: np.ndarray | None = None):
        self.order, self.cuts, self.shuffled = order, cuts, shuffled

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        number = range(len(self))[index] if self.shuffled is None else self.shuffled[index]
        return self.order[self.cuts[number] : self.cuts[number + 1]]


def longest_first(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return the row numbers of each batch for evaluation and prediction, longest rows first.

    This order needs the least padding. The largest batch comes first, so a lack of memory shows immediately.

    Args:
        lengths: [n], number of tokens of each row.
        batch_size: rows in a batch.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def padded_length(longest: int, multiple: int | None = 1, max_length: int | None = None) -> int:
    """Return the length that rows are padded to.

    Args:
        longest: tokens of the longest row.
        multiple: the length is rounded up to a multiple of this. None: 8 on a GPU, whose kernels for half precision and for
            attention with a mask want it, and 1 on a CPU.
        max_length: the rounding stops at this length, which is the number of positions of the model.
    """
    if multiple is None:
        import paddle

        multiple = 1 if paddle.get_device() == "cpu" else 8
    width = -(-longest // multiple) * multiple
    return width if max_length is None or width <= max_length else max(longest, max_length)


def attention_mask(lengths: Sequence[int] | np.ndarray, width: int) -> np.ndarray:
    """Return the mask of rows that are padded on the right to a width: [b, s] int64, 1 for a token and 0 for padding."""
    return (np.arange(width) < np.asarray(lengths)[:, None]).astype(np.int64)


def pad(rows: Sequence[np.ndarray], value: int, multiple: int | None = 1, max_length: int | None = None) -> np.ndarray:
    """Pad rows of different length on the right.

    Args:
        rows: b arrays of token ids.
        value: the id to pad with.
        multiple, max_length: how s, the padded length, is rounded (padded_length).

    Returns:
        [b, s], int64.
    """
    padded = np.full((len(rows), padded_length(max(len(row) for row in rows), multiple, max_length)), value, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
