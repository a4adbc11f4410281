"""Write the predictions for the records of an input into a file or to standard output, each with the record's other columns."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from paddle_ft.data.inputs import Input
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json
from paddle_ft.system.progress import print_info
from paddle_ft.tasks.shared.empty import is_empty

ENDINGS = (".txt", ".jsonl", ".json", ".csv", ".tsv")  # .json is written like .jsonl
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


class PredictionFile:
    """The output of `predict`. As a context manager it is closed at the end, and gets its name only if it is complete.

    Args:
        name: a file, or "-" for standard output. A .csv or .tsv file becomes a table.
        to_line: returns the line for a prediction in a text file; None: JSON.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, name: str, to_line: Callable[[dict], str] | None):
        self.name = name
        self.num_rows = self.num_empty = self.num_missing = 0
        self._part = name if name == "-" else f"{name}.part"
        self._file = open_output(self._part, name)
        self._separator = _SEPARATORS.get(Path(name).suffix)
        self._write = self._table_writer(self._separator) if self._separator else self._line_writer(to_line or to_json)
        self._keys: list[str] = []  # of a prediction
        self._renamed: set[str] = set()
        self._left_out: set[str] = set()

    def __enter__(self) -> PredictionFile:
        return self

    def __exit__(self, exception_type, exception, traceback) -> None:
        if self._file is not sys.stdout:
            self._file.close()
        if exception_type is None and self._part != self.name:
            os.replace(self._part, self.name)

    def write(self, records: list[Input], predictions: list[dict[str, Any]]) -> None:
        """Write a row for each record. `predictions` has one for each record with a text, in order; others have none.

        Raises:
            UserError: a table begins with records without a text, so that its columns are not known.
        """
        if predictions:
            self._keys = list(predictions[0])
        elif not self._keys and self._separator:
            raise UserError(f"the first {len(records):,} rows have no text; is it in another column? Name it with data.columns")
        remaining = iter(predictions)
        for record in records:
            if record.text is None:
                row: dict[str, Any] = dict.fromkeys(self._keys or ["prediction"])
                self.num_missing += 1
            else:
                row = next(remaining)
                self.num_empty += is_empty(row)
            self._write({**self._rename(record.others, row), **row})
        self.num_rows += len(records)
        self._file.flush()

    def describe(self) -> str:
        """Return how many rows were written."""
        missing = f", without a text and so without a prediction: {self.num_missing:,}" if self.num_missing else ""
        place = "standard output" if self.name == "-" else self.name
        return f"rows predicted: {self.num_rows:,}, empty outputs: {self.num_empty:,}{missing}, written to {place}"

    def _rename(self, others: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
        """Return the other columns of a record. One that is called like a part of the prediction gets another name."""
        names = {name: f"input_{name}" if name in row else name for name in others}
        new = {old: name for old, name in names.items() if old != name and old not in self._renamed}
        self._renamed.update(new)
        for old, name in new.items():
            print_info(f"the input's column {old!r} is called {name!r} in the output, where {old!r} belongs to the prediction")
        return {names[name]: value for name, value in others.items()}

    def _line_writer(self, to_line: Callable[[dict], str]) -> Callable[[dict], object]:
        def write(row: dict) -> None:
            has_prediction = "prediction" not in row or row["prediction"] is not None or to_line is to_json
            self._file.write((to_line(row) if has_prediction else "") + "\n")

        return write

    def _table_writer(self, separator: str) -> Callable[[dict], object]:
        """Return a function that writes a row of a table, whose columns are those of the first row."""
        table = csv.writer(self._file, delimiter=separator, lineterminator="\n")
        header: list[str] = []

        def write(row: dict) -> None:
            if not header:
                header.extend(row)
                table.writerow([_table_cell(name) for name in header])
            self._note_left_out(name for name in row if name not in header)
            cells = [row.get(name) for name in header]
            table.writerow([to_json(cell) if isinstance(cell, (dict, list)) else _table_cell(cell) for cell in cells])

        return write

    def _note_left_out(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._left_out:
                self._left_out.add(name)
                print_info(f"the column {name!r} is left out, because the first row, which decides the columns, does not have it")


def _table_cell(cell: Any) -> Any:
    """Return a cell as a table can hold it. A text that a spreadsheet would run as a formula gets a quote before it: a text there.

    Source: OWASP, CSV Injection. Numbers stay as they are, also those that an input has as texts. The csv module writes a carriage
    return without quotes, and readers then take it for the end of the row.
    """
    if not isinstance(cell, str):
        return cell
    is_formula = cell.startswith(FORMULA_STARTS) and not _NUMBER.fullmatch(cell)
    return (f"'{cell}" if is_formula else cell).replace("\r\n", "\n").replace("\r", "\n")


def check_ending(name: str) -> None:
    """Raise UserError for an output whose ending says nothing about its format. A name without an ending is written like `-`."""
    ending = Path(name).suffix
    if ending and ending not in ENDINGS:
        raise UserError(f"--output {name}: {ending} is no format of the output. It ends with {', '.join(ENDINGS)}.")


def open_output(name: str, shown: str | None = None) -> TextIO:
    """Open a file for writing.

    Args:
        name: the file, or "-" for standard output.
        shown: the name for error messages, if `name` is temporary.

    Raises:
        UserError: the file cannot be written.
    """
    if name == "-":
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        return sys.stdout
    try:
        return open(name, "w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"--output {shown or name}: cannot be written: {error.strerror}.") from None
