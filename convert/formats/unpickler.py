"""Define the unpickler for readers of pickled files. It can build only the parts of a state dict."""

from __future__ import annotations

import io
import math
import pickle
import reprlib
from typing import BinaryIO

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
SMALL = 1 << 16  # bytes that can be asked for without looking whether the file has them


class Malformed(pickle.UnpicklingError):
    """A pickle that has what no file of tensors has. The message says what."""


def reason(error: Exception) -> str:
    """Return why a pickle cannot be read, for people: what Python says of a damaged one is often a bare number or an inner name."""
    if isinstance(error, EOFError):
        return "it ends too early"
    return str(error) if isinstance(error, Malformed) else "its bytes are no pickle of tensors"


class _Bounded:
    """A file from which no more bytes can be asked for than it has. Otherwise a length in it could ask for any amount of memory.

    Args:
        file: The file.
        limit: Number of bytes that may be read altogether.
    """

    def __init__(self, file: BinaryIO, limit: float):
        self.file, self.limit, self.left = file, limit, limit
        position = file.tell()
        self.end = file.seek(0, io.SEEK_END)
        file.seek(position)

    def read(self, count: int) -> bytes:
        if count > SMALL and count > self.end - self.file.tell():
            raise Malformed(f"truncated: {count} bytes are announced, {self.end - self.file.tell()} are left")
        return self._counted(self.file.read(count))

    def readline(self) -> bytes:
        return self._counted(self.file.readline())

    def _counted(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left < 0:
            raise Malformed(f"its pickle has more than {self.limit} bytes, which no model needs")
        return data


class StateUnpickler(pickle._Unpickler):
    """An unpickler based on Python's implementation in Python, whose opcodes can be replaced.

    Dictionary keys must be strings or integers, and sets are not supported, because hashing a tuple nested a million levels deep
    would crash the interpreter. Subclasses decide in `find_class` which names a file may use. `limit` is the number of bytes that
    the pickle may have.
    """

    dispatch = dict(pickle._Unpickler.dispatch)
    for _opcode in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET):
        del dispatch[_opcode[0]]

    def __init__(self, file: BinaryIO, limit: float = math.inf, **options):
        super().__init__(_Bounded(file, limit), **options)

    def _set(self, target: object, items: list) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise Malformed(f"a dictionary's key is a {type(key).__name__}")
            dict.__setitem__(target, key, value)

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    def load_setitems(self):
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    def load_dict(self):
        items, result = self.pop_mark(), {}
        self._set(result, items)
        self.append(result)

    def load_build(self):
        if callable(self.stack[-2]):
            raise Malformed("a function or a class is given attributes")
        super().load_build()

    def load_bytearray8(self):
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def shown(value: object) -> str:
    """Return a value from a file for a message, cut to a few entries. A nested tuple can have a text longer than any memory."""
    return _SHORT.repr(value)
