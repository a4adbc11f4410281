"""Directories that are written whole or not at all, with a checksum for every file.

A directory is filled under another name, flushed to disk, checksummed and renamed. What is damaged is recognised later by its
checksums (sha256 of every file, in trainer/checksums.json).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json

CHECKSUMS = "checksums.json"


def write_directory(directory: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary directory beside `directory`, checksum and flush its files, then rename it.

    The previous directory is first moved to .NAME.old and removed last, so that one of the two is whole at every moment. If the
    previous directory is damaged and .NAME.old exists, .NAME.old is kept instead.

    Args:
        fill: writes the files into the directory it is given.

    Raises:
        UserError: the disk does not allow it. The previous directory is then still there.
    """
    temporary = directory.parent / f".{directory.name}.tmp-{os.getpid()}"
    old = directory.parent / f".{directory.name}.old"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        fill(temporary)
        _seal(temporary)
        if old.exists() and directory.exists() and find_damage(directory):
            shutil.rmtree(directory)
        elif directory.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(directory, old)
        os.rename(temporary, directory)
        _flush(directory.parent)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # safetensors wraps what the disk says
        shutil.rmtree(temporary, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise UserError(
            f"{directory}: the checkpoint could not be written: {reason}. The last good checkpoint is intact;"
            " make room or mend the folder, then go on with --resume."
        ) from None


def _seal(directory: Path) -> None:
    """Flush every file to disk and write their checksums."""
    sums = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        _flush(path)
        sums[str(path.relative_to(directory))] = _sha256(path)
    target = directory / "trainer" / CHECKSUMS
    target.parent.mkdir(exist_ok=True)
    target.write_text(to_json(sums, indent=1))
    _flush(target)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def find_damage(directory: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None if it is whole."""
    try:
        sums = json.loads((directory / "trainer" / CHECKSUMS).read_text())
    except (OSError, ValueError):
        return "it has no readable checksums, so it was not written to the end"
    for name, expected in sums.items():
        path = directory / name
        if not path.is_file():
            return f"{name} is missing"
        if _sha256(path) != expected:
            return f"{name} does not match its checksum"
    return None
