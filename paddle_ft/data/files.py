"""Read local files: expand paths and globs, and read each file with the reader for its format (see readers/)."""

from __future__ import annotations

import difflib
import glob
import os
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from paddle_ft.data.readers import extension, find_reader, is_saved_dataset, is_saved_dict, readers, split_sheet
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records, make_row
from paddle_ft.system.errors import UserError

Pattern = str | list[str] | dict[str, str]
"""A path, a glob (which may contain **), or a list of them. For parallel .txt files: field -> path."""


def open_files(pattern: Pattern, fields: Fields) -> Iterator[tuple[str, Records]]:
    """Yield (file, records) for each file of a pattern. The files of a glob are sorted by name.

    A file is opened only when its records are read.

    Args:
        pattern: which files to read.
        fields: the task's fields.

    Raises:
        UserError: a file is missing, empty or unreadable, its format is unknown, or it lacks a column.
    """
    if isinstance(pattern, dict):
        yield _open_parallel_files(pattern, fields)
        return
    for path in expand(pattern):
        yield path, find_reader(path).read(DataFile(path, fields.reading), fields)


def expand(pattern: str | list[str]) -> list[str]:
    """Return the paths of the files that a path, a glob or a list of them names.

    Raises:
        UserError: a path or glob names no file, or names a folder that is no saved data set.
    """
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    if not patterns:
        raise UserError("no data file given: the list of files is empty")
    return [path for item in patterns for path in _expand_glob(os.path.expanduser(str(item)))]


def _example(folder: str) -> str:
    """Return a glob for the files in a folder that a reader knows: that of the most frequent extension."""
    known = readers()
    found = Counter(extension(entry.name) for entry in os.scandir(folder) if entry.is_file())
    return f"*{max((name for name in found if name in known), key=found.__getitem__, default='.tsv')}"


def _expand_glob(pattern: str) -> list[str]:
    if is_saved_dataset(pattern) or is_saved_dict(pattern):
        find_reader(pattern)  # refuses several splits
        return [pattern]
    if os.path.isdir(pattern):
        raise UserError(f"{pattern}: this is a folder; name its files, e.g. {os.path.join(pattern, _example(pattern))}")
    if os.path.exists(pattern):
        return [pattern]
    file_pattern, sheet = split_sheet(pattern)
    paths = sorted(path for path in glob.glob(file_pattern, recursive=True) if os.path.isfile(path) or is_saved_dataset(path))
    if not paths and os.path.isfile(file_pattern):
        paths = [file_pattern]  # its name has characters that mean something in a glob
    if not paths:
        raise UserError(_not_found_message(file_pattern))
    return paths if sheet is None else [f"{path}:{sheet}" for path in paths]


def _not_found_message(pattern: str) -> str:
    folder, end = Path(pattern).parent, f"(working directory: {os.getcwd()})"
    for part in [Path(pattern), *Path(pattern).parents][::-1]:
        try:
            os.stat(part)
        except PermissionError as error:
            return f"{pattern}: the folder {part.parent} cannot be read: {error.strerror}"
        except (OSError, ValueError):  # it does not exist, has the wildcards of a glob, or a null character
            if part != Path(pattern) and not glob.glob(str(part)):
                return f"{pattern}: no such file: the folder {part} does not exist {end}"
        if os.path.isfile(part):
            return f"{pattern}: no such file: {part} is a file, not a folder {end}"
    if glob.has_magic(str(folder)):
        return f"{pattern}: no such file {end}"
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        return f"{pattern}: the folder {folder} cannot be read: {error.strerror}"
    similar = difflib.get_close_matches(Path(pattern).name, names, n=5, cutoff=0.4) or names[:5]
    contents = f"the folder {folder} has {', '.join(similar)}" if similar else f"the folder {folder} is empty"
    return f"{pattern}: no such file; {contents} {end}"


def files_below(folder: str) -> list[str]:
    """Return all files of a folder and its subfolders, sorted. Raise UserError if one of the folders cannot be read."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: this folder cannot be read: {error.strerror}")

    paths = [os.path.join(parent, name) for parent, _, names in os.walk(folder, onerror=refuse) for name in names]
    return sorted(path for path in paths if os.path.isfile(path))


def _open_parallel_files(pattern: dict[str, str], fields: Fields) -> tuple[str, Records]:
    """Return the joined names and the records of parallel text files, where line n of each file belongs to row n."""
    unknown = [name for name in pattern if name not in fields.names]
    missing = [name for name in fields.required if name not in pattern]
    if unknown or missing:
        raise UserError(f"files by field: {dict(pattern)}: one file is needed for each of {', '.join(fields.required)}")
    files = {}
    paths_by_field = {name: expand(path) for name, path in pattern.items()}
    for name, paths in paths_by_field.items():
        if len(paths) != 1 or extension(paths[0]) != ".txt":
            raise UserError(f"{pattern[name]}: files by field must be one .txt file each, found {', '.join(paths)}")
        files[name] = paths[0]
    return " + ".join(files.values()), _read_parallel_files(files, fields)


def _read_parallel_files(files: dict[str, str], fields: Fields) -> Records:
    """Yield a record for each line of parallel text files (field -> file)."""
    lengths: dict[str, int] = {}  # number of lines of the files that have ended
    line = 0
    for line, texts in enumerate(zip_longest(*(DataFile(path, fields.reading).lines() for path in files.values())), start=1):
        for path, text in zip(files.values(), texts, strict=True):
            if text is None:
                lengths.setdefault(path, line - 1)
        if not lengths:
            problems = [f"{path}: {reason}" for path, (_, reason) in zip(files.values(), texts, strict=True) if reason]
            row = {name: text for name, (text, _) in zip(files, texts, strict=True)}
            yield line, problems[0] if problems else make_row(row, fields)
    if lengths:
        counts = ", ".join(f"{path} has {lengths.get(path, line)}" for path in files.values())
        raise UserError(f"text files that belong together need the same number of lines: {counts}")
