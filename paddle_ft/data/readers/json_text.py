"""Parts of JSON that the JSON readers share: decode a value, and read the elements of an array in a text one after the other."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from paddle_ft.data.readers.encodings import UNDECODED, describe_bad_bytes
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

Value = tuple[int, object, str | None]
"""(line, JSON value, reason). The reason is None unless the value cannot be used."""

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def decode(text: str, position: int = 0) -> tuple[object, int]:
    """Return the JSON value that starts at a position of a text, and its end.

    Raises:
        json.JSONDecodeError: there is no valid value. Values that Python refuses, such as a number of 5,000 digits, count as that.
    """
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError:
        raise json.JSONDecodeError("lists or objects are nested too deeply", text, position) from None
    except json.JSONDecodeError:
        raise
    except ValueError:
        raise json.JSONDecodeError("a number has thousands of digits", text, position) from None


def decode_line(text: str) -> object:
    """Return the JSON value of a line that has nothing else. Raise json.JSONDecodeError as `decode` does."""
    value, end = decode(text, skip_space(text, 0))
    if skip_space(text, end) < len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def skip_space(text: str, position: int) -> int:
    """Return the position of the first character at or after `position` that is not white space."""
    return _SPACE.match(text, position).end()


class Document:
    """A JSON file that is one value, read whole. `text` is what it contains."""

    def __init__(self, file: DataFile):
        self.path = file.path
        self.text, self._encoding, self._start = file.text()
        self._has_bad_bytes = UNDECODED.search(self.text) is not None

    def array(self, position: int, is_all: bool = False) -> Iterator[Value]:
        """Yield the elements of the array that starts at a position. Raise UserError at the first that is not valid JSON.

        Args:
            position: the position of its opening bracket.
            is_all: whether nothing may follow it.
        """
        text, line, counted = self.text, 1, 0
        position = skip_space(text, position + 1)
        with Progress(len(text), f"read {os.path.basename(self.path)}", unit="B") as progress:
            while text[position : position + 1] != "]":
                line, counted = line + text.count("\n", counted, position), position
                value, end, next_position = self._element(position)
                yield line, value, self.describe_bad_bytes(position, end)
                progress.update(next_position - position)
                position = next_position
        rest = skip_space(text, position + 1)
        if is_all and rest < len(text):
            raise self.error(json.JSONDecodeError("more text follows the list", text, rest))

    def _element(self, position: int) -> tuple[object, int, int]:
        """Return the array element that starts at `position`, its end, and the start of the next element or closing bracket."""
        text = self.text
        try:
            value, end = decode(text, position)
            separator = skip_space(text, end)
            if text[separator : separator + 1] not in (",", "]"):
                raise json.JSONDecodeError("',' or ']' expected", text, separator)
        except json.JSONDecodeError as error:
            raise self.error(error, "in the array ") from None
        return value, end, separator if text[separator] == "]" else skip_space(text, separator + 1)

    def error(self, error: json.JSONDecodeError, where: str = "") -> UserError:
        """Return the error for text that is not valid JSON."""
        return UserError(
            f"{self.path}:{error.lineno}: invalid JSON {where}at column {error.colno}: {error.msg}. "
            "Nothing after this place can be read; correct the file, or write one object per line (.jsonl)"
        )

    def describe_bad_bytes(self, start: int, end: int) -> str | None:
        """Return what is wrong with the encoding of text[start:end], or None if nothing is."""
        if not self._has_bad_bytes:
            return None
        match = UNDECODED.search(self.text, start, end)
        if not match:
            return None
        offset = self._start + len(self._encode(0, match.start()))
        return describe_bad_bytes(self._encode(start, end), self._encoding, offset)

    def _encode(self, start: int, end: int) -> bytes:
        return self.text[start:end].encode(self._encoding, "surrogateescape")
