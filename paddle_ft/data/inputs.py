"""Read new texts for the predictions of a finished run: lines, JSON objects or tables, from a file or a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Queue
from threading import Thread

from paddle_ft.data.readers import extension, find_reader, readers
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records, make_row
from paddle_ft.system.decisions import print_decisions
from paddle_ft.system.errors import UserError

PAIR = "text_pair"
Text = str | tuple[str, str]


@dataclass(frozen=True)
class Columns:
    """Names of the columns that may contain a row's text and, for pairs, its second text.

    Attributes:
        field: the task's field for the text.
        text: possible names for the text's column. The first one that a row has is used.
        pair: possible names for the second text's column, in the same way.
        numbers: field -> number of its column, if the run was trained on a table without a header.
    """

    field: str
    text: tuple[str, ...]
    pair: tuple[str, ...]
    numbers: dict[str, int]

    @classmethod
    def from_config(cls, field: str, mapped: dict[str, str | int | None]) -> Columns:
        """Return the columns of a run: those that its data.columns (`mapped`) names, then the usual names."""
        configured = {name: [mapped[name]] if isinstance(mapped.get(name), str) else [] for name in (field, PAIR)}
        numbers = {name: mapped[name] for name in (field, PAIR) if isinstance(mapped.get(name), int)}
        names = tuple(dict.fromkeys([*configured[field], field, "source", "text"]))
        return cls(field, names, (*configured[PAIR], PAIR), numbers)

    @property
    def fields(self) -> Fields:
        """All columns, as optional fields."""
        return Fields({}, (), tuple(dict.fromkeys(self.text + self.pair)))

    @property
    def numbered(self) -> Fields:
        """The columns by number if the run was trained on a table without a header, else `fields`."""
        return Fields(self.numbers, (), tuple(self.numbers)) if self.numbers else self.fields

    def choose(self, row: dict[str, str]) -> Text | None:
        """Return the row's text or pair of texts, or None if it has neither."""
        text = next((row[name] for name in self.text if name in row), None)
        pair = next((row[name] for name in self.pair if name in row), None)
        return text if text is None or pair is None else (text, pair)


def is_plain_text(name: str) -> bool:
    """Return whether a file is read as one text per line. That is so for .txt and for every unknown extension."""
    return extension(name) == ".txt" or extension(name) not in readers()


def read_texts(name: str, columns: Columns) -> Iterator[Text]:
    """Yield the texts of --input in order.

    Args:
        name: a file, or "-" for standard input, which is read in the background.
        columns: the columns that may contain the texts.

    Raises:
        UserError: a text cannot be read. The message names file and line.
    """
    texts = _choose_texts(name, columns)
    return BackgroundReader(texts) if name == "-" else texts


def _choose_texts(name: str, columns: Columns) -> Iterator[Text]:
    fields, num_printed = _input_fields(name, columns), 0
    try:
        for line, row in _read_records(name, columns, fields):
            if len(fields.decisions) > num_printed:
                print_decisions(fields.decisions[num_printed:])
                num_printed = len(fields.decisions)
            if isinstance(row, str):
                raise UserError(f"{name}:{line}: {row}")
            text = columns.choose(row)
            if text is None:
                names = " or ".join(map(repr, columns.text))
                raise UserError(f"{name}:{line}: no column {names}; name the one with the text: data.columns.{columns.field}=NAME")
            yield text
    except UserError as error:
        raise UserError(f"--input {error}") from None


def _input_fields(name: str, columns: Columns) -> Fields:
    """Return the fields to read an input with: by number only in a table."""
    return columns.numbered if extension(name) in (".csv", ".tsv") else columns.fields


def _read_records(name: str, columns: Columns, fields: Fields) -> Records:
    """Return (line, row or reason) for each line or record of the input."""
    if name != "-" and not is_plain_text(name):
        return find_reader(name).read(DataFile(name), fields)
    lines = _read_stdin() if name == "-" else DataFile(name).lines()
    return ((number, reason or _parse_line(line, columns)) for number, (line, reason) in enumerate(lines, start=1))


def _parse_line(line: str, columns: Columns) -> dict[str, str] | str:
    """Return the row of a line, which is either a text or a JSON object with the columns."""
    try:
        row = json.loads(line) if line.startswith("{") else None
    except json.JSONDecodeError:
        row = None  # a text that happens to start with a brace
    if row is None:
        return {columns.text[0]: line}
    return make_row({name: row[name] for name in columns.fields.optional if name in row}, columns.fields)


def _read_stdin() -> Iterable[tuple[str, str | None]]:
    """Yield (line, None) for each line, like DataFile.lines."""
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    number = 0
    try:
        for line in sys.stdin:
            number += 1
            yield line.rstrip("\r\n"), None
    except UnicodeDecodeError as error:
        raise UserError(f"-:{number + 1}: not UTF-8 ({error.reason}). Convert the text to UTF-8.") from None


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
