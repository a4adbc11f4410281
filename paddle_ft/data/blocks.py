"""Cut a stream of tokens into blocks of equal length, for training language models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class BlockRows(Sequence):
    """Blocks of token ids as rows {"text": ...}. A row is decoded when it is accessed."""

    def __init__(self, tokenizer, blocks: list[np.ndarray]):
        self.tokenizer, self.blocks = tokenizer, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return BlockRows(self.tokenizer, self.blocks[index])
        return {"text": self.tokenizer.decode([int(i) for i in self.blocks[index]], skip_special_tokens=False)}


def cut_blocks(flat: np.ndarray, size: int, keep_last: bool) -> list[np.ndarray]:
    """Cut a stream of tokens into blocks, which are views of it.

    Args:
        flat: [t], the ids of all tokens.
        size: tokens in a block.
        keep_last: keep a last block that has fewer tokens, instead of dropping it.
    """
    blocks = [flat[start : start + size] for start in range(0, len(flat), size)]
    if blocks and len(blocks[-1]) < size and not keep_last:
        blocks.pop()
    return blocks


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
