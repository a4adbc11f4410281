"""Name the element types of tensors, and cast between them.

NumPy has no bfloat16. An array of bfloat16 is a uint16 array of bit patterns, and the name of its type is passed along.
"""

from __future__ import annotations

import numpy as np

from convert.errors import ConvertError

FLOATS = ("float64", "float32", "bfloat16", "float16")
NUMPY = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "|i1",
    "uint8": "|u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "bool": "|b1",
}


def numpy_dtype(name: str) -> np.dtype:
    """Return the NumPy type that stores elements of type `name` (uint16 for bfloat16)."""
    return np.dtype(NUMPY[name])


def item_size(name: str) -> int:
    """Return the number of bytes of one element."""
    return numpy_dtype(name).itemsize


def target_dtype(stored: str, requested: str) -> str:
    """Return the element type to write. Only floating-point tensors are cast, and none if `requested` is "keep"."""
    return stored if requested == "keep" or stored not in FLOATS else requested


def cast(array: np.ndarray, source: str, target: str) -> np.ndarray:
    """Cast an array of element type `source` to element type `target`. Integers are returned unchanged.

    Raises:
        ConvertError: A finite value does not fit into float16.
    """
    if source == target or source not in FLOATS:
        return array
    if source == "bfloat16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    if target == "bfloat16":
        return _to_bfloat16(array.astype(np.float32, copy=False))
    with np.errstate(over="ignore"):
        result = array.astype(numpy_dtype(target), copy=False)
    if target == "float16" and np.isinf(result).any() and not np.isinf(array).any():
        raise ConvertError("a value is too large for float16; use bfloat16 or float32")
    return result


def contiguous(array: np.ndarray) -> np.ndarray:
    """Return the array in row order. A transposed matrix is copied in strips, which is several times faster than at once."""
    if array.ndim != 2 or array.flags.c_contiguous or not array.flags.f_contiguous:
        return np.asarray(array, order="C")
    result = np.empty(array.shape, array.dtype)
    for start in range(0, array.shape[1], 32):
        result[:, start : start + 32] = array[:, start : start + 32]
    return result


def _to_bfloat16(array: np.ndarray) -> np.ndarray:
    """Return the bit patterns of the nearest bfloat16 values, ties to even, NaN kept, as torch's `.bfloat16()` does."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(array), np.uint16(0x7FC0), rounded)
