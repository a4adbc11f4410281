"""JSON: one object a line, or (in .json) one array of objects."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from paddle_ft.data.readers.stream import DataFile, not_utf8
from paddle_ft.data.rows import Fields, take_columns
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

EXTENSIONS = (".jsonl", ".json")
_SPACE = re.compile(r"[ \t\r\n]*")
_ESCAPED = re.compile("[\udc80-\udcff]")


def read(file: DataFile, fields: Fields) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yields (line, row or reason). Raises UserError for a broken array: what follows the fault is lost."""
    columns = fields.by_name(file.path)
    records = _array(file) if _is_array(file) else json_lines(file)
    for line, value, reason in records:
        yield line, reason or _row(value, columns, fields)


def _row(value: object, columns: dict[str, str], fields: Fields) -> dict[str, str] | str:
    if not isinstance(value, dict):
        return f"the JSON value is {type(value).__name__}, not an object"
    return take_columns(value, columns, fields)


def _is_array(file: DataFile) -> bool:
    with file.open() as stream:
        return stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def json_lines(file: DataFile) -> Iterator[tuple[int, object, str | None]]:
    decode = json.JSONDecoder().decode
    for line, (text, reason) in enumerate(file.lines(), start=1):
        if reason:
            yield line, None, reason
        elif text and not text.isspace():  # blank lines mean nothing in JSON lines
            try:
                yield line, decode(text), None
            except json.JSONDecodeError as error:
                yield line, None, f"invalid JSON at column {error.pos + 1}: {error.msg}"


def _array(file: DataFile) -> Iterator[tuple[int, object, str | None]]:
    text = file.content().decode(errors="surrogateescape")
    damaged = _ESCAPED.search(text) is not None
    decode = json.JSONDecoder().raw_decode
    place = _SPACE.match(text, _SPACE.match(text).end() + 1).end()
    line, counted = 1, 0
    with Progress(len(text), f"read {os.path.basename(file.path)}", unit="B") as progress:
        while text[place : place + 1] != "]":
            line, counted = line + text.count("\n", counted, place), place
            try:
                value, end = decode(text, place)
                after = _SPACE.match(text, end).end()
                if text[after : after + 1] not in (",", "]"):
                    raise json.JSONDecodeError("',' or ']' expected", text, after)
            except json.JSONDecodeError as error:
                raise UserError(
                    f"{file.path}:{error.lineno}: invalid JSON in the array at column {error.colno}: {error.msg}. "
                    "Nothing behind this place can be read; mend the file, or write one object a line (.jsonl)"
                ) from None
            yield line, value, _damage(text, place, end) if damaged else None
            start, place = place, after if text[after] == "]" else _SPACE.match(text, after + 1).end()
            progress.update(place - start)


def _damage(text: str, start: int, end: int) -> str | None:
    """What is wrong with an element's encoding, None if nothing is."""
    found = _ESCAPED.search(text, start, end)
    if not found:
        return None
    offset = len(text[: found.start()].encode(errors="surrogateescape"))
    return not_utf8(text[start:end].encode(errors="surrogateescape"), offset)
