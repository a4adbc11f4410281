"""Rows as every source delivers them, and the one place that decides whether a row is usable."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from paddle_ft.system.errors import UserError


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used. `line` counts from 1 (for formats without lines: the row)."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass
class Rows:
    """`rows`: one dict a row, task field -> text. `bad`: what was skipped. `files`: where the rows came from. `info`: what a
    task did to make them, for the report."""

    rows: list[dict[str, str]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Fields:
    """The task's fields and the columns they are read from.

    `columns` maps a field to a column's name or to its 0-based number (for files without a header); a field that is not
    mapped is read from the column of its own name. `required` fields must hold text, `optional` ones may be absent.

    Raises: UserError for a mapping that cannot be meant (unknown field, names mixed with numbers, a negative number).
    """

    columns: dict[str, str | int | None]
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    def __post_init__(self):
        known = self.required + self.optional
        unknown = [name for name in self.columns if name not in known]
        if unknown:
            raise UserError(f"data.columns: unknown field {', '.join(unknown)}; the fields are {', '.join(known)}")
        for name, column in self.mapped.items():
            if isinstance(column, bool) or not isinstance(column, (str, int)) or column == "":
                raise UserError(f"data.columns.{name}: {column!r} is neither a column's name nor its number from 0")
            if isinstance(column, int) and column < 0:
                raise UserError(f"data.columns.{name}: {column}: columns are numbered from 0")
        if self.numbered:
            named = [name for name in self.required if not isinstance(self.columns.get(name), int)]
            named += [name for name, column in self.mapped.items() if isinstance(column, str) and name not in named]
            if named:
                raise UserError(
                    "data.columns: numbers mean a file without a header, so every field needs a number; "
                    f"without one: {', '.join(named)}"
                )

    @property
    def mapped(self) -> dict[str, str | int]:
        return {name: column for name, column in self.columns.items() if column is not None}

    @property
    def numbered(self) -> bool:
        """True where columns are given by number, that is, where the file has no header."""
        return any(isinstance(column, int) for column in self.mapped.values())

    def by_name(self, file: str) -> dict[str, str]:
        """Field -> column name, for formats whose columns always have names. Raises UserError if numbers were given."""
        if self.numbered:
            raise UserError(f"{file}: data.columns must give names here, not numbers: {self.mapped}")
        return {name: str(self.columns.get(name) or name) for name in self.required + self.optional}


_SURROGATE = re.compile("[\ud800-\udfff]")


def take(values: dict[str, object], fields: Fields) -> dict[str, str] | str:
    """Turns field -> raw value into a row of texts, or into the reason why that is not possible.

    Numbers (labels, years) become their text; None, booleans, lists and objects are no text. A required field
    absent from `values` is reported.
    """
    row = {}
    for name, value in values.items():
        if type(value) is not str:
            if name in fields.optional and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return f"{name} is {_kind(value)}, not text"
            value = str(value)
        elif _SURROGATE.search(value):
            return f"{name} holds half a character (a lone surrogate), which is no text"
        row[name] = value
    for name in fields.required:
        text = row.get(name)
        if text is None:
            return f"{name} is missing"
        if not text or text.isspace():
            return f"{name} is empty"
    return row


def take_columns(values: dict[str, object], columns: dict[str, str], fields: Fields) -> dict[str, str] | str:
    """`take` for a record whose columns have names; `columns`: field -> column name."""
    for name in fields.required:
        if columns[name] not in values:
            present = ", ".join(map(repr, values)) or "nothing"
            return f"no column {columns[name]!r} (the row has {present}; columns are mapped with data.columns)"
    return take({name: values[column] for name, column in columns.items() if column in values}, fields)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null", bytes: "binary data"}
    return names.get(type(value), type(value).__name__)


Records = Iterable[tuple[int, dict[str, str] | str]]
"""(line, row) where there is a row, (line, reason) where there is none."""


class Collector:
    """Gathers rows and bad rows from one or more files.

    `on_bad_row`: "error" counts on to the end and then raises UserError with the first bad row; "skip" keeps them in
    `Rows.bad`. `limit`: stop after that many good rows.
    """

    def __init__(self, on_bad_row: str, limit: int | None = None):
        if on_bad_row not in ("error", "skip"):
            raise UserError(f"data.on_bad_row: {on_bad_row!r}; allowed: error, skip")
        self.on_bad_row = on_bad_row
        self.limit = limit
        self.result = Rows()

    @property
    def full(self) -> bool:
        return self.limit is not None and len(self.result.rows) >= self.limit

    def add(self, file: str, records: Records) -> None:
        """Takes (line, row), or (line, reason) for what is no row. Raises UserError if the file holds nothing."""
        rows, bad = self.result.rows, self.result.bad
        before = len(rows) + len(bad)
        self.result.files.append(file)
        for line, record in records:
            if type(record) is str:
                bad.append(BadRow(file, line, record))
            else:
                rows.append(record)
                if self.limit is not None and len(rows) >= self.limit:
                    break
        if len(rows) + len(bad) == before:
            raise UserError(f"{file}: the file is empty (it holds no rows)")

    def finish(self) -> Rows:
        """Returns the rows. Raises UserError for bad rows that are not to be skipped, and when no good row is left."""
        rows, bad = self.result.rows, self.result.bad
        if not bad or (self.on_bad_row == "skip" and rows):
            return self.result
        total = len(rows) + len(bad)
        count = f"{len(bad):,} of {total:,} rows {'is' if len(bad) == 1 else 'are'} bad"
        if not rows:  # skipping would not help
            raise UserError(f"{bad[0]}\n{count}: nothing is left to use. Mend the file, or data.columns if it names the wrong ones")
        raise UserError(f"{bad[0]}\n{count}. Mend the file, or leave such rows out with data.on_bad_row=skip")


def collect(parts: Iterable[tuple[str, Records]], on_bad_row: str, limit: int | None = None) -> Rows:
    """Gathers (file, records) pairs until `limit` good rows are there. Raises UserError as Collector does."""
    collector = Collector(on_bad_row, limit)
    for file, records in parts:
        collector.add(file, records)
        if collector.full:
            break
    return collector.finish()
