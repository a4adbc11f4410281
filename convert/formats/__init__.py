"""Read and write file formats of weights. Each module reads a file as `StoredTensor`s without running code from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file, not loaded yet.

    Attributes:
        name: Its name in the file.
        dtype: Element type, a name of convert.dtypes. Arrays of "bfloat16" are uint16 bit patterns.
        shape: Its shape.
        file: The file that it is in.
        read: Loads and returns the array. Every call reads the file again.
        offset: Position of its bytes in the file if they are contiguous and in row order, else None.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    read: Callable[[], np.ndarray]
    offset: int | None = None

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class NewTensor:
    """A tensor to be written.

    Attributes:
        names: Its names in the target file. There are several if the target's model ties parameters.
        dtype: Element type to write.
        shape: Its shape in the target file.
        read: Computes and returns the array, of that type and shape.
    """

    names: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def fits_numpy(shape: Sequence[int]) -> bool:
    """Return whether NumPy can make an array of this shape. It limits dimensions and bytes even for arrays without elements."""
    return len(shape) <= 32 and math.prod(max(length, 1) for length in shape) < 2**59
