"""Say at which positions an encoder's outputs are read. models/unpadding.py computes no others in the last layer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

Reader = Callable[[int, int], Sequence[int]]
"""(b, s) -> the ascending indices [n] of the positions that are read of a flattened batch [b, s]."""

_reader: ContextVar[Reader | None] = ContextVar("reader", default=None)


def first_tokens(b: int, s: int) -> Sequence[int]:
    """Return the position of the first token of each row."""
    return range(0, b * s, s)


@contextlib.contextmanager
def only_read_at(reader: Reader | None) -> Iterator[None]:
    """Say that what is computed in this context reads an encoder's outputs at some positions only; with None, at all."""
    token = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(token)


def read_positions(b: int, s: int) -> Sequence[int] | None:
    """Return the positions that are read of a batch [b, s], or None if all may be."""
    reader = _reader.get()
    return None if reader is None else reader(b, s)
