"""Write files atomically, and convert values to JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convert.errors import ConvertError
from convert.files import read_json
from paddle_ft.system.errors import UserError


class WriteError(UserError):
    """A file could not be written, for example because the disk is full."""

    @classmethod
    def from_os_error(cls, path: Path, error: OSError) -> WriteError:
        """Return the error for `path` with the operating system's reason."""
        return cls(f"{path}: cannot be written: {error.strerror or error}.")


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that other processes, and a crash, never see half of it.

    The text goes to a temporary file in the same folder, which is flushed to disk and then renamed.

    Args:
        path: the file, in a folder that exists. An existing file is replaced.
        text: its content, written as UTF-8.

    Raises:
        WriteError: the file cannot be written.
    """
    try:
        _write_and_rename(path, text)
    except OSError as error:
        raise WriteError.from_os_error(path, error) from None


def _write_and_rename(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.tmp-")
    try:
        # a broken text may have half of a surrogate pair, which becomes \ud800: in JSON, that is the same text
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write a file atomically with one JSON value per line. Raise WriteError if it cannot be written."""
    write_atomically(path, "".join(to_json(row) + "\n" for row in rows))


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raise UserError if the file cannot be read or is not one, with its name and the reason."""
    try:
        return read_json(path)
    except ConvertError as error:
        raise UserError(str(error)) from None


def to_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON in which non-ASCII characters are not escaped.

    Args:
        value: may contain NumPy scalars, which become numbers. Other unknown types, such as paths, become text.
        indent: spaces per level. None puts everything on one line.
    """
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_to_json_type)


def _to_json_type(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
