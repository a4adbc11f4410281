"""Read and write Paddle's .pdparams files, which are pickled dictionaries of NumPy arrays, without running the pickle.

bfloat16 parameters are stored as uint16 bit patterns, as `paddle.save` does.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from convert.dtypes import NUMPY, contiguous, numpy_dtype
from convert.errors import ConvertError
from convert.formats import StoredTensor
from convert.formats.unpickler import Malformed, StateUnpickler, reason, shown

NAME_TABLE = "StructuredToParameterName@@"  # an entry of paddle.save that is not a tensor: structured name -> internal name


def _reconstruct(kind, shape, code):
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _dtype(code, *_):
    if not isinstance(code, str) or not re.fullmatch(r"[<>=|]?[a-zA-Z?]\d{0,2}", code) or np.dtype(code).hasobject:
        raise Malformed(f"arrays of {shown(code)} are not supported")
    return np.dtype(code, copy=True)  # a copy, because the pickle sets its byte order afterwards


def _encode(text, encoding):
    """Return text as bytes: old pickle protocols store the bytes of an array as latin-1 text."""
    return text.encode("latin-1")


ALLOWED = {
    "_reconstruct": _reconstruct,
    "ndarray": np.ndarray,
    "dtype": _dtype,
    "_frombuffer": lambda buffer, dtype, shape, order: np.frombuffer(buffer, dtype).reshape(shape, order=order),
}
ARRAY_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")


class _ArrayUnpickler(StateUnpickler):
    """Build dictionaries of NumPy arrays. Raise ConvertError for every other name in the pickle."""

    def __init__(self, file, path: Path):
        super().__init__(file)
        self.path = path

    def load_build(self):
        instance, state = self.stack[-2:]
        if isinstance(instance, np.dtype) and (state[2:5] != (None, None, None) or state[7:8] not in ((), (0,))):
            raise Malformed("a type of elements with parts of its own")
        super().load_build()

    dispatch = {**StateUnpickler.dispatch, pickle.BUILD[0]: load_build}

    def find_class(self, module: str, name: str):
        if module in ARRAY_MODULES and name in ALLOWED:
            return ALLOWED[name]
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) == ("collections", "OrderedDict"):
            return lambda: {}  # filled afterwards
        if (module, name) == ("builtins", "tuple"):
            return tuple
        raise ConvertError(
            f"{self.path}: its pickle asks for {module}.{name}, which a file of arrays does not need; nothing was run"
        )


def read(path: Path) -> dict[str, StoredTensor]:
    """Return all arrays of the file by name. Unlike the other formats, the whole file is loaded at once.

    Raises:
        ConvertError: The file is damaged, or has something other than arrays.
    """
    try:
        with open(path, "rb") as file:
            tree = _ArrayUnpickler(file, path).load()
        if not isinstance(tree, dict):
            raise ConvertError(f"{path}: contains a {type(tree).__name__}, not a dictionary of arrays")
        tree.pop(NAME_TABLE, None)
        return {name: _tensor(path, name, value) for name, value in tree.items()}
    except ConvertError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise ConvertError(f"{path}: damaged or not a .pdparams file: {reason(error)}; download or copy it again") from None


def _tensor(path: Path, name: object, value: object) -> StoredTensor:
    if isinstance(value, tuple) and len(value) == 2:  # (internal name, array), the form of paddle.save with tensors
        value = value[1]
    known = {np.dtype(code): key for key, code in NUMPY.items() if key != "bfloat16"}
    if not isinstance(name, str) or not isinstance(value, np.ndarray) or value.dtype.newbyteorder("<") not in known:
        raise ConvertError(f"{path}: only arrays are supported; the entry {shown(name)} is something else")
    value = value.astype(value.dtype.newbyteorder("<"), copy=False)
    dtype = known[value.dtype]
    return StoredTensor(name, "bfloat16" if dtype == "uint16" else dtype, value.shape, path, lambda: value)


def write(
    path: Path,
    tensors: Iterable[tuple[str, str, tuple[int, ...], Callable[[], np.ndarray]]],
    on_written: Callable[[int], object] = lambda size: None,
) -> None:
    """Write a file that `paddle.load` and PaddleNLP's `from_pretrained` read. The format needs all arrays in memory at once.

    Args:
        path: The file.
        tensors: (name, element type, shape, function that returns the array).
        on_written: Called after each tensor with its size in bytes.
    """
    arrays = {}
    for name, dtype, _, produce in tensors:
        arrays[name] = contiguous(np.asarray(produce(), numpy_dtype(dtype)))
        on_written(arrays[name].nbytes)
    with open(path, "wb") as file:
        pickle.dump(arrays, file, protocol=4)
