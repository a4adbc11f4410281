"""Find out which character separates the fields of a table: commas, semicolons (Excel in many countries), tabs or bars."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from paddle_ft.data.readers.encodings import Line
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.readers.table import Cells, Shape, is_blank
from paddle_ft.data.rows import Fields

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SETTINGS = {"tab": "\t"}
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # Excel writes and reads this as the first line

Split = Callable[[list[tuple[int, Line]], Shape, str, bool], Iterator[Cells]]
"""Splits lines into records: delimited._split."""


@dataclass(frozen=True)
class Choice:
    """The separator of a file.

    Attributes:
        separator: the character.
        skipped: number of lines before the table, 1 if the first line only names the separator.
        hint: what a message about a missing column says about how the header was read, or "".
    """

    separator: str
    skipped: int = 0
    hint: str = ""


def choose_separator(file: DataFile, head: list[tuple[int, Line]], fields: Fields, split: Split, is_tsv: bool) -> Choice:
    """Return the separator of a file: data.separator, what the line sep=; says, or the first one with which the columns are there.

    Args:
        file: the file.
        head: its first lines.
        fields: the task's fields.
        split: splits lines into records.
        is_tsv: whether the file is .tsv, so that tabs are tried first instead of commas.
    """
    setting = file.reading.separator
    named = _SEP_LINE.fullmatch(head[0][1][0]) if head else None
    skipped = 1 if named else 0
    if setting != "auto":
        return Choice(_SETTINGS.get(setting, setting), skipped)
    own = "\t" if is_tsv else ","
    if named:
        if named[1] != own:
            kind = NAMES.get(named[1], repr(named[1]))
            file.decide(f"its fields are separated by {kind}, as its first line says (data.separator={_setting(named[1])})")
        return Choice(named[1], skipped)
    records = {own: _first_records(head, split, own, is_tsv)}
    is_right = _has_numbered_columns if fields.numbered else _has_named_columns
    if is_right(records[own], fields) or (fields.numbered and _width(records[own]) > 1):
        return Choice(own)
    records |= {other: _first_records(head, split, other, is_tsv) for other in NAMES if other != own}
    for separator, found in records.items():
        if is_right(found, fields):
            file.decide(f"its fields are separated by {NAMES[separator]} (data.separator={_setting(separator)})")
            return Choice(separator)
    widest = max(records, key=lambda separator: _width(records[separator]))
    if fields.numbered or widest == own:
        return Choice(own)
    return Choice(widest, hint=f"split at {NAMES[widest]} (data.separator={_setting(widest)}) ")


def _setting(separator: str) -> str:
    return next((name for name, character in _SETTINGS.items() if character == separator), separator)


def _first_records(head: list[tuple[int, Line]], split: Split, separator: str, is_tsv: bool) -> list[list[str]]:
    """Return the first records that are neither blank nor wrong. Only the last of them may be cut off."""
    records = (cells for _, cells, reason in split(head, Shape(), separator, is_tsv) if not reason and not is_blank(cells))
    return list(islice(records, 10))


def _width(records: list[list[str]]) -> int:
    return len(records[0]) if records else 0


def _has_named_columns(records: list[list[str]], fields: Fields) -> bool:
    return bool(records) and fields.fit(records[0])


def _has_numbered_columns(records: list[list[str]], fields: Fields) -> bool:
    """Return whether all records have the same number of fields, and enough of them."""
    widths = {len(cells) for cells in records}
    return len(widths) == 1 and widths.pop() > max(int(column) for column in fields.mapped.values())
