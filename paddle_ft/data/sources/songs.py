"""data.source songs: song texts in your own files, named in data.train, data.validation and data.test.

    a folder, or a glob of .txt files     Each .txt or .lrc file, also as .gz, is a text: a song, or several songs. The columns are
                                          lyrics, title (the file's name), and folder1, folder2, ... for the folders below the
                                          named one: with data.train=lyrics/, these are rap and mary for lyrics/rap/mary/song.txt.
                                          genre is read from folder1 and artist from folder2, unless data.columns says otherwise,
                                          e.g. {artist: folder1}.
    .json of lyricsgenius or NetEase      A song, an artist or an album. The columns are lyrics, title, artist, album and folders.
    .csv .tsv .json .jsonl .parquet       Each row is a text. data.columns names the columns, e.g. {lyrics: Lyric}.

A folder may have files of any of these kinds. The first kind that it has is read.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from paddle_ft.data.files import expand, files_below
from paddle_ft.data.readers import extension, find_reader, is_saved_dataset, is_saved_dict, readers
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import BadRow, Fields, Record, Records, make_row
from paddle_ft.data.songs.json_songs import find_songs
from paddle_ft.data.sources.base import Source
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import join_some
from paddle_ft.system.progress import Progress

DEFAULT_COLUMNS = {"genre": "folder1", "artist": "folder2"}  # unless there is such a column, or data.columns names another
TEXTS = (".txt", ".lrc")


class Songs(Source):
    """Song texts in folders or tables."""

    name = "songs"
    reads_files = True

    def check(self, data) -> None:
        if data.train is None:
            raise UserError("data.train: name your songs: a folder of .txt files, or a csv or jsonl file with one song per row.")

    def check_split(self, data, split: str) -> None:
        for pattern in _patterns(getattr(data, split)):
            if os.path.isdir(pattern) and not is_saved_dataset(pattern) and not is_saved_dict(pattern):
                _chosen_kind(pattern, files_below(pattern))

    def files(self, data, split: str) -> list[str] | None:
        value = getattr(data, split)
        patterns = _patterns(value)
        if isinstance(value, dict) or any(os.path.isdir(pattern) for pattern in patterns):
            return None  # a folder may get new songs
        return [path for pattern in patterns for path in expand(pattern)]

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        if split == "train":
            self.check(data)
        pattern = getattr(data, split)
        if pattern is None:
            return None
        if isinstance(pattern, dict):
            raise UserError(f"data.{split}: {pattern}: songs must be a folder, a file, a glob or a list of them")
        patterns = [pattern] if isinstance(pattern, str) else pattern
        return [file_records for item in patterns for file_records in _open_pattern(item, fields)]


def _patterns(value) -> list[str]:
    """Return the folders, files and globs that data.train and its like name."""
    return [os.path.expanduser(pattern) for pattern in ([value] if isinstance(value, str) else value or [])]


def _open_pattern(pattern: str, fields: Fields) -> Iterator[tuple[str, Records]]:
    pattern = os.path.expanduser(pattern)
    if os.path.isdir(pattern) and not is_saved_dataset(pattern) and not is_saved_dict(pattern):
        root, paths = pattern, _files_of_folder(pattern, fields)
    else:
        root, paths = _fixed_folder(pattern), expand(pattern)
    text_files = [path for path in paths if extension(path) in TEXTS]
    if text_files:
        yield pattern, _read_text_files(text_files, root, fields)
    for path in paths:
        if extension(path) == ".json":
            yield path, _read_json(path, root, fields)
        elif extension(path) not in TEXTS:
            yield path, find_reader(path).read(DataFile(path, fields.reading), fields)


def _files_of_folder(folder: str, fields: Fields) -> list[str]:
    """Return the files of a folder and its subfolders: texts, or else .json files, or else tables."""
    files = files_below(folder)
    chosen = _chosen_kind(folder, files)
    read = [file for file in files if extension(file) in chosen]
    left_out = sorted({extension(file) for file in files if extension(file) in readers() and file not in set(read)})
    if left_out:
        names = " and ".join(name for name in chosen if any(extension(file) == name for file in read))
        fields.decide(f"{folder}: its {names} files are read, and its {', '.join(left_out)} files are not")
    return read


def _chosen_kind(folder: str, files: list[str]) -> tuple[str, ...]:
    """Return the extensions of the files that are read in a folder. Raise UserError if it has none that can be read."""
    kinds = [TEXTS, (".json",), tuple(readers())]
    chosen = next((kind for kind in kinds if any(extension(file) in kind for file in files)), None)
    if chosen is None:
        raise UserError(f"{folder}: there are no .txt, .lrc or .json files in this folder or below it, and no tables")
    return chosen


def _fixed_folder(pattern: str) -> str:
    """Return the longest folder of a glob that has no wildcards. folder1 is the first folder below it."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _read_text_files(paths: list[str], root: str, fields: Fields) -> Iterator[Record]:
    """Yield the song or songs of each text file. Empty files are left out, unless all are empty."""
    columns = fields.column_names(root or ".")
    empty: list[str] = []
    with Progress(len(paths), f"read {root or '.'}", unit="song") as progress:
        for path in paths:
            text, reason = DataFile(path, fields.reading).line()
            values: dict[str, object] = {"lyrics": text, "title": Path(path.removesuffix(".gz")).stem}
            row = reason or _make_row(values, path, root, columns, fields)
            progress.update()
            if not reason and not text.strip():
                empty.append(path)
            else:
                yield 1, BadRow(path, 1, row) if isinstance(row, str) else row
    if len(empty) == len(paths):
        raise UserError(f"{empty[0]}: the file is empty" + (f", and so are the other {len(empty) - 1:,}" if len(empty) > 1 else ""))
    if empty:
        files = "a file is" if len(empty) == 1 else f"{len(empty):,} of {len(paths):,} files are"
        fields.decide(f"{root or '.'}: {files} empty and left out: {join_some(empty)}")


def _read_json(path: str, root: str, fields: Fields) -> Iterator[Record]:
    """Yield the songs of a JSON file. A file that is no object of songs is read as a table."""
    file = DataFile(path, fields.reading)
    songs = _load_songs(file)
    if songs is None:
        yield from find_reader(path).read(file, fields)
        return
    columns = fields.column_names(path)
    without_lyrics = 0
    for number, song in enumerate(songs, start=1):
        if song["lyrics"] is None and len(songs) > 1:  # instrumental, or not yet published
            without_lyrics += 1
        else:
            yield number, _make_row(song, path, root, columns, fields)
    if without_lyrics:
        fields.decide(f"{path}: {without_lyrics:,} of its {len(songs):,} songs have no lyrics and are left out")


def _load_songs(file: DataFile) -> list[dict[str, object]] | None:
    if file.first_character() != "{" or file.reading.field is not None:
        return None
    try:
        return find_songs(json.loads(file.text()[0]))
    except (ValueError, RecursionError):  # lines of JSON, or damaged: the reader for .json names what is wrong
        return None


def _make_row(values: dict[str, object], path: str, root: str, columns: dict[str, str], fields: Fields) -> dict[str, str] | str:
    """Return the row of a song, or the reason why it cannot be used.

    Args:
        values: what is known of the song by column.
        path: its file, whose folders below `root` are columns too.
        root: the folder that the user named.
        columns: field -> name of its column.
        fields: the task's fields.
    """
    folders = Path(os.path.relpath(path, root or ".")).parts[:-1]
    available = values | {f"folder{level}": name for level, name in enumerate(folders, start=1)}
    chosen = {}
    for name in fields.names:
        column = columns[name] if name in fields.mapped or columns[name] in available else DEFAULT_COLUMNS.get(name, name)
        if column in available:
            chosen[name] = available[column]
        elif name in fields.mapped:
            return f"there is no column {column!r} for {name} (data.columns); the columns are {', '.join(available)}"
    return make_row(chosen, fields)


SOURCE = Songs()
