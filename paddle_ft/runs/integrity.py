"""Write directories atomically, and detect damaged ones by their checksums.

A directory is filled under a temporary name, flushed to disk and then renamed. The SHA-256 of every file is in
trainer/checksums.json, so that damage is noticed when the directory is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from convert.files import file_digest
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json

CHECKSUMS = "checksums.json"


def write_directory(directory: Path, fill: Callable[[Path], None]) -> None:
    """Write a directory atomically. It replaces the previous version of the directory.

    The files are written into a temporary directory, checksummed and flushed to disk. Then the previous version is moved to
    .NAME.old, the temporary directory is renamed, and .NAME.old is removed. So there is a complete version at every moment. If the
    previous version is damaged and .NAME.old exists, .NAME.old is kept until the end instead.

    Args:
        directory: the directory to write.
        fill: writes the files into the directory that it is called with.

    Raises:
        UserError: a file cannot be written. The previous version is still there.
    """
    temporary = directory.parent / f".{directory.name}.tmp-{os.getpid()}"
    old = directory.parent / f".{directory.name}.old"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        fill(temporary)
        seal(temporary)
        if old.exists() and directory.exists() and find_damage(directory):
            shutil.rmtree(directory)
        elif directory.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(directory, old)
        os.rename(temporary, directory)
        _flush(directory.parent)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # safetensors raises its own error if the disk is full
        shutil.rmtree(temporary, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise UserError(
            f"{directory}: the checkpoint could not be written: {reason}. The last good checkpoint is intact;"
            " free some space or repair the folder, then continue with --resume."
        ) from None


def seal(directory: Path) -> None:
    """Flush all files of a directory to disk and write their checksums. All get the permissions of a new file.

    safetensors makes its files readable for their owner alone, so that a colleague, or a service that runs as another user, could
    not load the model.
    """
    files = sorted(p for p in directory.rglob("*") if p.is_file())
    target = directory / "trainer" / CHECKSUMS
    target.parent.mkdir(exist_ok=True)
    target.touch()
    permissions = stat.S_IMODE(target.stat().st_mode)
    sums = {}
    for path in files:
        with contextlib.suppress(OSError):  # some file systems have none
            path.chmod(permissions)
        _flush(path)
        sums[str(path.relative_to(directory))] = file_digest(path)
    target.write_text(to_json(sums, indent=1))
    _flush(target)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def find_damage(directory: Path) -> str | None:
    """Compare the files of a checkpoint with its checksums. Return what is wrong, or None if it is complete."""
    try:
        sums = json.loads((directory / "trainer" / CHECKSUMS).read_text())
    except (OSError, ValueError):
        sums = None
    if not isinstance(sums, dict):
        return "it has no readable checksums, so it was not written completely"
    for name, expected in sums.items():
        path = directory / name
        if not path.is_file():
            return f"{name} is missing"
        if file_digest(path) != expected:
            return f"{name} does not match its checksum"
    return None


def checksummed_files(directory: Path) -> list[str]:
    """Return the names of the files that were written into a checkpoint, by its checksums. It must be one without damage."""
    return list(json.loads((directory / "trainer" / CHECKSUMS).read_text()))
