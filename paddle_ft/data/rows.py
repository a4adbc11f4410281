"""Rows and records, which every reader and source returns, and the checks that decide whether a row can be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from paddle_ft.data.reading import Reading
from paddle_ft.data.row_table import Row, RowTable, RowWriter, digest_rows
from paddle_ft.data.row_texts import RowTexts
from paddle_ft.data.values import LONGEST_NULL_WORD, NULL_WORDS, class_text, describe_missing, to_text
from paddle_ft.system.decisions import DECISIONS, unique
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import shorten

LABEL = "label"  # the field whose texts are names of classes; class_text writes them in one spelling
PAIR = "text_pair"  # the optional field that no row may lack if the file has its column
OTHERS = "\0others"  # the key of a row's other columns, column -> value, if Fields.complete is set
MAX_NAMES = 20  # column names that a message lists


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used. `line` counts from 1. In formats without lines it is the number of the row."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


Record = tuple[int, dict[str, str] | str | BadRow]
"""(line, row), or (line, reason) for a record that cannot be used. A row is field -> text. Lines count from 1.

A reader of several files gives a BadRow, which names the file, instead of the reason.
"""

Records = Iterable[Record]


@dataclass
class Rows:
    """The rows of one split.

    Attributes:
        rows: field of the task -> text, for each row: a list, or a RowTable if there are many.
        bad: rows that were skipped.
        files: where the rows came from, for messages.
        info: facts about how the task made the rows, for the report. The entry "decisions" has those of system.decisions.
        classes: field -> the names of its classes by number, where the files have them.
    """

    rows: Sequence[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def decisions(self) -> list[str]:
        """What was decided for the user when these rows were read and made."""
        return self.info.get(DECISIONS, [])

    def decide(self, *decisions: str) -> None:
        """Note decisions (see system.decisions). They are not printed here."""
        if decisions:
            self.info[DECISIONS] = unique(self.decisions, decisions)

    def fingerprint(self) -> str:
        """Return the first 16 hexadecimal digits of the digest."""
        return self.digest()[:16]

    def digest(self) -> str:
        """Return the SHA-256 of the rows in their order: fields by name, and their texts."""
        return self.rows.digest() if isinstance(self.rows, RowTable) else digest_rows(self.rows).hexdigest()

    # -------------------------------------------------------------------------------- for tasks
    # These do not make an object for each row of a large data set, as a loop over the rows would.
    def select(self, indices: np.ndarray) -> Sequence[Row]:
        """Return some of the rows, in this order."""
        return self.rows.select(indices) if isinstance(self.rows, RowTable) else [self.rows[i] for i in indices]

    def texts(self, *names: str) -> RowTexts:
        """Return the text of a field for each row, or with two names a pair of texts. Every row must have the fields."""
        return RowTexts(self.rows, names)

    def missing(self, name: str) -> np.ndarray:
        """Return the numbers of the rows that do not have a field, in ascending order."""
        if isinstance(self.rows, RowTable):
            return self.rows.missing(name)
        return np.array([number for number, row in enumerate(self.rows) if name not in row], dtype=np.int64)


@dataclass(frozen=True)
class Fields:
    """The fields of a task, and the columns that they are read from.

    Attributes:
        columns: field -> name of its column, or number of its column from 0 if the file has no header. A field that is not
            listed is read from the column with its own name.
        required: fields that must have a text in every row.
        optional: fields that may be missing.
        reading: the settings for reading files, and what readers and sources have decided for the user.
        complete: keep all of a record: a missing optional field as "", and under OTHERS the columns that are no fields.

    Raises:
        UserError: a field is unknown, names and numbers are mixed, or a number is negative.
    """

    columns: dict[str, str | int | None]
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    reading: Reading = field(default_factory=Reading, compare=False)
    complete: bool = False

    def __post_init__(self):
        unknown = [name for name in self.columns if name not in self.names]
        if unknown:
            raise UserError(f"data.columns: unknown field {', '.join(unknown)}; the fields are {', '.join(self.names)}")
        for name, column in self.mapped.items():
            if isinstance(column, bool) or not isinstance(column, (str, int)) or column == "":
                raise UserError(f"data.columns.{name}: {column!r} is neither a column's name nor its number from 0")
            if isinstance(column, int) and column < 0:
                raise UserError(f"data.columns.{name}: {column}: columns are numbered from 0")
        if self.numbered:
            self._check_all_numbered()

    def _check_all_numbered(self) -> None:
        unnumbered = [name for name in self.required if not isinstance(self.columns.get(name), int)]
        unnumbered += [name for name, column in self.mapped.items() if isinstance(column, str) and name not in unnumbered]
        if unnumbered:
            raise UserError(
                "data.columns: numbers mean a file without a header, so every field needs a number; "
                f"without one: {', '.join(unnumbered)}"
            )

    def decide(self, decision: str) -> None:
        """Note a choice that changes the rows and that the user did not make, such as a separator that was detected.

        Args:
            decision: one sentence, which begins with the file: "train.csv: its fields are separated by ';'".
        """
        self.reading.decide(decision)

    @property
    def decisions(self) -> list[str]:
        """What readers and sources have decided so far."""
        return self.reading.decisions

    @property
    def names(self) -> tuple[str, ...]:
        """All fields, the required ones first."""
        return self.required + self.optional

    @property
    def mapped(self) -> dict[str, str | int]:
        """The fields for which data.columns names a column."""
        return {name: column for name, column in self.columns.items() if column is not None}

    @property
    def numbered(self) -> bool:
        """Whether columns are given by number, which means that the file has no header."""
        return any(isinstance(column, int) for column in self.mapped.values())

    def column_names(self, file: str) -> dict[str, str]:
        """Return field -> column name, for formats whose columns always have names.

        Args:
            file: the file's name, for messages.

        Raises:
            UserError: data.columns has numbers.
        """
        if self.numbered:
            raise UserError(f"{file}: data.columns must give names here, not numbers: {self.mapped}")
        return {name: str(self.columns.get(name) or name) for name in self.names}

    def available_columns(self, file: str, available: list[str]) -> dict[str, str]:
        """Return field -> column name for the columns that a table has.

        Args:
            file: the table's name, for messages.
            available: the names of its columns.

        Raises:
            UserError: data.columns has numbers, or there is no column for a required or mapped field.
        """
        columns = self.column_names(file)
        for name, column in columns.items():
            if column not in available and (name in self.required or name in self.mapped):
                raise UserError(
                    f"{file}: no column {column!r}; it has {list_names(available)}; "
                    f"map them, e.g. data.columns.{name}={available[0] if available else 'NAME'}"
                )
            if available.count(column) > 1:
                raise UserError(f"{file}: there are {available.count(column)} columns named {column!r}")
        return {name: column for name, column in columns.items() if column in available}

    def fit(self, available: Iterable[str]) -> bool:
        """Return whether columns with these names have the fields: all that are needed, or any if none is."""
        available = set(available)
        columns = self.column_names("")
        needed = [column for name, column in columns.items() if name in self.required or name in self.mapped]
        return available.issuperset(needed) and (bool(needed) or not available.isdisjoint(columns.values()))


def has_surrogate(text: str) -> bool:
    """Return whether a text has half a surrogate pair, which is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def list_names(names: Iterable[str]) -> str:
    """Return names in quotes for a message, at most MAX_NAMES of them."""
    names = list(names)
    shown = ", ".join(repr(shorten(str(name))) for name in names[:MAX_NAMES])
    return f"{shown} and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else shown


def make_row(values: dict[str, object], fields: Fields, others: dict[str, object] | None = None) -> dict[str, str] | str:
    """Return a row (field -> text), or the reason why it cannot be used.

    Numbers, booleans and dates become text, and values are missing, by the rule of values.py. An empty text is missing too. A
    missing optional field is left out, except PAIR, which may be missing only as a column. Lines inside a text end at \\n.

    Args:
        values: field -> value, as it was read.
        fields: the task's fields. A missing required field is an error.
        others: column -> value of the other columns. They are kept if fields.complete is set.
    """
    row: dict = {}
    for name, value in values.items():
        if type(value) is str:
            text: str | None = value
        else:
            try:
                text = to_text(value)
            except TypeError as error:
                return f"{name} is {error}, not text"
        if not text or text.isspace():
            if name in fields.required or (name == PAIR and not fields.complete):
                return f"{name} is missing{describe_missing(value)}" if text is None else f"{name} is empty"
            if fields.complete:
                row[name] = ""
            continue
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text.isascii() and has_surrogate(text):
            return f"{name} contains half a character (a lone surrogate), which is not text"
        if len(text) <= LONGEST_NULL_WORD and text in NULL_WORDS:
            fields.reading.null_words[name, text] += 1
        row[name] = class_text(text) if name == LABEL else text
    for name in fields.required:
        if name not in row:
            return f"{name} is missing"
    if fields.complete:
        row[OTHERS] = others or {}
    return row


def make_row_from_columns(values: dict[str, object], columns: dict[str, str], fields: Fields) -> dict[str, str] | str:
    """Return a row from a record with named columns, or the reason why it cannot be used.

    Args:
        values: column name -> value, as it was read.
        columns: field -> column name, from Fields.column_names.
        fields: the task's fields.
    """
    for name in fields.required:
        if columns[name] not in values:
            names = list_names(values) or "nothing"
            return f"no column {columns[name]!r} (the row has {names}; columns are mapped with data.columns)"
    own = {name: values[column] for name, column in columns.items() if column in values}
    if not fields.complete:
        return make_row(own, fields)
    used = set(columns.values())
    return make_row(own, fields, {column: value for column, value in values.items() if column not in used})


def collect_rows(
    parts: Iterable[tuple[str, Records]], on_bad_row: str, limit: int | None = None, rows: RowWriter | None = None
) -> Rows:
    """Read rows from files.

    Args:
        parts: (file, records) pairs. A file is opened only when its records are needed.
        on_bad_row: "error" reads to the end, counts the bad rows and raises. "skip" puts them into `Rows.bad`.
        limit: stop after this many good rows. None reads all.
        rows: where the rows are collected; None: in memory.

    Raises:
        UserError: a file is empty, a row is bad and `on_bad_row` is "error", or all rows are bad.
    """
    result, rows = Rows(), RowWriter() if rows is None else rows
    for file, records in parts:
        result.files.append(file)
        _add_records(result, rows, file, records, limit)
        if limit is not None and len(rows) >= limit:
            break
    if result.bad and (on_bad_row == "error" or not len(rows)):
        raise UserError(_bad_rows_message(result.bad, len(rows)))
    result.rows = rows.finish()
    return result


def _add_records(result: Rows, rows: RowWriter, file: str, records: Records, limit: int | None) -> None:
    is_empty = True
    for line, record in records:
        is_empty = False
        if type(record) is not dict:
            result.bad.append(record if isinstance(record, BadRow) else BadRow(file, line, str(record)))
            continue
        rows.append(record)
        if limit is not None and len(rows) >= limit:
            break
    if is_empty:
        raise UserError(f"{file}: the file is empty (it has no rows)")


def _bad_rows_message(bad: list[BadRow], num_good: int) -> str:
    first, num_bad = bad[0], len(bad)
    count = f"{num_bad:,} of {num_bad + num_good:,} rows {'is' if num_bad == 1 else 'are'} bad"
    if not num_good:  # on_bad_row=skip would not help
        return f"{first}\n{count}: no usable row remains. Correct the file, or data.columns if it names the wrong columns"
    return f"{first}\n{count}. Correct the file, or leave such rows out with data.on_bad_row=skip"
