"""Local files as rows: patterns become files, files become rows. The formats themselves are in readers/."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from paddle_ft.data.readers import extension, reader_for
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import BadRow, Fields, Records, Rows, collect, take
from paddle_ft.system.errors import UserError

__all__ = ["BadRow", "Rows", "expand", "read_files"]

Pattern = str | list[str] | dict[str, str]


def read_files(
    pattern: Pattern,
    columns: dict[str, str | int | None] | None = None,
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...] = (),
    on_bad_row: str = "error",
    limit: int | None = None,
) -> Rows:
    """Reads .tsv, .csv, .json (array or lines), .jsonl, .parquet and .txt files, each also with .gz.

    Args:
        pattern: a path, a glob (`**` included), a list of them, or for pairs of .txt files field -> path.
        columns: task field -> column name, or its number from 0, which means that the file has no header.
        required, optional: the task's fields. A required one must hold text in every row.
        on_bad_row: "error" or "skip".
        limit: stop after that many good rows.

    Returns: Rows in the files' order (files of a glob sorted by name).

    Raises: UserError for a missing, empty or unreadable file, an unknown format, columns that are not there, and bad
        rows: the first one's file, line and reason, and how many there are.
    """
    fields = Fields(dict(columns or {}), tuple(required), tuple(optional))
    return collect(open_files(pattern, fields), on_bad_row, limit)


def open_files(pattern: Pattern, fields: Fields) -> Iterator[tuple[str, Records]]:
    """(file, records) for each file of the pattern; a file is opened when its records are asked for."""
    if isinstance(pattern, dict):
        yield _pairs(pattern, fields)
        return
    for path in expand(pattern):
        yield path, reader_for(path).read(DataFile(path), fields)


def expand(pattern: str | list[str]) -> list[str]:
    """The files that a path, a glob or a list of them names. Raises UserError if one of them names none."""
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    if not patterns:
        raise UserError("no data file given: the list of files is empty")
    return [path for one in patterns for path in _expand_one(os.path.expanduser(str(one)))]


def _expand_one(pattern: str) -> list[str]:
    if os.path.isdir(pattern):
        raise UserError(f"{pattern}: this is a folder; name its files, e.g. {os.path.join(pattern, '*.tsv')}")
    if os.path.exists(pattern):
        return [pattern]
    found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not found:
        raise UserError(_not_found(pattern))
    return found


def _not_found(pattern: str) -> str:
    folder = Path(pattern).parent
    if not folder.is_dir():
        missing = next(part for part in [folder, *folder.parents][::-1] if not glob.glob(str(part)))
        return f"{pattern}: no such file: the folder {missing} does not exist (working directory: {os.getcwd()})"
    names = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(Path(pattern).name, names, n=5, cutoff=0.4) or names[:5]
    there = f"the folder {folder} has {', '.join(near)}" if near else f"the folder {folder} is empty"
    return f"{pattern}: no such file; {there} (working directory: {os.getcwd()})"


def _pairs(pattern: dict[str, str], fields: Fields) -> tuple[str, Records]:
    """The name and the records of text files that belong together line by line."""
    unknown = [name for name in pattern if name not in fields.required + fields.optional]
    missing = [name for name in fields.required if name not in pattern]
    if unknown or missing:
        raise UserError(f"files by field: {dict(pattern)}: one file is needed for each of {', '.join(fields.required)}")
    paths = {name: expand(one) for name, one in pattern.items()}
    for name, found in paths.items():
        if len(found) != 1 or extension(found[0]) != ".txt":
            raise UserError(f"{pattern[name]}: files by field must be one .txt file each, found {', '.join(found)}")
    files = {name: found[0] for name, found in paths.items()}
    return " + ".join(files.values()), _side_by_side(files, fields)


def _side_by_side(files: dict[str, str], fields: Fields) -> Records:
    ended: dict[str, int] = {}
    line = 0
    for line, texts in enumerate(zip_longest(*(DataFile(path).lines() for path in files.values())), start=1):
        for path, text in zip(files.values(), texts, strict=True):
            if text is None:
                ended.setdefault(path, line - 1)
        if not ended:
            faults = [f"{path}: {text[1]}" for path, text in zip(files.values(), texts, strict=True) if text[1]]
            row = {name: text[0] for name, text in zip(files, texts, strict=True)}
            yield line, faults[0] if faults else take(row, fields)
    if ended:
        counts = ", ".join(f"{path} has {ended.get(path, line)}" for path in files.values())
        raise UserError(f"text files that belong together need equally many lines: {counts}")
