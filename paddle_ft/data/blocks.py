"""Cut a stream of tokens into blocks of equal length, for training language models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from paddle_ft.data.arrays import PART, ArrayFile


class Blocks(Sequence):
    """Blocks of a stream of tokens. A block is cut out of it, or read from disk, when it is accessed.

    Args:
        flat: [t], the ids of all tokens.
        size: tokens in a block. The last block of the stream may have fewer.
        numbers: [blocks], which blocks of the stream these are.
    """

    def __init__(self, flat: np.ndarray | ArrayFile, size: int, numbers: np.ndarray):
        self.flat, self.size, self.numbers = flat, size, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.choose(index)
        start = int(self.numbers[index]) * self.size
        return self.flat[start : start + self.size]

    def choose(self, indices) -> Blocks:
        """Return some of the blocks, by an array of indices or a slice."""
        return Blocks(self.flat, self.size, self.numbers[indices])

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of tokens of each block [blocks]."""
        return np.minimum(self.size, len(self.flat) - self.numbers * self.size)

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the tokens of many blocks at once, and where each of these blocks begins in them."""
        step = max(1, PART // self.size)
        for start in range(0, len(self), step):
            numbers = self.numbers[start : start + step]
            if np.all(np.diff(numbers) == 1):
                ids = self.flat[int(numbers[0]) * self.size : (int(numbers[-1]) + 1) * self.size]
            else:
                ids = np.concatenate([self[i] for i in range(start, start + len(numbers))])
            lengths = self.lengths[start : start + step]
            yield ids, np.cumsum(lengths) - lengths


class BlockRows(Sequence):
    """Blocks of token ids as rows {"text": ...}. A row is decoded when it is accessed."""

    def __init__(self, tokenizer, blocks: Sequence[np.ndarray]):
        self.tokenizer, self.blocks = tokenizer, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return BlockRows(self.tokenizer, self.blocks[index])
        return {"text": self.tokenizer.decode([int(i) for i in self.blocks[index]], skip_special_tokens=False)}


def cut_blocks(flat: np.ndarray | ArrayFile, size: int, keep_last: bool) -> Blocks:
    """Cut a stream of tokens into blocks.

    Args:
        flat: [t], the ids of all tokens.
        size: tokens in a block.
        keep_last: keep a last block that has fewer tokens, instead of dropping it.
    """
    count = -(-len(flat) // size) if keep_last else len(flat) // size
    return Blocks(flat, size, np.arange(count))


def subsample(count: int, num_blocks: int | None, seed: int) -> np.ndarray:
    """Draw blocks at random and return their numbers in ascending order.

    Args:
        count: number of blocks there are.
        num_blocks: how many to draw, without replacement. None draws all.
        seed: seed of the draw.
    """
    if num_blocks is None or num_blocks >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, num_blocks, replace=False))
