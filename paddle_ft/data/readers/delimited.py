"""Tab- and comma-separated files.

.tsv: fields stand between tabs, and quotes are ordinary characters, as in GLUE, LCSTS and most corpora.
.csv: quoting follows RFC 4180; a quoted field may span lines, and "" is a quote inside one.
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

MAX_FIELD_LENGTH = 2**24  # characters; a longer field means that a quote was never closed

Cells = tuple[int, list[str], str | None]
"""Number of the first line, the fields, and what is wrong with the line, if anything."""


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (line, row or reason). Raise UserError if the header lacks a column, or if nothing follows the header."""
    yield from _read_rows(file, fields, _split_tsv if extension(file.path) == ".tsv" else _split_csv)


def read_quoted(file: DataFile, fields: Fields, delimiter: str) -> Iterator[Record]:
    """Yield (line, row or reason) of a file with the quoting of .csv and any delimiter, whatever its extension is."""
    yield from _read_rows(file, fields, partial(_split_csv, delimiter=delimiter))


READER = Reader((".tsv", ".csv"), read)


@dataclass
class _Shape:
    """The number of fields in a row (0 until it is known), and what it was learnt from."""

    width: int = 0
    learnt_from: str | None = None


def _read_rows(file: DataFile, fields: Fields, split: Callable[[DataFile, _Shape], Iterator[Cells]]) -> Iterator[Record]:
    positions = {name: int(column) for name, column in fields.mapped.items()} if fields.numbered else None
    shape = _Shape(learnt_from=None if fields.numbered else "the header")
    only_header = False
    blank_lines: list[int] = []  # blank lines are bad rows unless they end the file
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
    """Return the row, or the reason why there is none. The first row that is wide enough sets an unknown width."""
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
        f"{path}: no column {column!r} in the first line, which reads\n{cells}\n"
        f"If that is a header, name the columns: data.columns='{{{names}}}'; "
        f"if the file has none, number them: data.columns='{{{numbers}}}' (in the order that is right)"
    )


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


# ---------------------------------------------------------------------------------------------------- lines to fields
def _split_tsv(file: DataFile, shape: _Shape) -> Iterator[Cells]:
    for line, (text, reason) in enumerate(file.lines(), start=1):
        yield line, text.split("\t"), reason


class _RewindableLines:
    """Lines for csv.reader that can be read again: after a quote that never closes, reading resumes behind its line."""

    def __init__(self, file: DataFile):
        self.lines = enumerate(file.lines(), start=1)
        self.pending: list[tuple[int, tuple[str, str | None]]] = []
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
        # Each fault needs a new csv.reader: one that has failed keeps the half-read record.
        for cells in _csv_records(lines, delimiter):
            current = lines.current
            if cells is None or (len(current) > 1 and shape.width and len(cells) != shape.width):
                start, end = current[0][0], current[-1][0]
                where = f"not closed properly up to line {end}" if end > start else "not closed, or text follows it"
                lines.rewind()
                yield start, [], f"lone quote: the quoted field that opens on this line is {where}"
                break
            reason = next((problem for _, (_, problem) in current if problem), None)
            yield current[0][0], cells, reason
            current.clear()
        else:
            return


def _csv_records(lines: _RewindableLines, delimiter: str) -> Iterator[list[str] | None]:
    """Yield the records of csv.reader, and None for one that breaks the rules of quoting."""
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
