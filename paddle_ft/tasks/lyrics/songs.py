"""Find the songs in the rows of a split. A row may be a song, a file with many songs, or a single line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from paddle_ft.data.rows import Rows
from paddle_ft.data.songs import timed
from paddle_ft.data.songs.borders import WAYS, split_songs
from paddle_ft.data.songs.cells import break_lines, join_single_lines
from paddle_ft.metrics.text import detect_language
from paddle_ft.system.decisions import DECISIONS
from paddle_ft.system.progress import Progress

LONGEST_SONG = 500  # lines; a longer text without borders is probably several songs


def find_songs(rows: Rows, split: str) -> tuple[Rows, str]:
    """Find the songs of a split. What was chosen is noted as decisions.

    Args:
        rows: the rows as read, with the field "lyrics". The other fields are copied to each song of a row.
        split: name of the split, for the decisions.

    Returns:
        Rows of which each is one song, with its lines on lines of their own, and by what the songs were told apart, for people.
    """
    found = replace(rows, info=dict(rows.info))
    given = join_single_lines(rows.rows)
    if given is not None:
        found.decide(f"{split}: {len(rows):,} rows are single lines; those with the same title that follow each other are a song")
    rows_of_songs = rows.rows if given is None else given
    lyrics = [row["lyrics"] for row in rows_of_songs]
    texts, line_ends = break_lines(lyrics, detect_language(lyrics) == "zh")
    for name, count in line_ends.items():
        found.decide(f"{split}: in {count:,} of {len(texts):,} songs, {name} ends a line")
    found.rows, ways = [], set()
    with Progress(len(texts), f"find songs of {split}", unit="text") as progress:
        for row, text in zip(rows_of_songs, texts, strict=True):
            songs, ways_here = split_songs(timed.separate_lines(text))
            ways |= ways_here
            found.rows += [{**row, "lyrics": song} for song in songs]
            progress.update()
    by = " and ".join(description for way, description in WAYS.items() if way in ways)
    if by:
        where = "1 file or row" if len(texts) == 1 else f"{len(texts):,} files or rows"
        found.decide(f"{split}: {len(found):,} songs were found in {where}, told apart by {by}")
    _note_long_songs(found, split)
    _remove_times(found, split)
    return found, by or "file or row"


def _note_long_songs(found: Rows, split: str) -> None:
    """Note that there are texts that are probably several songs."""
    lengths = [sum(bool(line.strip()) for line in row["lyrics"].splitlines()) for row in found.rows]
    long = [(length, row) for length, row in zip(lengths, found.rows, strict=True) if length > LONGEST_SONG]
    if long:
        length, row = max(long, key=lambda item: item[0])
        name = f" ({row['title']})" if row.get("title") else ""
        texts = f"a text of {length:,} lines{name} counts as one song"
        if len(long) > 1:
            texts = f"{len(long):,} texts of more than {LONGEST_SONG} lines, up to {length:,}{name}, count as one song each"
        found.decide(f"{split}: {texts}, because nothing there tells songs apart; put a line ===== between songs")


def _remove_times(found: Rows, split: str) -> None:
    """Replace timed lyrics (.lrc) by their lines."""
    timed_songs = translations = 0
    for i, row in enumerate(found.rows):
        if timed.is_timed(row["lyrics"]):
            text, left_out = timed.to_plain(row["lyrics"])
            found.rows[i] = {**row, "lyrics": text}
            timed_songs, translations = timed_songs + 1, translations + left_out
    if timed_songs:
        found.decide(f"{split}: {timed_songs:,} of {len(found):,} songs have times [00:00.00], whose order their lines get")
    if translations:
        found.decide(f"{split}: {translations:,} lines are left out as translations, because they have the time of the line above")


def part_of(rows: Rows, split: str) -> Rows:
    """Return rows for a part of the songs of `rows`, which are to follow. Bad rows and decisions stay with train."""
    if split == "train":
        return rows
    return replace(rows, bad=[], info={name: value for name, value in rows.info.items() if name != DECISIONS})


def describe_ways(ways: Mapping[str, str]) -> str:
    """Return by what the songs of all splits were told apart, once if it is the same for all (split -> by what)."""
    different = set(ways.values())
    return "; ".join(different if len(different) == 1 else [f"{split}: {by}" for split, by in ways.items()])
