"""Read JSON files: one object per line, or one array of objects."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile, describe_bad_utf8
from paddle_ft.data.rows import Fields, Record, make_row_from_columns
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

_SPACE = re.compile(r"[ \t\r\n]*")
_UNDECODED = re.compile("[\udc80-\udcff]")  # errors="surrogateescape" puts these in place of bytes that are not UTF-8

Value = tuple[int, object, str | None]
"""(line, JSON value, reason). The reason is None unless the value cannot be used."""


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (line, row or reason) for each object.

    Raises:
        UserError: an array is not valid JSON. Its elements after the error cannot be read.
    """
    columns = fields.column_names(file.path)
    for line, value, reason in _read_array(file) if _is_array(file) else read_json_lines(file):
        if not reason and not isinstance(value, dict):
            reason = f"the JSON value is {type(value).__name__}, not an object"
        yield line, reason or make_row_from_columns(value, columns, fields)


READER = Reader((".jsonl", ".json"), read)


def _is_array(file: DataFile) -> bool:
    with file.open() as stream:
        return stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def read_json_lines(file: DataFile) -> Iterator[Value]:
    """Yield (line, JSON value, reason) for each line that is not blank."""
    decode = json.JSONDecoder().decode
    for line, (text, reason) in enumerate(file.lines(), start=1):
        if reason:
            yield line, None, reason
        elif text and not text.isspace():
            try:
                yield line, decode(text), None
            except json.JSONDecodeError as error:
                yield line, None, f"invalid JSON at column {error.pos + 1}: {error.msg}"


def _read_array(file: DataFile) -> Iterator[Value]:
    text = file.content().decode(errors="surrogateescape")
    has_bad_bytes = _UNDECODED.search(text) is not None
    position = _SPACE.match(text, _SPACE.match(text).end() + 1).end()
    line, counted = 1, 0
    with Progress(len(text), f"read {os.path.basename(file.path)}", unit="B") as progress:
        while text[position : position + 1] != "]":
            line, counted = line + text.count("\n", counted, position), position
            value, end, next_position = _decode_element(file.path, text, position)
            yield line, value, _describe_bad_bytes(text, position, end) if has_bad_bytes else None
            progress.update(next_position - position)
            position = next_position


def _decode_element(path: str, text: str, position: int) -> tuple[object, int, int]:
    """Return the array element that starts at `position`, its end, and the start of the next element or closing bracket."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, position)
        separator = _SPACE.match(text, end).end()
        if text[separator : separator + 1] not in (",", "]"):
            raise json.JSONDecodeError("',' or ']' expected", text, separator)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{error.lineno}: invalid JSON in the array at column {error.colno}: {error.msg}. "
            "Nothing after this place can be read; correct the file, or write one object per line (.jsonl)"
        ) from None
    return value, end, separator if text[separator] == "]" else _SPACE.match(text, separator + 1).end()


def _describe_bad_bytes(text: str, start: int, end: int) -> str | None:
    """Return what is wrong with the encoding of text[start:end], or None if it is UTF-8."""
    match = _UNDECODED.search(text, start, end)
    if not match:
        return None
    offset = len(text[: match.start()].encode(errors="surrogateescape"))
    return describe_bad_utf8(text[start:end].encode(errors="surrogateescape"), offset)
