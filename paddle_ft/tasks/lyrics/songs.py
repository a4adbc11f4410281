"""Find the songs in the rows of a split. A row may be a song, a file with many songs, or a single line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from paddle_ft.data.row_table import Row, RowWriter
from paddle_ft.data.rows import Rows
from paddle_ft.data.songs import timed
from paddle_ft.data.songs.borders import WAYS, split_songs
from paddle_ft.data.songs.cells import are_single_lines, find_line_ends, join_single_lines
from paddle_ft.metrics.text import detect_language
from paddle_ft.system.decisions import DECISIONS
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import counted
from paddle_ft.system.progress import Progress

LOOKED_AT = 1000  # texts by which the language is detected, the first ones
LONGEST_SONG = 500  # lines; a longer text without borders is probably several songs
MAX_LINE = 4_000_000  # characters of a line; cleaning a longer one takes minutes and gigabytes, and no song has it


def find_songs(rows: Rows, split: str, writer: RowWriter, limit: int | None = None) -> tuple[Rows, str]:
    """Find the songs of a split. What was chosen is noted as decisions.

    Args:
        rows: the rows as read, with the field "lyrics". The other fields are copied to each song of a row.
        split: name of the split, for the decisions.
        writer: where the songs are collected.
        limit: return only the first songs, as many as this.

    Returns:
        Rows of which each is one song, with its lines on lines of their own, and by what the songs were told apart, for people.
    """
    found = replace(rows, info=dict(rows.info))
    texts = _Texts(rows, split)
    notes = _Notes(split)
    with Progress(texts.count, f"find songs of {split}", unit="text") as progress:
        for row, text in texts.broken():
            songs, ways = split_songs(timed.separate_lines(text))
            notes.ways |= ways
            for song in songs:
                plain = notes.add(song, row.get("title"))
                if limit is None or len(writer) < limit:
                    writer.append({**row, "lyrics": plain})
            progress.update()
    found.rows = writer.finish()
    found.decide(*texts.decisions, *notes.decisions(texts.count))
    return found, describe_all(notes.ways) or "file or row"


class _Texts:
    """The texts of a split: the rows, or what single lines are joined to.

    Attributes:
        count: number of texts.
        decisions: how the ends of their lines were found.
    """

    def __init__(self, rows: Rows, split: str):
        self._rows, self._split = rows.rows, split
        self._are_lines = are_single_lines(self._rows)
        self.count = sum(1 for _ in self._given()) if self._are_lines else len(rows)
        is_chinese = detect_language([row["lyrics"] for row in islice(self._given(), LOOKED_AT)]) == "zh"
        with Progress(self.count, f"find line ends of {split}", unit="text") as progress:
            self._line_ends = find_line_ends(self._lyrics(progress), is_chinese)
        self.decisions = [
            f"{split}: in {count:,} of {counted(self.count, 'songs')}, {name} ends a line"
            for name, count in self._line_ends.counts.items()
        ]
        if self._are_lines:
            how = "those with the same title that follow each other are a song"
            self.decisions.insert(0, f"{split}: {len(rows):,} rows are single lines; {how}")

    def _given(self) -> Iterator[Row]:
        rows = join_single_lines(self._rows) if self._are_lines else self._rows
        for number, row in enumerate(rows, start=1):
            _refuse_long_lines(row, self._split, number)
            yield row

    def _lyrics(self, progress: Progress) -> Iterator[str]:
        for row in self._given():
            yield row["lyrics"]
            progress.update()

    def broken(self) -> Iterator[tuple[Row, str]]:
        """Yield each row and its lyrics, with a line break at each line end."""
        for row in self._given():
            yield row, self._line_ends.break_lines(row["lyrics"])


def _refuse_long_lines(row: Row, split: str, number: int) -> None:
    """Raise UserError if a line of a text has more than MAX_LINE characters. `number` is the number of the text, from 1."""
    if len(row["lyrics"]) <= MAX_LINE:
        return
    longest = max(map(len, row["lyrics"].splitlines()))
    if longest > MAX_LINE:
        name = f" ({row['title']})" if row.get("title") else ""
        raise UserError(
            f"data.{split}: text {number:,}{name} has a line of {longest:,} characters, which is no line of a song; the most is"
            f" {MAX_LINE:,}. Break it into lines, or leave the text out."
        )


@dataclass
class _Notes:
    """What is to be said of the songs of a split.

    Attributes:
        split: its name.
        ways: the ways of borders.WAYS in which songs were told apart.
        songs: number of songs.
        long, longest, title: number of songs longer than LONGEST_SONG, the lines of the longest one, and its title.
        timed, translations: number of songs with times, and of lines left out as translations.
    """

    split: str
    ways: set[str] = field(default_factory=set)
    songs: int = 0
    long: int = 0
    longest: int = 0
    title: str | None = None
    timed: int = 0
    translations: int = 0

    def add(self, song: str, title: str | None) -> str:
        """Note a song, and return it without times, which timed lyrics (.lrc) have."""
        self.songs += 1
        length = sum(bool(line.strip()) for line in song.splitlines())
        self.long += length > LONGEST_SONG
        if length > max(self.longest, LONGEST_SONG):
            self.longest, self.title = length, title
        if not timed.is_timed(song):
            return song
        plain, left_out = timed.to_plain(song)
        self.timed, self.translations = self.timed + 1, self.translations + left_out
        return plain

    def decisions(self, num_texts: int) -> list[str]:
        """Return the decisions, for songs of this number of texts."""
        decisions = []
        if self.ways:
            where = "1 file or row" if num_texts == 1 else f"{num_texts:,} files or rows"
            found = counted(self.songs, "songs were found", "song was found")
            decisions.append(f"{found} in {where}, told apart by {describe_all(self.ways)}")
        if self.long:
            decisions.append(f"{self._describe_long()}, because nothing there tells songs apart; put a line ===== between songs")
        if self.timed:
            have = "has" if self.timed == 1 else "have"
            decisions.append(
                f"{self.timed:,} of {counted(self.songs, 'songs')} {have} times [00:00.00], whose order their lines get"
            )
        if self.translations:
            why = f"because {'it has' if self.translations == 1 else 'they have'} the time of the line above"
            left_out = counted(self.translations, "lines are left out as translations", "line is left out as a translation")
            decisions.append(f"{left_out}, {why}")
        return [f"{self.split}: {decision}" for decision in decisions]

    def _describe_long(self) -> str:
        """Return that there are texts that are probably several songs."""
        name = f" ({self.title})" if self.title else ""
        if self.long == 1:
            return f"a text of {self.longest:,} lines{name} counts as one song"
        return f"{self.long:,} texts of more than {LONGEST_SONG} lines, up to {self.longest:,}{name}, count as one song each"


def describe_all(ways: set[str]) -> str:
    """Return what some ways of borders.WAYS are, "" for none."""
    return " and ".join(description for way, description in WAYS.items() if way in ways)


def part_of(rows: Rows, split: str) -> Rows:
    """Return rows for a part of the songs of `rows`, which are to follow. Bad rows and decisions stay with train."""
    if split == "train":
        return rows
    return replace(rows, bad=[], info={name: value for name, value in rows.info.items() if name != DECISIONS})


def describe_ways(ways: Mapping[str, str]) -> str:
    """Return by what the songs of all splits were told apart, once if it is the same for all (split -> by what)."""
    different = set(ways.values())
    return "; ".join(different if len(different) == 1 else [f"{split}: {by}" for split, by in ways.items()])
