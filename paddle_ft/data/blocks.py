"""Cut a stream of tokens into blocks of equal length, for language models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class BlockRows(Sequence):
    """The texts of blocks as rows {"text": ...}, decoded when a row is accessed."""

    def __init__(self, tokenizer, blocks: list[np.ndarray]):
        self.tokenizer, self.blocks = tokenizer, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return BlockRows(self.tokenizer, self.blocks[index])
        return {"text": self.tokenizer.decode([int(i) for i in self.blocks[index]], skip_special_tokens=False)}


def cut_blocks(flat: np.ndarray, size: int, keep_last: bool) -> list[np.ndarray]:
    """Return views of `flat` with `size` tokens each. A shorter rest becomes the last block, or is dropped."""
    blocks = [flat[start : start + size] for start in range(0, len(flat), size)]
    if blocks and len(blocks[-1]) < size and not keep_last:
        blocks.pop()
    return blocks


def subsample(count: int, num_blocks: int | None, seed: int) -> np.ndarray:
    """Return the numbers of the blocks to use, in rising order.

    Args:
        count: number of blocks.
        num_blocks: how many to draw without replacement; None uses all.
        seed: fixes the draw.
    """
    if num_blocks is None or num_blocks >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, num_blocks, replace=False))
