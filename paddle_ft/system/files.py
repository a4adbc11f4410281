"""Write files whole or not at all, and values as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from paddle_ft.system.errors import UserError


class WriteError(UserError):
    """A file could not be written: the disk is full, or the directory is gone."""

    @classmethod
    def from_os_error(cls, path: Path, error: OSError) -> WriteError:
        return cls(f"{path}: cannot be written: {error.strerror or error}.")


def write_atomically(path: Path, text: str) -> None:
    """Write a file under another name in the same folder, flush it to disk, and rename it.

    Raises:
        WriteError: the disk does not allow it.
    """
    try:
        _write(path, text)
    except OSError as error:
        raise WriteError.from_os_error(path, error) from None


def _write(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.tmp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def to_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON with Chinese characters as they are. NumPy scalars become numbers, paths become text."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_to_plain)


def _to_plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
