"""Texts that are made of rows when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from paddle_ft.data.row_table import ROWS_AT_ONCE, Row, RowTable

T = TypeVar("T")


class RowTexts(Sequence):
    """A text, or a pair of texts, for each row."""

    def __init__(self, rows: Sequence[Row], make: Callable[[Row], Any] | Sequence[str], key: Any = None):
        """Make no text yet.

        Args:
            rows: the rows.
            make: returns the text of a row. Or the names of one field, whose texts these are, or of two fields for pairs.
            key: what the texts depend on besides the rows; must be serialisable as JSON. None: not known, unless they are fields.
        """
        self._rows = rows
        self._names = None if callable(make) else list(make)
        self._make = make if callable(make) else self._take_fields
        self._key = self._names if key is None else key

    def _take_fields(self, row: Row) -> Any:
        return row[self._names[0]] if len(self._names) == 1 else tuple(row[name] for name in self._names)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self._make(self._rows[index])
        if self._names and isinstance(self._rows, RowTable):  # without an object for each row
            columns = [self._rows.column(name, index) for name in self._names]
            return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        return [self._make(row) for row in self._rows[index]]

    def __iter__(self) -> Iterator:
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from self[start : start + ROWS_AT_ONCE]

    def distinct(self) -> tuple[list[str], np.ndarray]:
        """Return the texts in the order in which they first appear, and the number of its text for each row [n]."""
        if self._names and len(self._names) == 1 and isinstance(self._rows, RowTable):
            return self._rows.distinct(self._names[0])
        return distinct(list(self))

    def remember(self, key: Any, compute: Callable[[], T]) -> T:
        """Return what `compute` returns. For many rows it is kept in the cache (see RowTable.remember)."""
        if self._key is None or not isinstance(self._rows, RowTable):
            return compute()
        return self._rows.remember({"texts": self._key, "key": key}, compute)

    @property
    def identity(self) -> Any:
        """What all texts depend on, which stands for them in the key of a cache. None: the texts themselves must be compared."""
        if self._key is None or not isinstance(self._rows, RowTable):
            return None
        return {"rows": self._rows.identity, "texts": self._key}


class AllTexts(Iterable[str]):
    """The texts of some fields of all rows, one after the other, as often as they are needed."""

    def __init__(self, rows: Sequence[Row], names: Sequence[str] = ()):
        """Make no text yet.

        Args:
            rows: the rows.
            names: the fields, in the order of their texts. A row may lack some. Default: all fields of a row.
        """
        self._rows, self._names = rows, names

    def __iter__(self) -> Iterator[str]:
        for row in self._rows:
            yield from (row[name] for name in self._names if name in row) if self._names else row.values()

    @property
    def identity(self) -> Any:
        """See RowTexts.identity. It is None too if nothing of these rows is kept in the cache."""
        if not isinstance(self._rows, RowTable) or self._rows.cache is None:
            return None
        return {"rows": self._rows.identity, "fields": list(self._names)}


def distinct(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return texts in the order in which they first appear, each once, and the number of its text for each of them [n]."""
    if isinstance(texts, RowTexts):
        return texts.distinct()
    seen: dict[str, int] = {}
    codes = [seen.setdefault(text, len(seen)) for text in texts]
    return list(seen), np.array(codes, dtype=np.int32)
