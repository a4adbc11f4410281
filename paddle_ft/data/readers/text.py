"""Plain text: one text a line, for the only required field. files.py reads text files whose lines belong together."""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row
from paddle_ft.system.errors import UserError


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (line, row or reason). Raise UserError if a row needs more than one text, or if columns are mapped."""
    if len(fields.required) != 1:
        example = ", ".join(f"{name}: {name}.txt" for name in fields.required)
        raise UserError(
            f"{file.path}: a .txt file holds one text a line, but {' and '.join(fields.required)} are needed; "
            f"give one file for each: {{{example}}}"
        )
    if fields.mapped:
        raise UserError(f"{file.path}: data.columns is set, but a .txt file has no columns")
    (name,) = fields.required
    for line, (text, reason) in enumerate(file.lines(), start=1):
        yield line, reason or make_row({name: text}, fields)


READER = Reader((".txt",), read)
