"""Read and write JSON objects, compute checksums, and create directories that are complete or do not exist.

paddle_ft has the same cache folder and computes digests in the same way, so it imports both from here.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from convert.errors import ConvertError

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

MAX_JSON = 300_000_000  # bytes; the largest tokenizer.json has a tenth of it
LOCKED_WITHIN = 60  # seconds
SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")  # half a surrogate pair, valid only together with the other half


def read_json(path: Path) -> dict:
    """Read a JSON object from a file.

    Raises:
        ConvertError: The file is missing, is not JSON, or is not a JSON object.
    """
    try:
        if not path.is_dir() and not path.is_file() and path.exists():
            raise ConvertError(f"{path}: not a regular file")  # reading a pipe would never end
        if path.stat().st_size > MAX_JSON:
            raise ConvertError(f"{path}: {path.stat().st_size} bytes, which no such file needs")
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if SURROGATE_ESCAPE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # fails for half a surrogate pair, which could not be written
    except FileNotFoundError:
        raise ConvertError(f"{path}: not found") from None
    except OSError as error:
        raise ConvertError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # ValueError: also numbers too long for Python, and half surrogate pairs
        raise ConvertError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ConvertError(f"{path}: must be a JSON object, found {type(value).__name__}")
    return value


def read_optional_json(path: Path) -> dict:
    """Read a JSON object, or return {} if the file does not exist."""
    return read_json(path) if path.is_file() else {}


def write_json(path: Path, value: dict) -> None:
    """Write a JSON object in the format of both libraries."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def cache_folder() -> Path:
    """Return the folder for downloads and caches: $PADDLE_FT_HOME or ~/.cache/paddle_ft."""
    return Path(os.environ.get("PADDLE_FT_HOME") or Path.home() / ".cache" / "paddle_ft").expanduser()


def file_digest(path: str | Path, algorithm: str = "sha256", on_read: Callable[[int], Any] | None = None) -> str:
    """Return the digest of a file in hexadecimal.

    Args:
        path: The file.
        algorithm: A name that hashlib knows.
        on_read: Called with the number of bytes of each part that has been read.
    """
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            if on_read is not None:
                on_read(len(block))
    return digest.hexdigest()


def sha256_in_background(paths: Sequence[Path]) -> dict[str, Future]:
    """Start hashing files in a thread, at the same time as the conversion.

    Returns:
        File name -> future of its hex digest.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
    futures = {path.name: pool.submit(file_digest, path) for path in paths}
    pool.shutdown(wait=False)
    return futures


@contextlib.contextmanager
def atomic_directory(target: Path, *sources: Path, overwrite: bool = False) -> Iterator[Path]:
    """Create a directory that is complete or does not exist.

    Yields an empty directory next to `target`. It is renamed to `target` if the block succeeds and removed if it fails. What a
    process that was killed has left of one is removed by the next that creates `target`.

    Args:
        target: The directory to create.
        sources: The directories that are converted. Neither of them and `target` may be inside the other.
        overwrite: Whether to replace a `target` that has contents.

    Raises:
        ConvertError: `target` has contents and `overwrite` is off, `target` and a source overlap, or writing failed.
    """
    target = Path(os.path.abspath(target))
    target_path = target.resolve()
    for source in sources:
        source_path = source.resolve()
        if source_path == target_path or source_path in target_path.parents or target_path in source_path.parents:
            raise ConvertError(f"{target}: source and destination must be separate directories (source: {source})")
    _refuse_contents(target, overwrite)
    prefix = f".{target.name}.partial-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target.parent, prefix)
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    except OSError as error:
        raise ConvertError(f"{target}: cannot be created ({error.strerror})") from None
    lock = _lock(work)
    try:
        yield work
        work.chmod(0o755)
        _refuse_contents(target, overwrite)  # another process may have finished first
        if overwrite and target.exists():
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        work.rename(target)  # replaces an empty directory, and fails if another process has written to it
    except OSError as error:
        raise ConvertError(f"{target}: cannot be written ({error.strerror or error})") from None
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(work, ignore_errors=True)


def _lock(directory: Path) -> int | None:
    """Lock a directory as long as this process lives. Return the handle of the lock, or None if another process has it."""
    if fcntl is None:
        return None
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # also where the file system has no locks
        os.close(handle)
        return None
    return handle


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the directories of this prefix whose process has ended: nobody has locked them for a minute."""
    for leftover in parent.glob(f"{glob.escape(prefix)}*"):
        if abs(time.time() - leftover.stat().st_mtime) < LOCKED_WITHIN:
            continue  # its process may be about to lock it
        if (lock := _lock(leftover)) is not None:
            shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)


def _refuse_contents(target: Path, overwrite: bool) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())) and not overwrite:
        raise ConvertError(f"{target}: already exists; choose another destination, or use --overwrite")
