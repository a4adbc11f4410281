"""Read tab- and comma-separated files.

In .tsv files, fields are separated by tabs and quotes are ordinary characters, as in GLUE, LCSTS and most corpora. In .csv files,
quoting follows RFC 4180: a quoted field may span several lines, and "" is a quote inside it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from paddle_ft.data.readers import extension
from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row
from paddle_ft.system.errors import UserError

MAX_FIELD_LENGTH = 2**24  # characters; if a field is longer, a quote was never closed

Cells = tuple[int, list[str], str | None]
"""(number of the first line, fields, reason). The reason is None unless the record cannot be used."""


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (line, row or reason) for each record. Raise UserError if the header lacks a column or no row follows it."""
    yield from _read_rows(file, fields, _split_tsv if extension(file.path) == ".tsv" else _split_csv)


def read_quoted(file: DataFile, fields: Fields, delimiter: str) -> Iterator[Record]:
    """Yield (line, row or reason) for each record of a file that is quoted like .csv but has another delimiter.

    Args:
        file: the file. Its extension does not matter.
        fields: the task's fields.
        delimiter: the character between fields.

    Raises:
        UserError: the header lacks a column, or no row follows it.
    """
    yield from _read_rows(file, fields, partial(_split_csv, delimiter=delimiter))


READER = Reader((".tsv", ".csv"), read)


@dataclass
class _Shape:
    """The number of fields in a row.

    Attributes:
        width: the number, or 0 until it is known.
        learnt_from: "the header" or a line, for messages.
    """

    width: int = 0
    learnt_from: str | None = None


def _read_rows(file: DataFile, fields: Fields, split: Callable[[DataFile, _Shape], Iterator[Cells]]) -> Iterator[Record]:
    positions = {name: int(column) for name, column in fields.mapped.items()} if fields.numbered else None
    shape = _Shape(learnt_from=None if fields.numbered else "the header")
    only_header = False
    blank_lines: list[int] = []  # blank lines are bad rows, except at the end of the file
    for line, cells, reason in split(file, shape):
        if not reason and (not cells or (len(cells) == 1 and not cells[0].strip())):
            blank_lines.append(line)
            continue
        for blank_line in blank_lines:
            yield blank_line, "blank line"
        blank_lines.clear()
        if positions is None:
            if reason:
                raise UserError(f"{file.path}:{line}: {reason} (in the header)")
            positions, shape.width = _find_columns(file.path, cells, fields), len(cells)
            only_header = True
            continue
        only_header = False
        yield line, reason or _make_row(line, cells, positions, shape, fields)
    if only_header:
        raise UserError(f"{file.path}: the file has a header but no rows")


def _make_row(line: int, cells: list[str], positions: dict[str, int], shape: _Shape, fields: Fields) -> dict[str, str] | str:
    """Return the row, or the reason why it cannot be used. Without a header, the first row with enough fields sets the width."""
    if not shape.width and len(cells) > max(positions.values()):
        shape.width, shape.learnt_from = len(cells), f"line {line}"
    if len(cells) != shape.width:
        count = f"{len(cells)} field{'s' if len(cells) != 1 else ''}"
        if shape.learnt_from:
            return f"{count} where {shape.learnt_from} has {shape.width or max(positions.values()) + 1}"
        return f"{count} where at least {max(positions.values()) + 1} are needed"
    return make_row({name: cells[position] for name, position in positions.items()}, fields)


# ---------------------------------------------------------------------------------------------------- the header
def _find_columns(path: str, header: list[str], fields: Fields) -> dict[str, int]:
    """Return field -> position of its column."""
    columns = fields.column_names(path)
    for name, column in columns.items():
        if column not in header and (name in fields.required or name in fields.mapped):
            raise UserError(_no_column_message(path, column, header, fields))
        if header.count(column) > 1:
            raise UserError(f"{path}: the header has {header.count(column)} columns named {column!r}")
    return {name: header.index(column) for name, column in columns.items() if column in header}


def _no_column_message(path: str, column: str, header: list[str], fields: Fields) -> str:
    cells = "\n".join(f"  {number}: {_shorten(cell)}" for number, cell in enumerate(header))
    names = ", ".join(f"{name}: NAME" for name in fields.required)
    numbers = ", ".join(f"{name}: {number}" for number, name in enumerate(fields.required))
    return (
        f"{path}: no column {column!r} in the first line, which has\n{cells}\n"
        f"If this is a header, name the columns: data.columns='{{{names}}}'; "
        f"if the file has no header, number them: data.columns='{{{numbers}}}' (with the right numbers)"
    )


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


# ---------------------------------------------------------------------------------------------------- lines to fields
def _split_tsv(file: DataFile, shape: _Shape) -> Iterator[Cells]:
    for line, (text, reason) in enumerate(file.lines(), start=1):
        yield line, text.split("\t"), reason


class _RewindableLines:
    """Lines for csv.reader that can be read a second time.

    A quote that is never closed swallows all lines after it. `rewind` lets reading resume after the line with the quote.
    """

    def __init__(self, file: DataFile):
        self.lines = enumerate(file.lines(), start=1)
        self.pending: list[tuple[int, tuple[str, str | None]]] = []  # lines to read again, the next one last
        self.current: list[tuple[int, tuple[str, str | None]]] = []  # lines of the current record

    def __iter__(self):
        return self

    def __next__(self) -> str:
        entry = self.pending.pop() if self.pending else next(self.lines)
        self.current.append(entry)
        return entry[1][0] + "\n"

    def rewind(self) -> None:
        """Put back all lines of the current record except the first."""
        self.pending.extend(reversed(self.current[1:]))
        del self.current[1:]


def _split_csv(file: DataFile, shape: _Shape, delimiter: str = ",") -> Iterator[Cells]:
    csv.field_size_limit(MAX_FIELD_LENGTH)
    lines = _RewindableLines(file)
    while True:
        lines.current.clear()
        # After an error a new csv.reader is needed, because the old one keeps the half-read record.
        for cells in _csv_records(lines, delimiter):
            current = lines.current
            if cells is None or (len(current) > 1 and shape.width and len(cells) != shape.width):
                start, end = current[0][0], current[-1][0]
                problem = f"not closed properly up to line {end}" if end > start else "not closed, or text follows it"
                lines.rewind()
                yield start, [], f"lone quote: the quoted field that opens on this line is {problem}"
                break
            reason = next((line_reason for _, (_, line_reason) in current if line_reason), None)
            yield current[0][0], cells, reason
            current.clear()
        else:
            return


def _csv_records(lines: _RewindableLines, delimiter: str) -> Iterator[list[str] | None]:
    """Yield the records of csv.reader, and None for a record whose quoting is wrong."""
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
