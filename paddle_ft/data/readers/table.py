"""Turn the records of a table into rows: find the columns in its header, or by their numbers, and check the width of each record.

The readers of delimited files and of Excel's use this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from paddle_ft.data.rows import MAX_NAMES, Fields, Record, make_row
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import shorten

Cells = tuple[int, list, str | None]
"""(number of the first line, cells, reason). The reason is None unless the record cannot be used."""


@dataclass
class Shape:
    """The number of cells in a record.

    Attributes:
        width: the number, or 0 until it is known.
        learnt_from: "the header" or a line, for messages.
    """

    width: int = 0
    learnt_from: str | None = None


@dataclass
class _Columns:
    """Where the fields are: field -> position, and for Fields.complete the names and positions of the other columns."""

    positions: dict[str, int]
    others: dict[str, int]


def read_table(path: str, fields: Fields, records: Iterable[Cells], shape: Shape, hint: str = "") -> Iterator[Record]:
    """Yield (line, row or reason) for each record of a table.

    Args:
        path: the file, for messages.
        fields: the task's fields. If their columns are numbered, the table has no header.
        records: the records, from the header on. Blank ones are bad rows, except at the end.
        shape: the width of the table, which is set here, for the producer of `records` too.
        hint: what a message about a missing column says about how the header was read, with a space at its end.

    Raises:
        UserError: the header lacks a column, or no row follows it.
    """
    columns = None
    if fields.numbered:
        columns = _Columns({name: int(column) for name, column in fields.mapped.items()}, {})
    shape.learnt_from = None if fields.numbered else "the header"
    only_header = False
    blank_lines: list[int] = []
    for line, cells, reason in records:
        if not reason and is_blank(cells):
            blank_lines.append(line)
            continue
        for blank_line in blank_lines:
            yield blank_line, "blank line"
        blank_lines.clear()
        if columns is None:
            if reason:
                raise UserError(f"{path}:{line}: {reason} (in the header)")
            columns, shape.width = _find_columns(path, cells, fields, hint), len(cells)
            only_header = True
            continue
        only_header = False
        yield line, reason or _make_row(line, cells, columns, shape, fields)
    if only_header:
        raise UserError(f"{path}: the file has a header but no rows")


def is_blank(cells: list) -> bool:
    """Return whether a record has no cells, or one without a character."""
    return not cells or (len(cells) == 1 and not str(cells[0]).strip())


def _make_row(line: int, cells: list, columns: _Columns, shape: Shape, fields: Fields) -> dict[str, str] | str:
    """Return the row, or the reason why it cannot be used. Without a header, the first row with enough cells sets the width."""
    positions = columns.positions
    if not shape.width and len(cells) > max(positions.values()):
        shape.width, shape.learnt_from = len(cells), f"line {line}"
        if fields.complete:
            columns.others = {str(number): number for number in range(len(cells)) if number not in positions.values()}
    if len(cells) != shape.width:
        count = f"{len(cells)} field{'s' if len(cells) != 1 else ''}"
        if shape.learnt_from:
            return f"{count} where {shape.learnt_from} has {shape.width or max(positions.values()) + 1}"
        return f"{count} where at least {max(positions.values()) + 1} are needed"
    others: dict[str, Any] | None = None
    if fields.complete:
        others = {name: cells[position] for name, position in columns.others.items()}
    return make_row({name: cells[position] for name, position in positions.items()}, fields, others)


def _find_columns(path: str, header: list[str], fields: Fields, hint: str) -> _Columns:
    """Return where the columns are. Raise UserError if one is missing or is there twice."""
    names = fields.column_names(path)
    for name, column in names.items():
        if column not in header and (name in fields.required or name in fields.mapped):
            raise UserError(_no_column_message(path, column, header, fields, hint))
        if header.count(column) > 1:
            raise UserError(f"{path}: the header has {header.count(column)} columns named {column!r}")
    used = set(names.values())
    others = {column: position for position, column in enumerate(header) if fields.complete and column not in used}
    return _Columns({name: header.index(column) for name, column in names.items() if column in header}, others)


def _no_column_message(path: str, column: str, header: list[str], fields: Fields, hint: str) -> str:
    cells = "\n".join(f"  {number}: {shorten(cell)}" for number, cell in enumerate(header[:MAX_NAMES]))
    cells += f"\n  and {len(header) - MAX_NAMES:,} more" if len(header) > MAX_NAMES else ""
    names = ", ".join(f"{name}: NAME" for name in fields.required)
    numbers = ", ".join(f"{name}: {number}" for number, name in enumerate(fields.required))
    return (
        f"{path}: no column {column!r} in the first line, which {hint}has\n{cells}\n"
        f"If this is a header, name the columns: data.columns='{{{names}}}'; "
        f"if the file has no header, number them: data.columns='{{{numbers}}}' (with the right numbers)"
    )
