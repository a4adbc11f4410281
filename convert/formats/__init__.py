"""One module a file format: each turns a file into `StoredTensor`s without running anything found in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file, not read yet.

    dtype: a name of convert.dtypes ("bfloat16" arrays come as uint16 bit patterns).
    read: returns the array, of shape `shape`, read anew at each call.
    offset: where its bytes lie in the file, in row order and without gaps; None where they do not.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    read: Callable[[], np.ndarray]
    offset: int | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


def holdable(shape: Sequence[int]) -> bool:
    """Whether NumPy can make an array of this shape at all: it counts dimensions and bytes even where there is no element."""
    return len(shape) <= 32 and math.prod(max(length, 1) for length in shape) < 2**59
