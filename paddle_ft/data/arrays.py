"""One-dimensional arrays in files: appended part by part, and read without being loaded into memory.

A file has the bare numbers, little-endian. arrays.json beside the files has their sizes and checksums.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from paddle_ft.system.cache import CacheEntry, read_progress, write_progress
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import WriteError, to_json, write_atomically

DESCRIPTION = "arrays.json"
IN_MEMORY = 64 * 2**20  # bytes; arrays that are smaller together are loaded
CHECKED = 256 * 2**20  # bytes; the checksum of a larger file is not computed when it is opened, because that takes too long
PART = 2**20  # elements that are read at once where all are needed
CHECKPOINT_SECONDS = 5.0  # work that a killed process may lose
TYPES = {"int32": "<i4", "int64": "<i8", "uint8": "<u1"}


class ArrayFile:
    """An array in a file. `array[i]` and `array[start:end]` read only these elements, so that it takes no memory.

    The system keeps what was read in its own memory as long as there is room. The file may be deleted while it is in use.
    """

    def __init__(self, path: Path, dtype: str):
        self.path, self.dtype = path, np.dtype(TYPES[dtype])
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._length = os.fstat(self._file).st_size // self.dtype.itemsize

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index):
        if not isinstance(index, slice):
            number = range(len(self))[index]  # raises IndexError, and counts negative numbers from the end
            return self._read(number, number + 1)[0]
        start, end, step = index.indices(len(self))
        if step != 1:
            raise ValueError("an array in a file is read without gaps")
        return self._read(start, max(start, end))

    def _read(self, start: int, end: int) -> np.ndarray:
        size, parts = (end - start) * self.dtype.itemsize, []
        position = start * self.dtype.itemsize
        while size > 0 and (part := os.pread(self._file, size, position)):  # the system reads 2 GB at most at once
            parts.append(part)
            size, position = size - len(part), position + len(part)
        if size > 0:
            raise UserError(f"{self.path}: the file has become shorter while it was in use. Start again, and it is made anew.")
        return np.frombuffer(b"".join(parts), self.dtype)


def in_parts(array: np.ndarray | ArrayFile, overlap: int = 0, size: int = PART) -> Iterator[np.ndarray]:
    """Yield an array in parts.

    Args:
        array: the array.
        overlap: how many elements a part shares with the next one.
        size: elements of a part, without those.
    """
    for start in range(0, len(array) - overlap, size):
        yield array[start : start + size + overlap]


class AppendedFile:
    """A file to which bytes are appended, and their checksum.

    Attributes:
        file: the file, unbuffered.
        size: number of bytes that were appended completely.
        crc32: their checksum.
    """

    def __init__(self, file: BinaryIO, size: int = 0, crc32: int = 0):
        """Cut off what comes after the first `size` bytes of an open file, whose checksum is `crc32`."""
        self.file, self.size, self.crc32 = file, size, crc32
        file.truncate(size)
        file.seek(size)

    def append(self, data) -> None:
        """Append bytes, or the bytes of an array. Raise OSError if they cannot be written."""
        rest = memoryview(data).cast("B")
        crc32, size = zlib.crc32(rest, self.crc32), len(rest)
        while rest:
            rest = rest[self.file.write(rest) :]
        self.crc32, self.size = crc32, self.size + size

    def flush(self) -> None:
        """Wait until the disk has all bytes."""
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def take_back(self) -> bytes:
        """Return all bytes that were appended completely, and close the file."""
        self.file.seek(0)
        parts, size = [], self.size
        while size > 0 and (part := self.file.read(min(size, 2**26))):
            parts.append(part)
            size -= len(part)
        self.close()
        return b"".join(parts)


def create_file(path: Path) -> AppendedFile:
    """Open a new file, or one whose content is removed."""
    return AppendedFile(open(path, "w+b", buffering=0))


def crc32_of(path: Path, size: int) -> int:
    """Return the checksum of the first `size` bytes of a file."""
    crc32 = 0
    with open(path, "rb") as file:
        while size > 0 and (part := file.read(min(size, 2**22))):
            crc32, size = zlib.crc32(part, crc32), size - len(part)
    return crc32


def check_file(path: Path, size: int, crc32: int) -> None:
    """Raise ValueError if a file does not have this size, or this checksum, which is not computed for a file over CHECKED bytes."""
    found = path.stat().st_size
    if found != size:
        raise ValueError(f"{path.name} has {found:,} bytes instead of {size:,}")
    if size <= CHECKED and crc32_of(path, size) != crc32:
        raise ValueError(f"{path.name} does not match its checksum")


class ArrayWriter:
    """Append to several arrays, in files of a folder. Another writer continues where a killed process was.

    If a file cannot be written, the arrays are held in memory from then on, and the folder is removed.

    Attributes:
        numbers: what belongs to the arrays: name -> number. A writer that continues has those of the last `checkpoint`.
    """

    def __init__(self, folder: Path | None, types: dict[str, str], warn: Callable[[Exception], None] | None = None):
        """Begin or continue.

        Args:
            folder: the folder of the files. None holds the arrays in memory.
            types: the name and the element type of each array, of TYPES.
            warn: called with the error if a file cannot be written.
        """
        self.folder, self.types, self.warn = folder, types, warn
        self.numbers: dict[str, int] = {}
        self._saved = time.monotonic()
        self._files: dict[str, AppendedFile] = {}
        self._arrays: dict[str, list[np.ndarray]] = {name: [] for name in types}
        if folder is not None:
            try:
                self._open(folder)
            except OSError as error:
                self._hold_in_memory(error)

    def _open(self, folder: Path) -> None:
        state = read_progress(folder) or {}
        sizes = {name: state.get("files", {}).get(name, {"size": 0, "crc32": 0}) for name in self.types}
        paths = {name: folder / f"{name}.bin" for name in self.types}
        if all(known["size"] == 0 or _begins_with(paths[name], **known) for name, known in sizes.items()):
            self.numbers = dict(state.get("numbers", {}))
        else:
            sizes = {}
        for name, path in paths.items():
            size = sizes.get(name, {"size": 0, "crc32": 0})
            self._files[name] = AppendedFile(open(path, "r+b" if size["size"] else "w+b", buffering=0), **size)  # noqa: SIM115

    def append(self, **arrays: np.ndarray) -> None:
        """Append an array to each of those with these names."""
        for name, array in arrays.items():
            array = np.ascontiguousarray(array, TYPES[self.types[name]])
            if self._files:
                try:
                    self._files[name].append(array)
                    continue
                except OSError as error:
                    self._hold_in_memory(error)
            self._arrays[name].append(array)

    def checkpoint(self, done: int, total: int, unit: str) -> None:
        """Every few seconds, write to disk what was appended, and note it, so that a killed process need not do it again.

        Args:
            done, total: number of units that are done, and of all of them.
            unit: name of a unit.
        """
        if self._files and self.folder and time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self._saved = time.monotonic()
            try:
                for file in self._files.values():
                    file.flush()
                write_progress(self.folder, done, total, unit, files=self._sizes(), numbers=self.numbers)
            except (OSError, WriteError) as error:
                self._hold_in_memory(error)

    def finish(self) -> dict[str, np.ndarray] | None:
        """Complete the folder and return None, or return the arrays if they are in memory."""
        if self._files and self.folder:
            try:
                for file in self._files.values():
                    if file.size > IN_MEMORY:  # the checksum of a smaller one always tells whether it is complete
                        file.flush()
                write_atomically(self.folder / DESCRIPTION, to_json({"files": self._sizes(), "numbers": self.numbers}))
            except (OSError, WriteError) as error:
                self._hold_in_memory(error)
            else:
                for file in self._files.values():
                    file.close()
                return None
        empty = {name: [np.zeros(0, TYPES[dtype])] for name, dtype in self.types.items()}
        return {name: np.concatenate(parts or empty[name]) for name, parts in self._arrays.items()}

    def load(self) -> dict[str, Any]:
        """Complete the folder, and return the arrays, which stay there if they are large."""
        arrays = self.finish()
        return load_arrays(self.folder, self.types)[0] if arrays is None and self.folder else arrays

    def _sizes(self) -> dict[str, dict[str, int]]:
        return {name: {"size": file.size, "crc32": file.crc32} for name, file in self._files.items()}

    def _hold_in_memory(self, error: Exception) -> None:
        if self.warn:
            self.warn(error)
        for name, file in self._files.items():
            self._arrays[name].append(np.frombuffer(file.take_back(), TYPES[self.types[name]]))
        self._files = {}
        if self.folder:  # a full disk has room again for the run that goes on
            shutil.rmtree(self.folder, ignore_errors=True)


def _begins_with(path: Path, size: int, crc32: int) -> bool:
    """Return whether a file begins with these bytes."""
    try:
        return path.stat().st_size >= size and crc32_of(path, size) == crc32
    except OSError:
        return False


def load_arrays(folder: Path, types: dict[str, str]) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the arrays that an ArrayWriter has completed in a folder, and the numbers that belong to them.

    Small arrays are loaded, large ones are ArrayFiles.

    Raises:
        OSError, ValueError: a file is missing or damaged.
    """
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    files, arrays = description["files"], {}
    is_small = sum(files[name]["size"] for name in types) <= IN_MEMORY
    for name, dtype in types.items():
        path = folder / f"{name}.bin"
        check_file(path, **files[name])
        arrays[name] = np.fromfile(path, TYPES[dtype]) if is_small else ArrayFile(path, dtype)
    return arrays, description["numbers"]


def cached_arrays(
    entry: CacheEntry | None, types: dict[str, str], fill: Callable[[ArrayWriter], None]
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return arrays and the numbers that belong to them from the cache, or make them.

    Args:
        entry: where they are in the cache. None makes them in memory.
        types: the name and the element type of each array.
        fill: appends all of them to a writer, or what is missing to a writer that has numbers already.
    """

    def build(folder: Path | None) -> tuple[dict[str, Any], dict[str, int]] | None:
        writer = ArrayWriter(folder, types, entry.warn if entry else None)
        fill(writer)
        arrays = writer.finish()
        return None if arrays is None else (arrays, writer.numbers)

    if entry is None:
        return build(None)
    return entry.load_or_build(lambda folder: load_arrays(folder, types), build)
