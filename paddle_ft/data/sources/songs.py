"""data.source songs: song texts in your own files, named in data.train, data.validation and data.test.

    a folder, or a glob of .txt files     Each .txt or .txt.gz file is one song. The columns are lyrics, title (the file's name),
                                          and folder1, folder2, ... for the folders below the named one: with data.train=lyrics/,
                                          these are rap and mary for lyrics/rap/mary/song.txt. genre is read from folder1 and artist
                                          from folder2, unless data.columns says otherwise, e.g. {artist: folder1}.
    .csv .tsv .json .jsonl .parquet       Each row is one song. data.columns names the columns, e.g. {lyrics: Lyric}.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from paddle_ft.data.files import expand
from paddle_ft.data.readers import extension, find_reader
from paddle_ft.data.readers.stream import DataFile, decode_utf8
from paddle_ft.data.rows import Fields, Record, Records, make_row
from paddle_ft.data.sources.base import Source
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

DEFAULT_COLUMNS = {"genre": "folder1", "artist": "folder2"}  # unless data.columns names another


class Songs(Source):
    """Song texts in folders or tables."""

    name = "songs"
    reads_files = True

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        pattern = getattr(data, split)
        if pattern is None:
            if split == "train":
                raise UserError(
                    "data.train: name your songs: a folder of .txt files, or a csv or jsonl file with one song per row."
                )
            return None
        if isinstance(pattern, dict):
            raise UserError(
                f"data.{split}: {pattern}: with data.source=songs this must be a folder, a file, a glob or a list of them"
            )
        patterns = [pattern] if isinstance(pattern, str) else pattern
        return [file_records for item in patterns for file_records in _open_pattern(item, fields)]


def _open_pattern(pattern: str, fields: Fields) -> Iterator[tuple[str, Records]]:
    pattern = os.path.expanduser(pattern)
    if os.path.isdir(pattern):
        root, paths = pattern, sorted(str(path) for path in Path(pattern).rglob("*") if path.is_file() and _is_text(str(path)))
        if not paths:
            raise UserError(f"{pattern}: there are no .txt files in this folder or below it; for other formats, name the files")
    else:
        root, paths = _fixed_folder(pattern), expand(pattern)
    text_files = [path for path in paths if _is_text(path)]
    if text_files:
        yield pattern, _read_text_files(text_files, root, fields)
    for path in paths:
        if not _is_text(path):
            yield path, find_reader(path).read(DataFile(path), fields)


def _is_text(path: str) -> bool:
    return extension(path) == ".txt"


def _fixed_folder(pattern: str) -> str:
    """Return the longest folder of a glob that has no wildcards. folder1 is the first folder below it."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _read_text_files(paths: list[str], root: str, fields: Fields) -> Iterator[Record]:
    columns = fields.column_names(root or ".")
    with Progress(len(paths), f"read {root or '.'}", unit="song") as progress:
        for number, path in enumerate(paths, start=1):
            yield number, _read_song(path, root, columns, fields)
            progress.update()


def _read_song(path: str, root: str, columns: dict[str, str], fields: Fields) -> dict[str, str] | str:
    text, reason = decode_utf8(DataFile(path).content())
    if reason:
        return f"{path}: {reason}"
    folders = Path(os.path.relpath(path, root or ".")).parts[:-1]
    available = {"lyrics": text, "title": Path(path).name.removesuffix(".gz").removesuffix(".txt")}
    available |= {f"folder{level}": name for level, name in enumerate(folders, start=1)}
    values = {}
    for name in fields.names:
        column = columns[name] if name in fields.mapped else DEFAULT_COLUMNS.get(name, name)
        if column in available:
            values[name] = available[column]
        elif name in fields.mapped:
            return f"{path}: there is no column {column!r} for {name} (data.columns); the columns are {', '.join(available)}"
    row = make_row(values, fields)
    return f"{path}: {row}" if isinstance(row, str) else row


SOURCE = Songs()
