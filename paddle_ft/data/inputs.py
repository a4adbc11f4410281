"""Read new texts for the predictions of a finished run: lines, JSON objects or tables, from a file or a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from queue import Queue
from threading import Thread
from typing import Any

from paddle_ft.data.readers import extension, find_reader, is_saved_dataset, is_saved_dict, readers
from paddle_ft.data.readers.json_text import decode_line
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.reading import Reading
from paddle_ft.data.rows import OTHERS, PAIR, Fields, Records, make_row_from_columns
from paddle_ft.data.values import to_plain
from paddle_ft.system.errors import UserError

Text = str | tuple[str, str]


@dataclass(frozen=True)
class Input:
    """One record of the input.

    Attributes:
        text: its text or pair of texts; None if the text is missing, as an empty cell of a table is.
        others: its other columns, column -> value as JSON can write it.
    """

    text: Text | None
    others: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Columns:
    """Names of the columns that may contain a row's text and, for pairs, its second text.

    Attributes:
        field: the task's field for the text.
        text: possible names for the text's column. The first one that a row has is used.
        pair: possible names for the second text's column, in the same way.
        numbers: field -> number of its column, if the run was trained on a table without a header.
        reading: the settings for reading files.
    """

    field: str
    text: tuple[str, ...]
    pair: tuple[str, ...]
    numbers: dict[str, int]
    reading: Reading

    @classmethod
    def from_config(cls, field: str, data) -> Columns:
        """Return the columns of a run with this data section: those that data.columns names, then the usual names."""
        mapped = dict(data.columns or {})
        configured = {name: [mapped[name]] if isinstance(mapped.get(name), str) else [] for name in (field, PAIR)}
        numbers = {name: mapped[name] for name in (field, PAIR) if isinstance(mapped.get(name), int)}
        names = tuple(dict.fromkeys([*configured[field], field, "source", "text"]))
        return cls(field, names, (*configured[PAIR], PAIR), numbers, Reading.from_data(data))

    @property
    def fields(self) -> Fields:
        """All columns, as optional fields."""
        return Fields({}, (), tuple(dict.fromkeys(self.text + self.pair)), self.reading, complete=True)

    @property
    def numbered(self) -> Fields:
        """The columns by number if the run was trained on a table without a header, else `fields`."""
        return Fields(self.numbers, (), tuple(self.numbers), self.reading, complete=True) if self.numbers else self.fields

    def choose(self, row: dict[str, Any]) -> Input | None:
        """Return the input that a row is, or None if it has no column for the text."""
        text_name = next((name for name in self.text if name in row), None)
        pair_name = next((name for name in self.pair if name in row), None)
        if text_name is None:
            return None
        text, pair = row[text_name], row.get(pair_name)
        if OTHERS not in row:  # a line of plain text, which may be empty
            return Input(text)
        unused = {name: value for name, value in row.items() if name not in (text_name, pair_name, OTHERS)}
        others = {name: to_plain(value) for name, value in {**row[OTHERS], **unused}.items()}
        return Input((text, pair) if text and pair else text or None, others)


def is_plain_text(name: str) -> bool:
    """Return whether a file is read as one text per line. That is so for .txt and for every unknown extension."""
    return not (is_saved_dataset(name) or is_saved_dict(name)) and (extension(name) == ".txt" or extension(name) not in readers())


def read_inputs(name: str, columns: Columns) -> Iterator[Input]:
    """Yield the records of --input in order.

    Args:
        name: a file, or "-" for standard input, which is read in the background.
        columns: the columns that may contain the texts.

    Raises:
        UserError: a record cannot be read. The message names file and line.
    """
    records = _choose_inputs(name, columns)
    return BackgroundReader(records) if name == "-" else records


def _choose_inputs(name: str, columns: Columns) -> Iterator[Input]:
    # Columns are given by number only in a table.
    fields = columns.numbered if extension(name) in (".csv", ".tsv", ".xlsx", ".xlsm") else columns.fields
    try:
        for line, row in _read_records(name, fields, columns.text[0]):
            columns.reading.print_new()
            if isinstance(row, str):
                raise UserError(f"{name}:{line}: {row}")
            record = columns.choose(row)
            if record is None:
                names = " or ".join(map(repr, columns.text))
                raise UserError(f"{name}:{line}: no column {names}; name the one with the text: data.columns.{columns.field}=NAME")
            yield record
    except UserError as error:
        columns.reading.print_new()
        raise UserError(f"--input {error}") from None
    columns.reading.print_new(at_end=True)


def _read_records(name: str, fields: Fields, text_name: str) -> Records:
    """Return (line, row or reason) for each line or record of the input. A line that is a text has `text_name` alone."""
    file = DataFile(name, fields.reading)
    if name != "-" and not is_plain_text(name):
        return find_reader(name).read(file, fields)
    lines = _read_stdin(fields.reading.encoding) if name == "-" else file.lines()
    return ((number, reason or _parse_line(line, fields, text_name)) for number, (line, reason) in enumerate(lines, start=1))


def _parse_line(line: str, fields: Fields, text_name: str) -> dict[str, str] | str:
    """Return the row of a line, which is either a text or a JSON object with the columns."""
    try:
        row = decode_line(line) if line.startswith("{") else None
    except json.JSONDecodeError:
        row = None  # a text that happens to start with a brace
    if row is None:
        return {text_name: line}
    return make_row_from_columns(row, fields.column_names(""), fields)


def _read_stdin(encoding: str) -> Iterable[tuple[str, str | None]]:
    """Yield (line, None) for each line, like DataFile.lines. `encoding` is data.encoding."""
    encoding = "utf-8" if encoding == "auto" else encoding
    sys.stdin.reconfigure(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="strict")
    number = 0
    try:
        for line in sys.stdin:
            number += 1
            yield line.rstrip("\r\n"), None
    except UnicodeDecodeError as error:
        name = encoding.upper()
        raise UserError(f"-:{number + 1}: not {name} ({error.reason}). Name the text's encoding: data.encoding=gb18030") from None


class BackgroundReader:
    """Read texts in a background thread, so that each can be used as soon as it arrives."""

    END = object()

    def __init__(self, texts: Iterator):
        self.queue: Queue = Queue(maxsize=10_000)
        self.texts = texts
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for text in self.texts:
                self.queue.put(text)
            self.queue.put(self.END)
        except UserError as error:
            self.queue.put(error)

    def __iter__(self) -> BackgroundReader:
        return self

    def __next__(self):
        item = self.queue.get()
        if item is self.END or isinstance(item, UserError):
            self.queue.put(item)  # for the next call too
            raise StopIteration if item is self.END else item
        return item

    def read_available(self, limit: int) -> list:
        """Return up to `limit` texts that have already arrived. This never waits."""
        texts = []
        while len(texts) < limit and not self.queue.empty():
            try:
                texts.append(next(self))
            except StopIteration:
                break
        return texts
