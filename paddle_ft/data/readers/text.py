"""Read plain text files: one text per line, for a task with one required field. files.py reads parallel text files."""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row
from paddle_ft.system.errors import UserError


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (line, row or reason) for each line.

    Raises:
        UserError: the task needs more than one text per row, or data.columns is set.
    """
    if len(fields.required) != 1:
        example = ", ".join(f"{name}: {name}.txt" for name in fields.required)
        raise UserError(
            f"{file.path}: a .txt file has one text per line, but {' and '.join(fields.required)} are needed; "
            f"give one file for each: {{{example}}}"
        )
    if fields.mapped:
        raise UserError(f"{file.path}: data.columns is set, but a .txt file has no columns")
    (name,) = fields.required
    for line, (text, reason) in enumerate(file.lines(), start=1):
        yield line, reason or make_row({name: text}, fields)


READER = Reader((".txt",), read)
