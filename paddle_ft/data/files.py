"""Read local files: a path or pattern becomes files, and each file becomes records. The formats are in readers/."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from paddle_ft.data.readers import extension, find_reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records, make_row
from paddle_ft.system.errors import UserError

Pattern = str | list[str] | dict[str, str]
"""A path, a glob (** included), a list of them, or for .txt files that belong together field -> path."""


def open_files(pattern: Pattern, fields: Fields) -> Iterator[tuple[str, Records]]:
    """Yield (file, records) for each file of the pattern, the files of a glob sorted by name.

    A file is only opened when its records are asked for.

    Raises:
        UserError: a file is missing, empty or unreadable, its format is unknown, or it lacks a column.
    """
    if isinstance(pattern, dict):
        yield _open_parallel_files(pattern, fields)
        return
    for path in expand(pattern):
        yield path, find_reader(path).read(DataFile(path), fields)


def expand(pattern: str | list[str]) -> list[str]:
    """Return the files that a path, a glob or a list of them names. Raise UserError if one of them names none."""
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    if not patterns:
        raise UserError("no data file given: the list of files is empty")
    return [path for one in patterns for path in _expand_one(os.path.expanduser(str(one)))]


def _expand_one(pattern: str) -> list[str]:
    if os.path.isdir(pattern):
        raise UserError(f"{pattern}: this is a folder; name its files, e.g. {os.path.join(pattern, '*.tsv')}")
    if os.path.exists(pattern):
        return [pattern]
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not paths:
        raise UserError(_not_found_message(pattern))
    return paths


def _not_found_message(pattern: str) -> str:
    folder = Path(pattern).parent
    if not folder.is_dir():
        missing = next(part for part in [folder, *folder.parents][::-1] if not glob.glob(str(part)))
        return f"{pattern}: no such file: the folder {missing} does not exist (working directory: {os.getcwd()})"
    names = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(Path(pattern).name, names, n=5, cutoff=0.4) or names[:5]
    contents = f"the folder {folder} has {', '.join(near)}" if near else f"the folder {folder} is empty"
    return f"{pattern}: no such file; {contents} (working directory: {os.getcwd()})"


def _open_parallel_files(pattern: dict[str, str], fields: Fields) -> tuple[str, Records]:
    """Return the names and the records of text files whose lines belong together."""
    unknown = [name for name in pattern if name not in fields.names]
    missing = [name for name in fields.required if name not in pattern]
    if unknown or missing:
        raise UserError(f"files by field: {dict(pattern)}: one file is needed for each of {', '.join(fields.required)}")
    files = {}
    for name, paths in {name: expand(path) for name, path in pattern.items()}.items():
        if len(paths) != 1 or extension(paths[0]) != ".txt":
            raise UserError(f"{pattern[name]}: files by field must be one .txt file each, found {', '.join(paths)}")
        files[name] = paths[0]
    return " + ".join(files.values()), _read_parallel_files(files, fields)


def _read_parallel_files(files: dict[str, str], fields: Fields) -> Records:
    """Yield a record for each line; `files` maps a field to its file."""
    lengths: dict[str, int] = {}  # of the files that have ended
    line = 0
    for line, texts in enumerate(zip_longest(*(DataFile(path).lines() for path in files.values())), start=1):
        for path, text in zip(files.values(), texts, strict=True):
            if text is None:
                lengths.setdefault(path, line - 1)
        if not lengths:
            faults = [f"{path}: {text[1]}" for path, text in zip(files.values(), texts, strict=True) if text[1]]
            row = {name: text[0] for name, text in zip(files, texts, strict=True)}
            yield line, faults[0] if faults else make_row(row, fields)
    if lengths:
        counts = ", ".join(f"{path} has {lengths.get(path, line)}" for path in files.values())
        raise UserError(f"text files that belong together need equally many lines: {counts}")
