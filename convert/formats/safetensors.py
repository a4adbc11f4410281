"""Read and write safetensors files, and check the rules of the format (https://github.com/huggingface/safetensors).

A file has an 8-byte little-endian length n, a JSON header of n bytes, and the bytes of all tensors without gaps.
"""

from __future__ import annotations

import json
import math
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from convert.dtypes import contiguous, item_size, numpy_dtype
from convert.errors import ConvertError
from convert.formats import StoredTensor, fits_numpy

NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
}
CODES = {name: code for code, name in NAMES.items()}
MAX_HEADER = 100_000_000  # the limit of the reference implementation


def read_header(path: Path) -> tuple[dict, int]:
    """Return the header's JSON object and the offset at which the tensors' bytes begin.

    Raises:
        ConvertError: The file is not a valid safetensors file.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ConvertError(f"{path}: {size} bytes are too few for a safetensors file; is the download complete?")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER, size - 8):
            raise ConvertError(
                f"{path}: not a safetensors file, or a truncated one: it announces a header of {length} bytes, the file has {size}"
            )
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=lambda pairs: _no_duplicates(pairs, path))
    except (ValueError, RecursionError) as error:  # also numbers too long for Python
        raise ConvertError(f"{path}: the safetensors header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise ConvertError(f"{path}: the safetensors header is not a JSON object")
    return header, 8 + length


def _no_duplicates(pairs: list, path: Path) -> dict:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ConvertError(f"{path}: the safetensors header names a tensor twice")
    return result


def read(path: Path) -> dict[str, StoredTensor]:
    """Return all tensors of the file by name, in the file's order. Their bytes are not loaded yet.

    Raises:
        ConvertError: The type, shape or offsets of a tensor are wrong; the message names the tensor.
    """
    header, start = read_header(path)
    metadata = header.pop("__metadata__", None)
    is_map = isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    if metadata is not None and not is_map:
        raise ConvertError(f"{path}: the safetensors header's __metadata__ must map names to texts")
    spans = {name: _checked_entry(path, name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, first, last) in sorted(spans.items(), key=lambda item: item[1][2:]):
        if first != end:
            problem = "overlaps another tensor" if first < end else "leaves a gap"
            raise ConvertError(f"{path}: tensor {name}: its offsets [{first}, {last}] {problem}")
        end = last
    if start + end != path.stat().st_size:
        raise ConvertError(f"{path}: the header describes {start + end} bytes, the file has {path.stat().st_size}")
    return {
        name: StoredTensor(name, dtype, shape, path, _reader(path, dtype, shape, start + first), start + first)
        for name, (dtype, shape, first, _) in spans.items()
    }


def _checked_entry(path: Path, name: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    """Return element type, shape, and first and last offset of a tensor in the header."""
    where = f"{path}: tensor {name}"
    try:
        code, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise ConvertError(f"{where}: the header must give dtype, shape and data_offsets") from None
    if not isinstance(code, str) or code not in NAMES:
        raise ConvertError(f"{where}: element type {code!r} is not supported; these are: {', '.join(NAMES)}")
    numbers = [*shape, first, last] if isinstance(shape, list) else [None]
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        raise ConvertError(f"{where}: shape {shape} and offsets [{first}, {last}] must be non-negative integers")
    needed = math.prod(shape) * item_size(NAMES[code])
    if last - first != needed:
        raise ConvertError(f"{where}: shape {shape} of {code} needs {needed} bytes, its offsets give {last - first}")
    if not fits_numpy(shape):
        raise ConvertError(f"{where}: an array cannot have the shape {shape}")
    return NAMES[code], tuple(shape), first, last


def _reader(path: Path, dtype: str, shape: tuple[int, ...], offset: int) -> Callable[[], np.ndarray]:
    def read_array() -> np.ndarray:
        count = math.prod(shape)
        if count == 0:
            return np.zeros(shape, numpy_dtype(dtype))
        return np.fromfile(path, numpy_dtype(dtype), count, offset=offset).reshape(shape)

    return read_array


def write(
    path: Path,
    tensors: Iterable[tuple[str, str, tuple[int, ...], Callable[[], np.ndarray]]],
    metadata: dict[str, str],
    on_written: Callable[[int], object] = lambda size: None,
) -> None:
    """Write a safetensors file with at most four tensors in memory.

    Args:
        path: The file.
        tensors: (name, element type, shape, function that returns the array), in the order in which they are written.
        metadata: The header's `__metadata__`.
        on_written: Called after each tensor with its size in bytes.
    """
    tensors = list(tensors)
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, dtype, shape, _ in tensors:
        first, end = end, end + math.prod(shape) * item_size(dtype)
        header[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [first, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb", buffering=0) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for (name, dtype, shape, _), array in zip(tensors, _prefetch(tensors), strict=True):
            if tuple(array.shape) != tuple(shape) or array.dtype != numpy_dtype(dtype):
                raise AssertionError(f"{name}: announced as {dtype} {shape}, produced {array.dtype} {array.shape}")
            remaining = memoryview(array.reshape(-1).view(np.uint8))
            while len(remaining):
                remaining = remaining[file.write(remaining) :]
            on_written(array.nbytes)


def _prefetch(tensors: list[tuple]) -> Iterator[np.ndarray]:
    """Yield the arrays in order. Two threads compute the next ones while earlier ones are written.

    Consecutive tensors with the same function share one array, which is computed once.
    """
    with ThreadPoolExecutor(2, thread_name_prefix="tensors") as pool:
        waiting: deque[Future] = deque()
        previous = (None, None)
        for *_, produce in tensors:
            if produce is not previous[0]:
                previous = (produce, pool.submit(lambda produce=produce: contiguous(produce())))
            waiting.append(previous[1])
            if len(waiting) > 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
