"""Plain text: one text a line, for the only required field. Two files side by side make pairs: see files.py."""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, take
from paddle_ft.system.errors import UserError

EXTENSIONS = (".txt",)


def read(file: DataFile, fields: Fields) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yields (line, row or reason). Raises UserError where a row needs more than one text, or columns are mapped."""
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
        yield line, reason or take({name: text}, fields)
