"""Tab- and comma-separated files.

.tsv: fields are what stands between tabs; quotes are ordinary characters, as GLUE, LCSTS and most corpora have it.
.csv: quoting as in RFC 4180; a quoted field may span lines, "" is a quote within one.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from paddle_ft.data.readers import extension
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, take
from paddle_ft.system.errors import UserError

EXTENSIONS = (".tsv", ".csv")
LONGEST_FIELD = 2**24  # characters; beyond it a quote was certainly never closed


def read(file: DataFile, fields: Fields) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yields (line, row or reason). Raises UserError if the columns cannot be found in the first line, or nothing follows it."""
    yield from _rows(file, fields, _tsv if extension(file.path) == ".tsv" else _csv)


def read_quoted(file: DataFile, fields: Fields, delimiter: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The same with a csv's quoting and any delimiter, whatever the file is called."""
    yield from _rows(file, fields, partial(_csv, delimiter=delimiter))


def _rows(file: DataFile, fields: Fields, split: Callable) -> Iterator[tuple[int, dict[str, str] | str]]:
    places = _places_by_number(fields) if fields.numbered else None
    header = None if fields.numbered else "the header"
    header_alone = False
    shape = _Shape()
    blank_since: list[int] = []  # blank lines are bad rows, unless they end the file
    for line, cells, reason in split(file, shape):
        if not reason and (not cells or (len(cells) == 1 and not cells[0].strip())):
            blank_since.append(line)
            continue
        for blank in blank_since:
            yield blank, "blank line"
        blank_since.clear()
        if places is None:
            if reason:
                raise UserError(f"{file.path}:{line}: {reason} (in the header)")
            places, shape.width = _places_by_name(file.path, cells, fields), len(cells)
            header_alone = True
            continue
        header_alone = False
        if reason:
            yield line, reason
            continue
        if not shape.width and len(cells) > max(places.values()):
            shape.width, header = len(cells), f"line {line}"
        if len(cells) != shape.width:
            yield line, _wrong_width(cells, shape.width or max(places.values()) + 1, header)
            continue
        yield line, take({name: cells[place] for name, place in places.items()}, fields)
    if header_alone:
        raise UserError(f"{file.path}: the file has a header but no rows")


@dataclass
class _Shape:
    """How many fields a row of the file has; 0 until that is known."""

    width: int = 0


def _wrong_width(cells: list[str], width: int, header: str | None) -> str:
    found = f"{len(cells)} field{'s' if len(cells) != 1 else ''}"
    return f"{found} where {header} has {width}" if header else f"{found} where at least {width} are needed"


def _places_by_number(fields: Fields) -> dict[str, int]:
    return {name: int(column) for name, column in fields.mapped.items()}


def _places_by_name(path: str, header: list[str], fields: Fields) -> dict[str, int]:
    wanted = fields.by_name(path)
    for name, column in wanted.items():
        if column not in header and (name in fields.required or name in fields.mapped):
            raise UserError(_no_column(path, column, header, fields))
        if header.count(column) > 1:
            raise UserError(f"{path}: the header has {header.count(column)} columns named {column!r}")
    return {name: header.index(column) for name, column in wanted.items() if column in header}


def _no_column(path: str, column: str, header: list[str], fields: Fields) -> str:
    shown = "\n".join(f"  {number}: {_short(cell)}" for number, cell in enumerate(header))
    names = list(fields.required)
    numbers = ", ".join(f"{name}: {number}" for number, name in enumerate(names))
    return (
        f"{path}: no column {column!r} in the first line, which reads\n{shown}\n"
        f"If that is a header, name the columns: data.columns='{{{', '.join(f'{name}: NAME' for name in names)}}}'; "
        f"if the file has none, number them: data.columns='{{{numbers}}}' (in the order that is right)"
    )


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _tsv(file: DataFile, shape: _Shape) -> Iterator[tuple[int, list[str], str | None]]:
    for line, (text, reason) in enumerate(file.lines(), start=1):
        yield line, text.split("\t"), reason


class _Tape:
    """Lines for csv.reader that can be put back: after a quote that never closes, reading resumes behind its line."""

    def __init__(self, file: DataFile):
        self.lines = enumerate(file.lines(), start=1)
        self.again: list[tuple[int, tuple[str, str | None]]] = []
        self.used: list[tuple[int, tuple[str, str | None]]] = []

    def __iter__(self):
        return self

    def __next__(self) -> str:
        entry = self.again.pop() if self.again else next(self.lines)
        self.used.append(entry)
        return entry[1][0] + "\n"

    def rewind(self) -> None:
        """Puts back all lines of the current record but the first."""
        self.again.extend(reversed(self.used[1:]))
        del self.used[1:]


def _csv(file: DataFile, shape: _Shape, delimiter: str = ",") -> Iterator[tuple[int, list[str], str | None]]:
    csv.field_size_limit(LONGEST_FIELD)
    tape = _Tape(file)
    while True:
        tape.used.clear()
        # a reader of its own after each fault: one that has failed keeps the half-read record
        for cells in _records(tape, delimiter):
            lines = tape.used
            if cells is None or (len(lines) > 1 and shape.width and len(cells) != shape.width):
                start, end = lines[0][0], lines[-1][0]
                where = f"not closed properly up to line {end}" if end > start else "not closed, or text follows it"
                tape.rewind()
                yield start, [], f"lone quote: the quoted field that opens on this line is {where}"
                break
            reason = next((problem for _, (_, problem) in lines if problem), None)
            yield lines[0][0], cells, reason
            tape.used.clear()
        else:
            return


def _records(tape: _Tape, delimiter: str) -> Iterator[list[str] | None]:
    """Records of csv.reader; None for one that breaks the rules of quoting."""
    reader = csv.reader(tape, strict=True, delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
