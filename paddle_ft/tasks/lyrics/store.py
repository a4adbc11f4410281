"""Cleaned songs, more than memory has room for: their lines in a table, and hashes by which equal songs and lines are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from paddle_ft.data.arrays import ArrayFile, ArrayWriter, in_parts
from paddle_ft.data.hashes import hash_texts
from paddle_ft.data.row_table import Row, RowTable, RowWriter
from paddle_ft.data.songs.text import clean, key
from paddle_ft.tasks.lyrics.pairs import line_pairs

COUNTS = (
    "lines", "section_headers", "leftovers", "credit_lines", "adlib_lines", "wordless_lines", "repeated_lines", "sections",
)  # fmt: skip
SIZES = ("telling", "lines", "pairs")
HASHED = ("songs", "telling_sets", *SIZES)
TYPES = {**dict.fromkeys(HASHED, "int64"), **{f"{name}_of_song": "int32" for name in SIZES}, "counts": "int32"}
LINES_AT_ONCE = 50_000  # that are read at once where all are needed
SONGS_AT_ONCE = 500  # whose hashes are written at once
MIN_WORDS = 3  # lines with fewer words, such as "I know", are in many songs

Hashes = np.ndarray | ArrayFile


def join_sections(sections: Iterable[Iterable[str]]) -> str:
    """Return the sections of a song as one text. Lines are not empty, and have no line breaks."""
    return "\n\n".join("\n".join(lines) for lines in sections)


def split_sections(text: str) -> list[list[str]]:
    """Return the sections of a song. The inverse of `join_sections`."""
    return [section.split("\n") for section in text.split("\n\n")] if text else []


@dataclass
class SongStore:
    """The cleaned songs of all splits, one split after the other.

    The words of a line are the line without case and punctuation (data.songs.text.key).

    Attributes:
        rows: {"sections", "prefix"} of each song; see `join_sections`. The prefix is the token of its genre or artist, or "".
        songs: [songs] hash of the words of each song.
        telling_sets: [songs] hash of the words of each song's telling lines in alphabetical order.
        telling: hashes of the words of each song's telling lines (see _telling_lines), one song after the other.
        lines: hashes of the words of all lines.
        pairs: hashes of the words of all pairs of lines (pairs.line_pairs).
        telling_of_song, lines_of_song, pairs_of_song: [songs] number of these of each song.
        counts: [songs, COUNTS] what cleaning did; see data.songs.text.clean.
    """

    rows: Sequence[Row]
    songs: np.ndarray
    telling_sets: np.ndarray
    telling: Hashes
    lines: Hashes
    pairs: Hashes
    telling_of_song: np.ndarray
    lines_of_song: np.ndarray
    pairs_of_song: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_empty(self) -> np.ndarray:
        """Whether each song has no lines [songs]."""
        return self.lines_of_song == 0


class SongCleaner:
    """Clean songs, and collect them."""

    def __init__(self, context_lines: int, rows: RowWriter, arrays: ArrayWriter):
        """Begin without songs.

        Args:
            context_lines: maximum number of lines before the last line of a pair.
            rows: where the songs are written.
            arrays: where the rest of a SongStore is written, with TYPES.
        """
        self._context_lines, self._rows, self._arrays = context_lines, rows, arrays
        self._waiting: dict[str, list] = {name: [] for name in TYPES}

    def add(self, lyrics: str, prefix: str) -> Counter:
        """Add a song, and return what cleaning did."""
        sections, counts = clean(lyrics)
        words = [[key(line) for line in section] for section in sections]
        lines = [line for section in words for line in section]
        pairs = ["\n".join([*context, line]) for context, line in line_pairs(words, self._context_lines)]
        telling = _telling_lines(lines)
        texts = {"songs": [join_sections(words)], "telling_sets": ["\n".join(sorted(telling))]}
        texts |= {"telling": telling, "lines": lines, "pairs": pairs}
        self._rows.append({"sections": join_sections(sections), "prefix": prefix})
        for name, values in texts.items():
            self._waiting[name] += values
            if name in SIZES:
                self._waiting[f"{name}_of_song"].append(len(values))
        self._waiting["counts"] += [counts[name] for name in COUNTS]
        if len(self._rows) % SONGS_AT_ONCE == 0:
            self._flush()
        return counts

    def _flush(self) -> None:
        for name, values in self._waiting.items():
            self._arrays.append(**{name: hash_texts(values) if name in HASHED else np.array(values, dtype=np.int32)})
            values.clear()

    def finish(self, as_table: bool) -> SongStore:
        """Return the songs. With `as_table` their rows are a table even if they are few."""
        self._flush()
        arrays = self._arrays.load()
        of_songs = {name: _load(arrays[name]) for name in TYPES if name not in SIZES}
        of_songs["counts"] = of_songs["counts"].reshape(-1, len(COUNTS))
        return SongStore(self._rows.finish(as_table), **{**arrays, **of_songs})


def _telling_lines(lines: list[str]) -> list[str]:
    """Return the different lines of a song, those with few words only if it has no others. `lines` are their words."""
    different = list(dict.fromkeys(lines))
    return [line for line in different if line.count(" ") >= MIN_WORDS - 1] or different


def _load(array: Hashes) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else np.concatenate([*in_parts(array)])


def owners(sizes: np.ndarray):
    """Return a function that returns the songs that own some positions, if each song owns as many as `sizes` says."""
    ends = np.cumsum(sizes, dtype=np.int64)
    return lambda positions: np.searchsorted(ends, positions, side="right")


@dataclass
class StoredLines(Sequence):
    """Lines of the songs of a store, which are read when they are accessed.

    Attributes:
        rows: the songs (SongStore.rows).
        lines_of_song: [songs] number of lines of each song.
        places: [n] the number of each of these lines among the lines of all songs.
    """

    rows: Sequence[Row]
    lines_of_song: np.ndarray
    places: Hashes
    _ends: np.ndarray = field(init=False)

    def __post_init__(self):
        self._ends = np.cumsum(self.lines_of_song, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index):
        if not isinstance(index, slice):
            number = range(len(self))[index]
            return self[number : number + 1][0]
        places = np.asarray(self.places[index])
        songs, song_of = np.unique(np.searchsorted(self._ends, places, side="right"), return_inverse=True)
        rows = self.rows.select(songs) if isinstance(self.rows, RowTable) else [self.rows[song] for song in songs]
        found, by_song = [""] * len(places), np.argsort(song_of, kind="stable")
        bounds = np.searchsorted(song_of[by_song], np.arange(len(songs) + 1))
        for number, row in enumerate(rows):
            lines = [line for section in split_sections(row["sections"]) for line in section]
            first = self._ends[songs[number]] - len(lines)
            for i in by_song[bounds[number] : bounds[number + 1]]:
                found[i] = lines[places[i] - first]
        return found

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), LINES_AT_ONCE):
            yield from self[start : start + LINES_AT_ONCE]
