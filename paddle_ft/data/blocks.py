"""A stream of tokens cut into blocks of equal length, for language models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class BlockRows(Sequence):
    """The rows of blocks: {"text": ...}, decoded when they are looked at."""

    def __init__(self, tokenizer, blocks: list[np.ndarray]):
        self.tokenizer, self.blocks = tokenizer, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return BlockRows(self.tokenizer, self.blocks[index])
        return {"text": self.tokenizer.decode([int(i) for i in self.blocks[index]], skip_special_tokens=False)}


def cut_blocks(flat: np.ndarray, size: int, keep_last: bool) -> list[np.ndarray]:
    """Views of `flat`, `size` tokens each; a shorter rest is kept as the last block, or dropped."""
    blocks = [flat[start : start + size] for start in range(0, len(flat), size)]
    if blocks and len(blocks[-1]) < size and not keep_last:
        blocks.pop()
    return blocks


def subsample(count: int, wanted: int | None, seed: int) -> np.ndarray:
    """Numbers of the blocks to use, in rising order: all, or `wanted` of them drawn without replacement."""
    if wanted is None or wanted >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, wanted, replace=False))
