"""Read tables as text, .csv and .tsv: records of fields with a separator between them (separators.py finds out which).

In .tsv files with tabs, quotes are ordinary characters, as in GLUE, LCSTS and most corpora. Otherwise quoting follows RFC 4180: a
quoted field may span several lines, and "" is a quote inside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from paddle_ft.data.readers import extension
from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.encodings import Line
from paddle_ft.data.readers.separators import choose_separator
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.readers.table import Cells, Shape, read_table
from paddle_ft.data.rows import Fields, Record

MAX_FIELD_LENGTH = 2**24  # characters; if a field is longer, a quote was never closed
MAX_FIELD_LINES = 100_000  # likewise
_PEEKED_LINES = 20
_PEEKED_CHARACTERS = 2**20

Lines = Iterable[tuple[int, Line]]
"""(line number, line) for each line of a file."""


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (line, row or reason) for each record. Raise UserError if the header lacks a column or no row follows it."""
    lines = enumerate(file.lines(), start=1)
    head = list(_peek(lines))
    is_tsv = extension(file.path) == ".tsv"
    choice = choose_separator(file, head, fields, _split, is_tsv)
    shape = Shape()
    lines = chain(head[choice.skipped :], lines)
    if is_tsv and choice.separator == "\t":
        lines = _count_quoted(file, lines)
    yield from read_table(file.path, fields, _split(lines, shape, choice.separator, is_tsv), shape, choice.hint)


def read_quoted(file: DataFile, fields: Fields, separator: str) -> Iterator[Record]:
    """Yield (line, row or reason) for each record of a file that is quoted like .csv but has another separator.

    Args:
        file: the file. Its extension does not matter.
        fields: the task's fields.
        separator: the character between fields.

    Raises:
        UserError: the header lacks a column, or no row follows it.
    """
    shape = Shape()
    records = _split_quoted(enumerate(file.lines(), start=1), shape, separator)
    yield from read_table(file.path, fields, records, shape)


READER = Reader((".tsv", ".csv"), read)


def _peek(lines: Lines) -> Iterator[tuple[int, Line]]:
    """Yield the first lines, fewer if they are very long."""
    length = 0
    for entry in islice(lines, _PEEKED_LINES):
        yield entry
        length += len(entry[1][0])
        if length > _PEEKED_CHARACTERS:
            return


def _count_quoted(file: DataFile, lines: Lines) -> Iterator[tuple[int, Line]]:
    """Yield the lines of a .tsv. Tell the user of fields that look as if they were quoted, because their quotes are kept."""
    count = 0
    try:
        for entry in lines:
            if '""' in entry[1][0]:
                count += sum(map(_is_quoted, entry[1][0].split("\t")))
            yield entry
    finally:
        if count:
            fields = "field is" if count == 1 else "fields are"
            file.decide(f"{count:,} {fields} quoted as in a .csv, but a .tsv has no quoting; if it has, name the file .csv")


def _is_quoted(cell: str) -> bool:
    """Return whether a field is in quotes with a doubled quote inside."""
    inner = cell[1:-1]
    return len(cell) > 3 and cell[0] == cell[-1] == '"' and '""' in inner and '"' not in inner.replace('""', "")


def _split(lines: Lines, shape: Shape, separator: str, is_tsv: bool) -> Iterator[Cells]:
    """Yield the records of lines. `shape` is the table's width as far as it is known."""
    if is_tsv and separator == "\t":
        return ((line, text.split("\t"), reason) for line, (text, reason) in lines)
    return _split_quoted(lines, shape, separator)


class _RewindableLines:
    """Lines for csv.reader that can be read a second time.

    A quote that is never closed swallows all lines after it. `rewind` lets reading resume after the line with the quote.
    """

    def __init__(self, lines: Lines):
        self.lines = iter(lines)
        self.pending: list[tuple[int, Line]] = []  # lines to read again, the next one last
        self.current: list[tuple[int, Line]] = []  # lines of the current record

    def __iter__(self):
        return self

    def __next__(self) -> str:
        if len(self.current) > MAX_FIELD_LINES:
            raise csv.Error
        entry = self.pending.pop() if self.pending else next(self.lines)
        self.current.append(entry)
        return entry[1][0] + "\n"

    def rewind(self) -> None:
        """Put back all lines of the current record except the first."""
        self.pending.extend(reversed(self.current[1:]))
        del self.current[1:]


def _split_quoted(lines: Lines, shape: Shape, separator: str) -> Iterator[Cells]:
    csv.field_size_limit(MAX_FIELD_LENGTH)
    rewindable = _RewindableLines(lines)
    while True:
        rewindable.current.clear()
        # After an error a new csv.reader is needed, because the old one keeps the half-read record.
        for cells in _csv_records(rewindable, separator):
            current = rewindable.current
            if cells is None or (len(current) > 1 and shape.width and len(cells) != shape.width):
                start, end = current[0][0], current[-1][0]
                problem = f"not closed properly up to line {end}" if end > start else "not closed, or text follows it"
                rewindable.rewind()
                yield start, [], f"lone quote: the quoted field that opens on this line is {problem}"
                break
            reason = next((line_reason for _, (_, line_reason) in current if line_reason), None)
            yield current[0][0], cells, reason
            current.clear()
        else:
            return


def _csv_records(lines: _RewindableLines, separator: str) -> Iterator[list[str] | None]:
    """Yield the records of csv.reader, and None for a record whose quoting is wrong."""
    reader = csv.reader(lines, strict=True, delimiter=separator)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
