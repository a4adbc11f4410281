"""Read Excel workbooks (.xlsx) with openpyxl, row by row: FILE.xlsx for the first sheet, or FILE.xlsx:SHEET.

Of a formula, the value that Excel stored last is read. Only the first cell of merged cells has a value.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from paddle_ft.data.readers import split_sheet
from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.readers.table import Cells, Shape, read_table
from paddle_ft.data.rows import Fields, Record
from paddle_ft.data.values import to_text
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

OPENPYXL = "openpyxl>=3.1"  # the extra [xlsx] of pyproject.toml
MAX_UNPACKED = 2**29  # bytes of all parts of a workbook, which is a zip archive (512 MB); they take up to four times that in memory
MAX_ROWS = 2**20  # of a sheet, in Excel
_ERRORS = {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!", "#CALC!"}
_OLD_FORMAT = b"\xd0\xcf\x11\xe0"  # .xls, and .xlsx with a password
_ESCAPE = re.compile(r"_x00([01][0-9A-Fa-f])_")  # how XML writes control characters: _x000D_


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (number, row or reason) for each row of a sheet, numbered as in Excel.

    Raises:
        UserError: openpyxl is not installed, the file is no workbook or a damaged one, or sheet or columns do not exist.
    """
    with _open(file) as (workbook, archive):
        sheet = _choose_sheet(file, workbook)
        has_merged_cells = cache(lambda: _has_merged_cells(archive))
        for number, record in read_table(file.path, fields, _read_records(file, sheet, fields), Shape()):
            if isinstance(record, str) and record.endswith("is missing") and has_merged_cells():
                record += " (the workbook has merged cells; only the first of them has a value)"
            yield number, record


READER = Reader((".xlsx", ".xlsm"), read)


@contextmanager
def _open(file: DataFile) -> Iterator[tuple[Any, zipfile.ZipFile]]:
    """Open the file as a workbook and as the archive that it is. Raise UserError if that is not possible."""
    if importlib.util.find_spec("openpyxl") is None:
        problem = f"reading Excel files needs openpyxl, which is missing in {sys.executable}. Install it"
        raise UserError(f"{file.path}: {problem}:\n  pip install '{OPENPYXL}'")
    from openpyxl import load_workbook

    # It warns of parts that it leaves out, such as rules for the format or the validation of cells.
    warnings.filterwarnings("ignore", module="openpyxl")
    path, _ = split_sheet(file.path)
    packed = DataFile(path, file.reading)
    content = io.BytesIO(packed.content()) if path.lower().endswith(".gz") else None
    with packed.open() as raw:
        stream = _Watched(content or raw)
        if stream.read(len(_OLD_FORMAT)) == _OLD_FORMAT:
            raise UserError(f"{file.path}: this is an old Excel file (.xls), or one with a password; save it as .xlsx without one")
        try:
            archive = zipfile.ZipFile(stream)
            size = sum(part.file_size for part in archive.infolist())
            if size <= MAX_UNPACKED:
                with Progress(os.path.getsize(path), f"open {file.path}", unit="B") as stream.progress:
                    workbook = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
                stream.progress = None
        except Exception as error:  # openpyxl raises many types for files that are not what it expects
            raise _damaged(file, error) from None
        if size > MAX_UNPACKED:
            limit = f"more than the {MAX_UNPACKED >> 20} MB that can be read"
            raise UserError(f"{file.path}: the workbook has {size >> 20:,} MB, unpacked, {limit}; save the sheet as CSV UTF-8")
        yield workbook, archive


class _Watched:
    """A binary stream that shows how much of it was read: openpyxl reads all texts of a workbook when it opens it."""

    def __init__(self, stream):
        self._stream = stream
        self.progress: Progress | None = None

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        if self.progress:
            self.progress.update(len(content))
        return content


def _choose_sheet(file: DataFile, workbook):
    """Return the sheet that the path names, or the first one that is not hidden."""
    _, name = split_sheet(file.path)
    sheets = {sheet.title: sheet for sheet in workbook.worksheets}
    visible = [title for title, sheet in sheets.items() if sheet.sheet_state == "visible"] or list(sheets)
    if name is None and len(visible) > 1:
        file.decide(f"of {len(visible)} sheets the first is read, {visible[0]!r}; another is named like {file.path}:{visible[1]}")
    title = name if name is not None else next(iter(visible), None)
    if title not in sheets:
        raise UserError(f"{file.path}: there is no sheet {title!r}; the sheets are {', '.join(map(repr, sheets)) or 'none'}")
    return sheets[title]


def _read_records(file: DataFile, sheet, fields: Fields) -> Iterator[Cells]:
    """Yield the rows of a sheet as records of the same width. Blank rows are no records: a sheet may have a million of them."""
    width = max(int(column) for column in fields.mapped.values()) + 1 if fields.numbered else 0
    for number, values in _read_rows(file, sheet):
        cells = [_value(value) for value in values]
        if all(value is None for value in cells):
            continue
        if not width:
            cells = _header(cells)
            width = len(cells)
        yield number, cells[:width] + [None] * (width - len(cells)), None


def _read_rows(file: DataFile, sheet) -> Iterator[tuple[int, tuple]]:
    """Yield the number and the values of each row. Raise UserError where the sheet is damaged."""
    num_rows = sheet.max_row
    sheet.reset_dimensions()  # some programs write wrong ones, and then columns are cut off
    rows = enumerate(sheet.iter_rows(values_only=True), start=1)
    with Progress(num_rows, f"read {file.path}", unit="row") as progress:
        while True:
            try:
                number, values = next(rows, (0, ()))
            except Exception as error:  # see _open
                raise _damaged(file, error) from None
            if not number:
                return
            if number > MAX_ROWS:
                raise _damaged(file, ValueError(f"it has more than {MAX_ROWS:,} rows"))
            progress.update()
            yield number, values


def _value(value):
    """Return the value of a cell: None for an error such as #N/A or an empty text, and a text without XML's escapes."""
    if not isinstance(value, str):
        return value
    return None if not value or value in _ERRORS else _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value)


def _header(cells: list) -> list[str]:
    """Return the names of the columns, "" for one without a name. Cells on the right without names do not count."""
    names = []
    for cell in cells:
        try:
            names.append(to_text(cell) or "")
        except TypeError as error:
            names.append(str(error))
    while names and not names[-1]:
        names.pop()
    return names


def _has_merged_cells(archive: zipfile.ZipFile) -> bool:
    """Return whether any sheet has merged cells. They are listed after its rows, so openpyxl does not know when it reads these."""
    for name in archive.namelist():
        if name.startswith("xl/worksheets/"):
            try:
                with archive.open(name) as part:
                    end = b""
                    while chunk := part.read(2**20):
                        if b"<mergeCell " in end + chunk:
                            return True
                        end = chunk[-16:]
            except Exception:  # a damaged part; what it says does not matter for a hint
                continue
    return False


def _damaged(file: DataFile, error: Exception) -> UserError:
    return UserError(f"{file.path}: not an Excel workbook, or a damaged one: {type(error).__name__}: {error}")
