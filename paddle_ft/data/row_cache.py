"""Keep the rows of large files on disk, and for the next run, which then neither reads nor checks the files again.

A table in the cache belongs to the files, the settings of the data section, and the code that reads. If one of them changes, the
files are read again.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from convert.files import cache_folder
from paddle_ft.data.arrays import AppendedFile, create_file
from paddle_ft.data.readers import split_sheet
from paddle_ft.data.row_table import RowTable, RowWriter
from paddle_ft.data.rows import BadRow, Fields, Rows
from paddle_ft.data.sources.base import Source
from paddle_ft.data.table_files import describe_table, load_table
from paddle_ft.system.cache import CacheEntry, code_digest, warn_of_memory, write_progress
from paddle_ft.system.files import WriteError, to_json, write_atomically
from paddle_ft.system.plugins import user_plugins
from paddle_ft.system.progress import print_info

LARGE = 4 * 2**20  # bytes; the rows of smaller files are read at every start
FORMAT = 1  # version of the cache: entries of another version are not read
CONTENT = "The table of the rows"
TABLE, DESCRIPTION = "rows.arrow", "rows.json"

Collect = Callable[[RowWriter], "Rows | None"]


class _NoSplitError(Exception):
    """The source does not have the split, which shows only when it is read."""


def cached_rows(data, split: str, fields: Fields, source: Source, collect: Collect) -> Rows | None:
    """Return the rows of a split from the cache, or read them. The rows of small files are always read.

    Args:
        data: the data section.
        split: its name.
        fields: the task's fields.
        source: where the rows come from.
        collect: reads them into a RowWriter. None if the source does not have the split.
    """
    names = fields.names
    if not data.cache:
        return collect(RowWriter(names))
    folder = cache_folder() / "rows"
    files = describe_files(data, split, source)
    if files is None:
        rows = collect(RowWriter(names, partial(_open_temporary_file, folder), partial(warn_of_memory, CONTENT, folder)))
    elif sum(file["size"] for file in files) < LARGE:
        rows = collect(RowWriter(names))
    else:
        others = {f"{kind}{name}" for name in ("train", "validation", "test") if name != split for kind in ("", "limit_")}
        settings = data.model_dump(exclude={"cache", *others})
        code = [code_digest(Path(__file__).parent), *map(importlib.metadata.version, ("datasets", "paddlenlp", "pyarrow"))]
        needed = {"source": source.name, "required": fields.required, "names": names}
        key = {"format": FORMAT, "code": code, "data": settings, "needed": needed, "files": files}
        entry = CacheEntry(folder, key, CONTENT, f"read {split}")
        has_changed = partial(_have_changed, data, split, source, files)
        try:
            rows = entry.load_or_build(_load, partial(_read_into, entry, names, collect, has_changed))
        except _NoSplitError:
            rows = None
    if rows is not None and isinstance(rows.rows, RowTable):
        rows.rows.cache = folder
    return rows


def describe_files(data, split: str, source: Source) -> list[dict[str, Any]] | None:
    """Return path, size, times and inode of each file that a split is read from. None if it is not known which files these are.

    The user's own readers and sources are not cached at all, because their code may change.
    """
    if user_plugins("READER") or user_plugins("SOURCE"):
        return None
    paths = source.files(data, split)
    if not paths:
        return None
    files = []
    for path, _ in map(split_sheet, paths):
        members = sorted(str(member) for member in Path(path).rglob("*")) if os.path.isdir(path) else [path]
        for member in members:
            try:
                facts = os.stat(member)
            except OSError:
                return None
            files.append({"path": os.path.abspath(member), "size": facts.st_size, "modified": facts.st_mtime_ns,
                          "changed": facts.st_ctime_ns, "inode": facts.st_ino})  # fmt: skip
    return files


def _have_changed(data, split: str, source: Source, files: list[dict[str, Any]]) -> bool:
    return describe_files(data, split, source) != files


def _read_into(
    entry: CacheEntry, names: Sequence[str], collect: Collect, has_changed: Callable[[], bool], part: Path | None
) -> Rows | None:
    """Read the rows into a folder and return None, or return them if they are few or cannot be written.

    Raises:
        _NoSplitError: the source does not have the split.
    """
    if part is None:
        return _of_split(collect(RowWriter(names)))
    complete = False
    try:
        writer = RowWriter(names, partial(create_file, part / TABLE), entry.warn, partial(_note_progress, part))
        rows = _of_split(collect(writer))
        if writer.file is None:
            return rows
        if has_changed():
            print_info(f"{entry.label}: the files have changed while they were read. Start again if that was not meant.")
            return rows
        complete = _describe(part, writer, rows, entry)
        return None if complete else rows
    finally:
        if not complete:  # reading cannot be continued
            shutil.rmtree(part, ignore_errors=True)


def _of_split(rows: Rows | None) -> Rows:
    if rows is None:
        raise _NoSplitError
    return rows


def _describe(part: Path, writer: RowWriter, rows: Rows, entry: CacheEntry) -> bool:
    """Write what belongs to a table beside it. Return whether both are on disk."""
    description = {"bad": [asdict(bad) for bad in rows.bad], "files": rows.files, "info": rows.info, "classes": rows.classes}
    try:
        description |= describe_table(writer)
        write_atomically(part / DESCRIPTION, to_json(description))
    except (OSError, WriteError) as error:
        entry.warn(error)
        return False
    return True


def _load(folder: Path) -> Rows:
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    table = load_table(folder / TABLE, description)
    bad = [BadRow(**row) for row in description["bad"]]
    return Rows(table, bad, description["files"], description["info"], description["classes"])


def _open_temporary_file(folder: Path) -> AppendedFile:
    """Open a file without a name, whose space is free again when it is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    return AppendedFile(tempfile.TemporaryFile(dir=folder, buffering=0))


def _note_progress(part: Path, count: int) -> None:
    with contextlib.suppress(WriteError):
        write_progress(part, count, None, "row")
