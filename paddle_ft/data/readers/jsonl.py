"""Read JSON files: one object per line, one array of objects, or one object with the rows inside it (json_object.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.encodings import Line
from paddle_ft.data.readers.json_object import AS_RECORDS, has_rows_inside, read_object
from paddle_ft.data.readers.json_text import Document, Value, decode_line, skip_space
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row_from_columns
from paddle_ft.system.errors import UserError


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (line, row or reason) for each object.

    Raises:
        UserError: an array or an object is not valid JSON, so that nothing after the error can be read, or the file is one object
            and its rows are not found.
    """
    columns = fields.column_names(file.path)
    for line, value, reason in _read_values(file, fields):
        if not reason and not isinstance(value, dict):
            reason = f"the JSON value is {type(value).__name__}, not an object"
        yield line, reason or make_row_from_columns(value, columns, fields)


READER = Reader((".jsonl", ".json"), read)


def _read_values(file: DataFile, fields: Fields) -> Iterator[Value]:
    """Return the values that are to be rows, whichever form the file has."""
    first = file.first_character()
    if first == "{" and (file.reading.field is not None or _is_one_object(file, fields)):
        return read_object(file, fields)
    if file.reading.field is not None:
        form = "a list" if first == "[" else "no object"
        raise UserError(f"{file.path}: data.field={file.reading.field} is set, but the file is {form}: leave data.field out")
    if first == "[":
        document = Document(file)
        return map(_refuse_list, document.array(skip_space(document.text, 0), is_all=True))
    return read_json_lines(file)


def _refuse_list(element: Value) -> Value:
    """Return an element of an array, with the reason why it is no row if it is a list."""
    line, value, reason = element
    if not reason and isinstance(value, list):
        reason = f"the JSON value is list, not an object; if pandas wrote the file, {AS_RECORDS}"
    return line, value, reason


def read_json_lines(file: DataFile) -> Iterator[Value]:
    """Yield (line, JSON value, reason) for each line that is not blank."""
    for line, (text, reason) in enumerate(file.lines(), start=1):
        if reason:
            yield line, None, reason
        elif text and not text.isspace():
            try:
                yield line, decode_line(text), None
            except json.JSONDecodeError as error:
                yield line, None, f"invalid JSON at column {error.pos + 1}: {error.msg}"


def _is_one_object(file: DataFile, fields: Fields) -> bool:
    """Return whether a file that begins with { is one object with the rows inside it, instead of one object per line."""
    lines = (line for line in file.lines() if line[1] or line[0].strip())
    first, *more = islice(lines, 3)
    if not first[0]:
        return not more  # the line is too long to be one of many
    try:
        value = decode_line(first[0])
    except json.JSONDecodeError as error:
        # The object goes on in the next line. If each of the next lines is a whole object, only the first line is damaged.
        goes_on = error.pos >= len(first[0].rstrip()) - 1
        return goes_on and not (more and all(map(_is_json, more)))
    return not more and has_rows_inside(value, fields)


def _is_json(line: Line) -> bool:
    try:
        decode_line(line[0])
    except json.JSONDecodeError:
        return False
    return True
