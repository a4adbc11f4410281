"""data.source songs: song texts in your own files, given as data.train, data.validation, data.test.

    a folder, or a glob of .txt files     each .txt (or .txt.gz) is one song; columns lyrics, title (the file's name), and for
                                          the folders above it folder1, folder2, ...: lyrics/rap/somebody/song.txt has rap and
                                          somebody. genre is read from folder1 and artist from folder2 unless data.columns
                                          says otherwise, e.g. {artist: folder1}
    .csv .tsv .json .jsonl .parquet       a song a row, columns mapped with data.columns, e.g. {lyrics: Lyric, artist: Artist}
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from paddle_ft.data.download import Wanted
from paddle_ft.data.files import expand
from paddle_ft.data.readers import extension, reader_for
from paddle_ft.data.readers.stream import DataFile, not_utf8
from paddle_ft.data.rows import Fields, Records, take
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

ORDER = 1
READS_FILES = True  # data.train, ... are this source's own files, in its own layouts
LEVELS = {"genre": "folder1", "artist": "folder2"}  # what a field is read from where data.columns does not say


def claims(source: str | None) -> bool:
    return source == "songs"


def wanted(data) -> list[Wanted]:
    return []


def read(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    pattern = getattr(data, split)
    if pattern is None:
        if split == "train":
            raise UserError("data.train: name your songs: a folder of .txt files, or a csv or jsonl file with a song a row.")
        return None
    if isinstance(pattern, dict):
        raise UserError(f"data.{split}: {pattern}: with data.source=songs this is a folder, a file, a glob or a list of them")
    return [part for one in ([pattern] if isinstance(pattern, str) else pattern) for part in _parts(one, fields)]


def _parts(pattern: str, fields: Fields) -> Iterator[tuple[str, Records]]:
    pattern = os.path.expanduser(pattern)
    if os.path.isdir(pattern):
        root, paths = pattern, sorted(str(path) for path in Path(pattern).rglob("*") if _is_song(path))
        if not paths:
            raise UserError(f"{pattern}: there are no .txt files in this folder or below it; other formats are named as files")
    else:
        root, paths = _fixed_part(pattern), expand(pattern)
    songs = [path for path in paths if extension(path) == ".txt"]
    if songs:
        yield pattern, _songs(songs, root, fields)
    for path in paths:
        if extension(path) != ".txt":
            yield path, reader_for(path).read(DataFile(path), fields)


def _is_song(path: Path) -> bool:
    return path.is_file() and extension(str(path)) == ".txt"


def _fixed_part(pattern: str) -> str:
    """The folder of a glob below which the levels count."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _songs(paths: list[str], root: str, fields: Fields) -> Iterator[tuple[int, dict[str, str] | str]]:
    columns = {name: column for name, column in fields.by_name(root or ".").items()}
    with Progress(len(paths), f"read {root or '.'}", unit="song") as progress:
        for number, path in enumerate(paths, start=1):
            yield number, _song(path, root, columns, fields)
            progress.update()


def _song(path: str, root: str, columns: dict[str, str], fields: Fields) -> dict[str, str] | str:
    data = DataFile(path).content()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return f"{path}: {not_utf8(data, error.start)}"
    folders = Path(os.path.relpath(path, root or ".")).parts[:-1]
    there = {"lyrics": text, "title": Path(path).name.removesuffix(".gz").removesuffix(".txt")}
    there |= {f"folder{level}": name for level, name in enumerate(folders, start=1)}
    values = {}
    for name in fields.required + fields.optional:
        column = LEVELS.get(name, name) if name not in fields.mapped else columns[name]
        if column in there:
            values[name] = there[column]
        elif name in fields.mapped:
            return f"{path}: there is no {column!r} for {name} (data.columns); there is {', '.join(there)}"
    row = take(values, fields)
    return f"{path}: {row}" if isinstance(row, str) else row
