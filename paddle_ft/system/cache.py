"""Keep on disk what takes long to make. One process makes it, and the others wait for it and read it.

An entry of the cache is a folder that is complete or does not exist. It is made in a folder beside it, whose name ends with .part,
and renamed at the end. A process that is killed leaves that folder behind, and the next one may continue there. The lock is a
flock, which the system removes when its process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from paddle_ft.system.files import WriteError, to_json, write_atomically
from paddle_ft.system.progress import Progress, print_info

PROGRESS = "progress.json"  # in a .part folder: how much is done, for the processes that wait
WAIT = 0.2  # seconds between two looks at the lock of another process

T = TypeVar("T")


@dataclass(frozen=True)
class CacheEntry:
    """A folder of the cache.

    Attributes:
        folder: the folder of all entries of this kind.
        key: everything that the content depends on; must be serialisable as JSON.
        content: what it is, for messages, such as "The tokenised data".
        label: the work of making it, for the progress of a process that waits.
    """

    folder: Path
    key: Any
    content: str
    label: str
    _warnings: list[Exception] = field(default_factory=list, compare=False)

    @cached_property
    def path(self) -> Path:
        """The folder of this entry, which is complete if it exists."""
        return self.folder / hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:32]

    def load_or_build(self, load: Callable[[Path], T], build: Callable[[Path | None], T | None]) -> T:
        """Return what the entry has, and make it first if it does not exist or is damaged.

        Args:
            load: reads a complete folder. It raises OSError or ValueError if the folder is damaged.
            build: makes the content in a folder, which may have what a killed process has left of it, and returns None. It returns
                the content itself if that could not be written, and always for None instead of a folder.
        """
        found = self._load(load)
        if found is not None:
            return found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.path.with_suffix(".lock"), "a")  # noqa: SIM115 closing it unlocks it
        except OSError as error:
            self.warn(error)
            return _not_none(build(None))
        with lock:
            part = self._lock(lock)
            found = self._load(load)  # another process may have made it in the meantime
            return found if found is not None else self._build(part, load, build)

    def warn(self, error: Exception) -> None:
        """Print that the content cannot be written to the cache, and what to do: once, for a full disk fails each of its files."""
        if not self._warnings:
            warn_of_memory(self.content, self.folder, error)
        self._warnings.append(error)

    def _load(self, load: Callable[[Path], T]) -> T | None:
        if not self.path.exists():
            return None
        try:
            return load(self.path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print_info(f"{self.content} in {self.path} is damaged and is made anew ({error}).")
            shutil.rmtree(self.path, ignore_errors=True)
            return None

    def _build(self, part: Path, load: Callable[[Path], T], build: Callable[[Path | None], T | None]) -> T:
        try:
            if self.path.exists():
                raise OSError(f"{self.path} cannot be replaced")
            part.mkdir(exist_ok=True)
        except OSError as error:
            self.warn(error)
            return _not_none(build(None))
        found = build(part)
        if found is not None:
            with contextlib.suppress(OSError):
                part.rmdir()  # if it is empty, because the content is too small to be kept
            return found
        (part / PROGRESS).unlink(missing_ok=True)
        try:
            os.rename(part, self.path)
        except OSError:
            if not self.path.exists():
                raise
            shutil.rmtree(part, ignore_errors=True)  # another machine with the same cache folder was faster
        return load(self.path)

    def _lock(self, lock) -> Path:
        """Wait until no other process makes this entry. Return the folder to make it in."""
        machine = socket.gethostname()  # other machines may not see this machine's lock
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._wait(lock, self.path.with_suffix(f".{machine}.part"))
        except OSError:  # a file system without locks: do not share the work with other processes
            machine += f".{os.getpid()}"
        return self.path.with_suffix(f".{machine}.part")

    def _wait(self, lock, part: Path) -> None:
        print_info(f"{self.label}: another process does this already, and this one waits for it")
        with contextlib.ExitStack() as stack:
            bar, shown = None, 0
            while True:
                try:
                    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(WAIT)
                state = read_progress(part)
                if state and bar is None:
                    shown = state["done"]
                    bar = stack.enter_context(Progress(state["total"], f"wait for: {self.label}", state["unit"], initial=shown))
                elif state and bar:
                    bar.update(state["done"] - shown)
                    shown = state["done"]


def warn_of_memory(content: str, folder: Path, error: Exception) -> None:
    """Print that some content cannot be written to a folder of the cache, and what to do.

    Args:
        content: what it is, such as "The tokenised data".
        folder: the folder.
        error: why it cannot be written.
    """
    print_info(
        f"{content} is not kept for the next run, and is held in memory: {folder}: {getattr(error, 'strerror', None) or error}."
        " Make room there, or name another folder in PADDLE_FT_HOME."
    )


def cached_value(folder: Path | None, key: Any, compute: Callable[[], T]) -> T:
    """Return a value from the cache, or compute it and keep it.

    Args:
        folder: the folder of the cache. None computes it.
        key: everything that the value depends on; must be serialisable as JSON.
        compute: computes it. The value must be serialisable as JSON.
    """
    if folder is None:
        return compute()
    path = CacheEntry(folder, key, "", "").path.with_suffix(".json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))["value"]
    except (OSError, ValueError, KeyError, TypeError):
        value = compute()
    with contextlib.suppress(OSError, WriteError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_json({"value": value}))
    return value


def code_digest(*paths: str | Path) -> str:
    """Return a digest of Python files, and of all Python files in folders, for the key of what this code makes."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            content = file.read_bytes()
            digest.update(f"{file.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def write_progress(part: Path, done: int, total: int | None, unit: str, **state: Any) -> None:
    """Write how much is done of an entry that is being made, and what is needed to continue. Raise WriteError if that fails.

    Args:
        part: its folder.
        done, total: number of units that are done, and of all of them; None: unknown.
        unit: name of a unit.
        state: what `read_progress` returns besides these.
    """
    write_atomically(part / PROGRESS, to_json({"done": done, "total": total, "unit": unit, **state}))


def read_progress(part: Path) -> dict[str, Any] | None:
    """Return what write_progress has written, or None if there is nothing to continue."""
    try:
        return dict(json.loads((part / PROGRESS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _not_none(value: T | None) -> T:
    assert value is not None
    return value
