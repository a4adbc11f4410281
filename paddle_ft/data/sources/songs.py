"""data.source songs: song texts in your own files, given as data.train, data.validation, data.test.

    a folder, or a glob of .txt files     each .txt (or .txt.gz) is one song. The columns are lyrics, title (the file's name), and
                                          for the folders above the file folder1, folder2, ...: lyrics/rap/somebody/song.txt has
                                          rap and somebody. genre is read from folder1 and artist from folder2 unless
                                          data.columns says otherwise, e.g. {artist: folder1}
    .csv .tsv .json .jsonl .parquet       a song a row, columns mapped with data.columns, e.g. {lyrics: Lyric, artist: Artist}
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from paddle_ft.data.files import expand
from paddle_ft.data.readers import extension, find_reader
from paddle_ft.data.readers.stream import DataFile, describe_bad_utf8
from paddle_ft.data.rows import Fields, Record, Records, make_row
from paddle_ft.data.sources.base import Source
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

DEFAULT_COLUMNS = {"genre": "folder1", "artist": "folder2"}  # where data.columns does not name one


class Songs(Source):
    """Song texts in folders or tables."""

    name = "songs"
    reads_files = True

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        pattern = getattr(data, split)
        if pattern is None:
            if split == "train":
                raise UserError("data.train: name your songs: a folder of .txt files, or a csv or jsonl file with a song a row.")
            return None
        if isinstance(pattern, dict):
            raise UserError(
                f"data.{split}: {pattern}: with data.source=songs this is a folder, a file, a glob or a list of them"
            )
        patterns = [pattern] if isinstance(pattern, str) else pattern
        return [part for one in patterns for part in _open_pattern(one, fields)]


def _open_pattern(pattern: str, fields: Fields) -> Iterator[tuple[str, Records]]:
    pattern = os.path.expanduser(pattern)
    if os.path.isdir(pattern):
        root, paths = pattern, sorted(str(path) for path in Path(pattern).rglob("*") if path.is_file() and _is_text(str(path)))
        if not paths:
            raise UserError(f"{pattern}: there are no .txt files in this folder or below it; other formats are named as files")
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
    """Return the part of a glob without wildcards: folder1 is the first folder below it."""
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
    content = DataFile(path).content()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return f"{path}: {describe_bad_utf8(content, error.start)}"
    folders = Path(os.path.relpath(path, root or ".")).parts[:-1]
    available = {"lyrics": text, "title": Path(path).name.removesuffix(".gz").removesuffix(".txt")}
    available |= {f"folder{level}": name for level, name in enumerate(folders, start=1)}
    values = {}
    for name in fields.names:
        column = columns[name] if name in fields.mapped else DEFAULT_COLUMNS.get(name, name)
        if column in available:
            values[name] = available[column]
        elif name in fields.mapped:
            return f"{path}: there is no {column!r} for {name} (data.columns); there is {', '.join(available)}"
    row = make_row(values, fields)
    return f"{path}: {row}" if isinstance(row, str) else row


SOURCE = Songs()
