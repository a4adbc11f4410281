"""Write files atomically, and convert values to JSON."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convert.errors import ConvertError
from convert.files import cache_folder, read_json
from paddle_ft.system.errors import UserError

# Errors of disks and file systems. Only the user can fix these, wherever they happen.
FILE_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOENT, errno.EISDIR}
FULL = (errno.ENOSPC, errno.EDQUOT)
SMALL = 2**20  # bytes; a disk with less is full


class WriteError(UserError):
    """A file could not be written, for example because the disk is full."""

    @classmethod
    def from_os_error(cls, path: Path, error: OSError) -> WriteError:
        """Return the error for `path` with the operating system's reason."""
        return cls(f"{path}: cannot be written: {error.strerror or error}.")


def describe_file_error(error: OSError) -> str:
    """Return an error of FILE_ERRORS in one line, with the file. If a disk is full and no file is known, name the full folders."""
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    if error.errno not in FULL:
        return f"{error.strerror}."
    folders = {"TMPDIR": os.environ.get("TMPDIR", "/tmp"), "PADDLE_FT_HOME": str(cache_folder()), "the working directory": "."}
    full = [f"{folder} ({name})" for name, folder in folders.items() if os.path.isdir(folder) and _free(folder) < SMALL]
    return f"{error.strerror}{': ' + ', '.join(full) if full else ''}."


def _free(folder: str) -> int:
    return shutil.disk_usage(folder).free


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that other processes, and a crash, never see half of it.

    The content goes to a temporary file in the same folder, which is flushed to disk and then renamed.

    Args:
        path: the file, in a folder that exists. An existing file is replaced.
        content: its content; text is written as UTF-8.

    Raises:
        WriteError: the file cannot be written.
    """
    try:
        _write_and_rename(path, content)
    except OSError as error:
        raise WriteError.from_os_error(path, error) from None


def _write_and_rename(path: Path, content: str | bytes) -> None:
    if isinstance(content, str):
        # a broken text may have half of a surrogate pair, which becomes \ud800: in JSON, that is the same text
        content = content.encode("utf-8", "backslashreplace")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
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
