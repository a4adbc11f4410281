"""New texts for a finished run: one a line, JSON objects or tables, from a file or a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Queue
from threading import Thread

from paddle_ft.data.readers import extension, reader_for, readers
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records, take
from paddle_ft.system.errors import UserError

PAIR = "text_pair"
Text = str | tuple[str, str]


@dataclass(frozen=True)
class Columns:
    """Where a row's text and, of pairs, the second text may stand: the first of these names that the row has.

    numbers: field -> number of the column, where the run was trained on a table without a header.
    """

    field: str
    text: tuple[str, ...]
    pair: tuple[str, ...]
    numbers: dict[str, int]

    @classmethod
    def of(cls, field: str, mapped: dict[str, str | int | None]) -> Columns:
        """For a run whose texts are in `field`: its own data.columns (`mapped`) come first, then the usual names."""
        given = {name: [mapped[name]] if isinstance(mapped.get(name), str) else [] for name in (field, PAIR)}
        numbers = {name: mapped[name] for name in (field, PAIR) if isinstance(mapped.get(name), int)}
        return cls(field, tuple(dict.fromkeys([*given[field], field, "source", "text"])), (*given[PAIR], PAIR), numbers)

    @property
    def fields(self) -> Fields:
        return Fields({}, (), tuple(dict.fromkeys(self.text + self.pair)))

    @property
    def numbered(self) -> Fields:
        return Fields(self.numbers, (), tuple(self.numbers)) if self.numbers else self.fields

    def choose(self, row: dict[str, str]) -> Text | None:
        """The row's text or two texts, None where there is none."""
        text = next((row[name] for name in self.text if name in row), None)
        pair = next((row[name] for name in self.pair if name in row), None)
        return text if text is None or pair is None else (text, pair)


def is_plain(name: str) -> bool:
    """Whether a file's lines are texts."""
    return extension(name) == ".txt" or extension(name) not in readers()


def texts(name: str, columns: Columns) -> Iterator[Text]:
    """The texts of --input, in order. Raises UserError naming file and line of what is none."""
    found = _texts(name, columns)
    return Ahead(found) if name == "-" else found


def _texts(name: str, columns: Columns) -> Iterator[Text]:
    try:
        for line, row in _records(name, columns):
            if isinstance(row, str):
                raise UserError(f"{name}:{line}: {row}")
            text = columns.choose(row)
            if text is None:
                names = " or ".join(map(repr, columns.text))
                raise UserError(f"{name}:{line}: no column {names}; name the one with the text: data.columns.{columns.field}=NAME")
            yield text
    except UserError as error:
        raise UserError(f"--input {error}") from None


def _records(name: str, columns: Columns) -> Records:
    """(line, row), or (line, reason) where there is none."""
    if name != "-" and not is_plain(name):
        is_table = extension(name) in (".csv", ".tsv")
        return reader_for(name).read(DataFile(name), columns.numbered if is_table else columns.fields)
    lines = _piped() if name == "-" else DataFile(name).lines()
    return ((number, reason or _row(line, columns)) for number, (line, reason) in enumerate(lines, start=1))


def _row(line: str, columns: Columns) -> dict[str, str] | str:
    """A line is a text, or a JSON object with texts in it."""
    try:
        row = json.loads(line) if line.startswith("{") else None
    except json.JSONDecodeError:
        row = None  # a text that happens to begin with a brace
    if row is None:
        return {columns.text[0]: line}
    return take({name: row[name] for name in columns.fields.optional if name in row}, columns.fields)


def _piped() -> Iterable[tuple[str, str | None]]:
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    number = 0
    try:
        for line in sys.stdin:
            number += 1
            yield line.rstrip("\r\n"), None
    except UnicodeDecodeError as error:
        raise UserError(f"-:{number + 1}: not UTF-8 ({error.reason}). Convert the text to UTF-8.") from None


class Ahead:
    """Reads a pipe on a thread: what has arrived is used at once, and what has not is not waited for."""

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

    def __iter__(self) -> Ahead:
        return self

    def __next__(self):
        return self._usable(self.queue.get())

    def _usable(self, item):
        if item is self.END or isinstance(item, UserError):
            self.queue.put(item)  # for the next call too
            raise StopIteration if item is self.END else item
        return item

    def waiting(self, most: int) -> list:
        """Up to `most` texts that are there already."""
        texts = []
        while len(texts) < most and not self.queue.empty():
            try:
                texts.append(next(self))
            except StopIteration:
                break
        return texts
