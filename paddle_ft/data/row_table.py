"""Rows in an Arrow table, on disk or in memory, for data with too many rows for a Python object each.

A table takes a tenth of the memory of a list of dictionaries. On disk it takes none: a row is read when it is accessed.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

from paddle_ft.data.arrays import AppendedFile
from paddle_ft.system.cache import cached_value
from paddle_ft.system.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_IN_MEMORY = 50_000  # rows that are collected as Python objects; fewer rows never become a table
CHARACTERS_IN_MEMORY = 2**25  # or this many characters, if the texts are long
ROWS_AT_ONCE = 5_000  # rows that are made into Python objects at once where all are needed
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # of a stream of Arrow messages

Row = dict[str, str]
T = TypeVar("T")


class RowTable(Sequence):
    """Rows in Arrow record batches: `table[i]` is a dictionary, and a slice is a table again.

    Attributes:
        cache: a folder of the cache for what `remember` computes; None: it is computed every time.
    """

    def __init__(self, batches: list[pa.RecordBatch], digest: str, mapped: mmap.mmap | None = None, numbers=None):
        """Make a table.

        Args:
            batches: the rows.
            digest: their digest (digest_rows).
            mapped: the file that the batches are in; None: they are in memory.
            numbers: which of these rows are rows of the table, a range or an array; None: all.
        """
        self._batches, self._mapped, self._digest_of_batches = batches, mapped, digest
        self._ends = np.cumsum([batch.num_rows for batch in batches])
        self._all = range(int(self._ends[-1]))
        self._numbers = self._all if numbers is None else numbers
        self.cache: Path | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.select(index)
        return self._read([self._numbers[index]])[0]

    def __iter__(self) -> Iterator[Row]:
        ends = self._ends if self.is_whole else np.array([len(self)])  # long texts fill a batch with few rows: it is read alone
        start = 0
        while start < len(self):
            end = min(start + ROWS_AT_ONCE, int(ends[np.searchsorted(ends, start, side="right")]))
            yield from self._read(self._numbers[start:end])
            start = end

    def select(self, indices: slice | np.ndarray) -> RowTable:
        """Return a table of some of the rows, in this order."""
        numbers = self._numbers if isinstance(indices, slice) else _to_array(self._numbers)
        selected = RowTable(self._batches, self._digest_of_batches, self._mapped, numbers[indices])
        selected.cache = self.cache
        return selected

    @property
    def is_whole(self) -> bool:
        """Whether these are all rows of the batches in their order."""
        return isinstance(self._numbers, range) and self._numbers == self._all

    @property
    def identity(self) -> Any:
        """What the rows depend on, in a form that is fast to compute; it can be serialised as JSON."""
        if self.is_whole:
            return self._digest_of_batches
        return [self._digest_of_batches, hashlib.sha256(_to_array(self._numbers).astype(np.int64)).hexdigest()]

    def digest(self) -> str:
        """Return the digest of the rows (digest_rows)."""
        if self.is_whole:
            return self._digest_of_batches
        return self.remember("digest", lambda: digest_rows(self).hexdigest())

    def remember(self, key: Any, compute: Callable[[], T]) -> T:
        """Return what `compute` returns, from the cache if it was computed before.

        Args:
            key: what the value depends on besides the rows; must be serialisable as JSON, like the value.
            compute: computes it from the rows.
        """
        return cached_value(self.cache, {"rows": self.identity, "value": key}, compute)

    def missing(self, name: str) -> np.ndarray:
        """Return the numbers of the rows that do not have a field, in ascending order."""
        found = []
        for batch in self._batches:
            if name in batch.schema.names and batch.column(name).null_count == 0:
                found.append(np.zeros(batch.num_rows, bool))
            elif name in batch.schema.names:
                found.append(batch.column(name).is_null().to_numpy(zero_copy_only=False))
            else:
                found.append(np.ones(batch.num_rows, bool))
        self._release()
        is_missing = np.concatenate(found)
        return np.flatnonzero(is_missing if self.is_whole else is_missing[_to_array(self._numbers)])

    def distinct(self, name: str) -> tuple[list[str | None], np.ndarray]:
        """Return the values of a field in the order in which they first appear, and the number of its value for each row [n]."""
        import pyarrow as pa
        import pyarrow.compute as pc

        seen: dict[str | None, int] = {}
        codes = []
        for batch in self._batches:
            column = batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, pa.string())
            encoded = pc.dictionary_encode(column, null_encoding="encode")
            code_of = [seen.setdefault(value, len(seen)) for value in encoded.dictionary.to_pylist()]
            codes.append(np.array(code_of, dtype=np.int32)[encoded.indices.to_numpy()])
            self._release()
        values, all_codes = list(seen), np.concatenate(codes)
        if self.is_whole:
            return values, all_codes
        present, first, own_codes = np.unique(all_codes[_to_array(self._numbers)], return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order))
        return [values[code] for code in present[order]], rank[own_codes]

    def column(self, name: str, index: slice) -> list[str]:
        """Return the texts of a field for some of the rows, which must all have it."""
        return self._read(self._numbers[index], lambda batch: batch.column(name).to_pylist())

    def _read(self, numbers, convert: Callable[[pa.RecordBatch], list] | None = None) -> list[Any]:
        """Return what `convert` makes of the rows with these numbers; default: the rows."""
        convert = convert or _to_rows
        if isinstance(numbers, range) and numbers.step == 1:
            values = [value for part in self._slices(numbers) for value in convert(part)]
        else:
            values = self._gather(_to_array(numbers), convert)
        self._release()
        return values

    def _slices(self, numbers: range) -> Iterator[pa.RecordBatch]:
        start = numbers.start
        while start < numbers.stop:
            which = int(np.searchsorted(self._ends, start, side="right"))
            end = min(numbers.stop, int(self._ends[which]))
            first = int(self._ends[which]) - self._batches[which].num_rows
            yield self._batches[which].slice(start - first, end - start)
            start = end

    def _gather(self, numbers: np.ndarray, convert: Callable[[pa.RecordBatch], list]) -> list[Any]:
        values: list[Any] = [None] * len(numbers)
        batch_of = np.searchsorted(self._ends, numbers, side="right")
        for which in np.unique(batch_of):
            batch, positions = self._batches[which], np.flatnonzero(batch_of == which)
            found = batch.take((numbers[positions] - (self._ends[which] - batch.num_rows)).astype(np.int64))
            for position, value in zip(positions, convert(found), strict=True):
                values[position] = value
        return values

    def _release(self) -> None:
        """Let the system take back the memory that it holds what was read of the file in."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


def _to_array(numbers) -> np.ndarray:
    return np.arange(numbers.start, numbers.stop, numbers.step) if isinstance(numbers, range) else np.asarray(numbers)


def _to_rows(batch: pa.RecordBatch) -> list[Row]:
    present = [name for name in batch.schema.names if batch.column(name).null_count < batch.num_rows]
    rows = [dict(zip(present, values, strict=True)) for values in zip(*(batch.column(n).to_pylist() for n in present), strict=True)]
    if any(batch.column(name).null_count for name in present):
        return [{name: value for name, value in row.items() if value is not None} for row in rows]
    return rows


def open_table(file: BinaryIO, digest: str) -> RowTable:
    """Return the table in a file that RowWriter has completed. The file may be closed and deleted while the table is in use.

    Raises:
        ValueError: the file is damaged.
    """
    import pyarrow as pa

    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return RowTable(list(pa.ipc.open_stream(pa.py_buffer(mapped))), digest, mapped)


def digest_rows(rows: Iterable[Row], digest=None):
    """Return the SHA-256 of rows in their order: fields by name, and their texts.

    Args:
        rows: the rows.
        digest: the digest of the rows before these, which is continued.
    """
    digest = hashlib.sha256() if digest is None else digest
    for row in rows:
        digest.update("\x1f".join(f"{name}\x1e{row[name]}" for name in sorted(row)).encode("utf-8", "surrogatepass") + b"\x1d")
    return digest


class RowWriter:
    """Collect rows: a few as a list, many as a table, whose rows are written to a file as soon as there are enough of them.

    If the file cannot be written, the table is held in memory from then on.
    """

    def __init__(
        self,
        names: Sequence[str] = (),
        open_file: Callable[[], AppendedFile] | None = None,
        warn: Callable[[Exception], None] | None = None,
        note: Callable[[int], None] | None = None,
    ):
        """Begin without rows.

        Args:
            names: fields that rows may have, besides those of the first rows.
            open_file: opens an empty file for the table. None holds it in memory.
            warn: called with the error if the file cannot be written.
            note: called with the number of rows in the table whenever it has grown.
        """
        self._names, self._open_file, self._warn, self._note = names, open_file, warn, note
        self._rows: list[Row] = []
        self._characters = self._count = 0
        self._digest = hashlib.sha256()
        self._schema: pa.Schema | None = None
        self._batches: list[pa.RecordBatch] = []  # those that are not in the file
        self.file: AppendedFile | None = None

    def __len__(self) -> int:
        return self._count + len(self._rows)

    @property
    def digest(self) -> str:
        """The digest of the rows of the table (digest_rows)."""
        return self._digest.hexdigest()

    def append(self, row: Row) -> None:
        """Add a row."""
        self._rows.append(row)
        try:  # noqa: SIM105 contextlib.suppress would take longer than the rest of this method
            self._characters += sum(map(len, row.values()))
        except TypeError:  # a value that is no text: it is named if the rows become a table
            pass
        if len(self._rows) >= ROWS_IN_MEMORY or self._characters >= CHARACTERS_IN_MEMORY:
            self._flush()

    def finish(self, as_table: bool = False) -> list[Row] | RowTable:
        """Return the rows. With `as_table` they are a table even if they are few, unless there are none."""
        if self._schema is None and not (as_table and self._rows):
            return self._rows
        if self._rows:
            self._flush()
        if self.file is not None:
            try:
                self.file.append(END)
                return open_table(self.file.file, self.digest)
            except OSError as error:
                self._hold_in_memory(error)
        return RowTable(self._batches, self.digest)

    def _flush(self) -> None:
        """Move the collected rows to the table."""
        import pyarrow as pa

        rows, self._rows, self._characters = self._rows, [], 0
        digest_rows(rows, self._digest)
        if self._schema is None:
            names = list(dict.fromkeys([*(name for row in rows for name in row), *self._names]))
            self._schema = pa.schema([(name, pa.string()) for name in names])
            self._begin_file()
        try:
            columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in self._schema.names]
        except (UnicodeEncodeError, pa.ArrowInvalid, pa.ArrowTypeError):
            raise UserError(_describe_unusable(rows, self._count)) from None
        self._refuse_other_fields(rows)
        self._count += len(rows)
        batch = pa.record_batch(columns, schema=self._schema)
        if self._note:
            self._note(self._count)
        if self.file is not None:
            try:
                self.file.append(batch.serialize())
                return
            except OSError as error:
                self._hold_in_memory(error)
        self._batches.append(batch)

    def _begin_file(self) -> None:
        if self._open_file is not None and self._schema is not None:
            try:
                self.file = self._open_file()
                self.file.append(self._schema.serialize())
            except OSError as error:
                self._hold_in_memory(error)

    def _hold_in_memory(self, error: OSError) -> None:
        import pyarrow as pa

        if self._warn:
            self._warn(error)
        if self.file is not None:
            content, self.file = self.file.take_back(), None
            if content:
                self._batches = list(pa.ipc.open_stream(content + END))

    def _refuse_other_fields(self, rows: list[Row]) -> None:
        """Raise UserError if a row has a field that no earlier row has, and that the task does not know."""
        known = set(self._schema.names) if self._schema else set()
        for number, row in enumerate(rows, start=self._count + 1):
            if not known.issuperset(row):
                name = next(name for name in row if name not in known)
                raise UserError(f"row {number} has the field {name!r}, which neither the task nor the first rows have.")


def _describe_unusable(rows: list[Row], count: int) -> str:
    """Return which of some rows cannot be in a table. `count` is the number of rows before them."""
    for number, row in enumerate(rows, start=count + 1):
        for name, value in row.items():
            if not isinstance(value, str):
                return f"row {number}: {name} is {type(value).__name__}, not text"
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"row {number}: {name} contains half a character (a lone surrogate), which is not text"
    return "the rows are too long for a table"
