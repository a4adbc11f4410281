"""Cut a stream of tokens into blocks of equal length, for training language models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from paddle_ft.data.arrays import PART, ArrayFile


class Blocks(Sequence):
    """Blocks of a stream of tokens. A block is cut out of it, or read from disk, when it is accessed.

    Args:
        flat: [t], the ids of all tokens.
        starts: [blocks], where each block begins in the stream.
        lengths: [blocks], tokens of each block.
        size: the largest number of tokens that a block may have.
    """

    def __init__(self, flat: np.ndarray | ArrayFile, starts: np.ndarray, lengths: np.ndarray, size: int):
        self.flat, self.starts, self.lengths, self.size = flat, starts, lengths, size

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.choose(index)
        start = int(self.starts[index])
        return self.flat[start : start + int(self.lengths[index])]

    def choose(self, indices) -> Blocks:
        """Return some of the blocks, by an array of indices or a slice."""
        return Blocks(self.flat, self.starts[indices], self.lengths[indices], self.size)

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the tokens of many blocks at once, and where each of these blocks begins in them."""
        step = max(1, PART // self.size)
        for first in range(0, len(self), step):
            starts, lengths = self.starts[first : first + step], self.lengths[first : first + step]
            ends = starts + lengths
            if np.array_equal(starts[1:], ends[:-1]):
                ids = self.flat[int(starts[0]) : int(ends[-1])]
            else:
                ids = np.concatenate([self[i] for i in range(first, first + len(starts))])
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
    starts = np.arange(-(-len(flat) // size) if keep_last else len(flat) // size) * size
    return Blocks(flat, starts, np.minimum(size, len(flat) - starts), size)


def cut_texts(flat: np.ndarray | ArrayFile, lengths: np.ndarray, size: int) -> Blocks:
    """Cut each text of a stream into blocks of its own. The last block of a text has the tokens that are left.

    Args:
        flat: [t], the ids of all texts.
        lengths: [texts], tokens of each text.
        size: tokens in a block.
    """
    lengths = lengths.astype(np.int64)
    counts = -(-lengths // size)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # of each block in its text
    starts = np.repeat(np.cumsum(lengths) - lengths, counts) + number * size
    return Blocks(flat, starts, np.minimum(size, np.repeat(lengths, counts) - number * size), size)


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
