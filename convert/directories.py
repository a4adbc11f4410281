"""Directories that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from convert.errors import ConvertError


@contextlib.contextmanager
def whole_directory(target: Path, source: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty directory next to `target`; it becomes `target` when the block ends well, else it is removed.

    Raises: ConvertError where `target` has contents and `overwrite` is not set, lies in `source` or the other way round.
    """
    target = Path(os.path.abspath(target))
    inside = source.resolve() == target.resolve() or source.resolve() in target.resolve().parents
    if inside or target.resolve() in source.resolve().parents:
        raise ConvertError(f"{target}: source and destination must be apart from each other (source: {source})")
    _refuse_contents(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    except OSError as error:
        raise ConvertError(f"{target}: cannot be created ({error.strerror})") from None
    try:
        yield work
        work.chmod(0o755)
        _refuse_contents(target, overwrite)  # another process may have been faster
        if overwrite and target.exists():
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        work.rename(target)  # takes the place of an empty directory; what another process put there meanwhile stays
    except OSError as error:
        raise ConvertError(f"{target}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_contents(target: Path, overwrite: bool) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())) and not overwrite:
        raise ConvertError(f"{target}: already exists; choose another destination, or say --overwrite")
