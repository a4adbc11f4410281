"""Turn songs into pairs of lines: a source of one or more lines, and the line that follows it as the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np

from paddle_ft.data.songs.text import clean, key
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

SEPARATOR = "<line>"  # separates the lines of a source
SPLIT_SEED = 2022
Lines = TypeVar("Lines", bound=Sequence[str])
COUNTS = (
    "lines", "section_headers", "leftovers", "credit_lines", "adlib_lines", "wordless_lines", "repeated_lines", "sections",
    "pairs_found", "repeated_pairs",
)  # fmt: skip


@dataclass(frozen=True)
class Song:
    """A cleaned song.

    Attributes:
        sections: the lines of each section.
        counts: what cleaning did; see data.songs.text.clean.
        prefix: the token of its genre or artist, or "".
    """

    sections: list[list[str]]
    counts: Counter
    prefix: str = ""

    @cached_property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """The sections without case and punctuation. Songs with the same words are the same."""
        return tuple(tuple(map(key, section)) for section in self.sections)


# ---------------------------------------------------------------------------------------------------- source texts
def prefix_token(style: str) -> str:
    """Return the token that is put before a source to name a genre or artist: "Hip Hop" -> "<style:hip-hop>"."""
    return f"<style:{'-'.join(style.lower().split())}>"


def join_source(lines: list[str], prefix: str = "") -> str:
    """Return the source as the model reads it: the prefix token, then the lines with SEPARATOR between them."""
    return prefix + SEPARATOR.join(lines)


def split_source(source: str, separator: str = SEPARATOR) -> tuple[str, list[str]]:
    """Return the prefix token ("" without one) and the lines of a source. The inverse of `join_source`."""
    prefix, end, rest = source.partition(">") if source.startswith("<style:") else ("", "", source)
    return prefix + end, rest.strip().split(separator)


# ---------------------------------------------------------------------------------------------------- songs to pairs
def clean_songs(rows: list[dict[str, str]], label: str) -> list[Song]:
    """Clean songs.

    Args:
        rows: {"lyrics", "prefix"} of each song.
        label: name of the progress bar.
    """
    songs = []
    with Progress(len(rows), label, unit="song") as progress:
        for row in rows:
            songs.append(Song(*clean(row["lyrics"]), prefix=row["prefix"]))
            progress.update()
    return songs


def split_songs(songs: list, shares: tuple[float, float], groups: list[int]) -> dict[str, list]:
    """Split songs at random into train, validation and test. The seed is fixed, so runs with different seeds can be compared.

    Args:
        songs: the songs.
        shares: shares of validation and test, between 0 and 1. A split whose share is above 0 gets at least one group of songs.
        groups: [songs], number of the group of each song (duplicates.group_songs). A group is never divided.

    Returns:
        The songs of each split, in their original order.

    Raises:
        UserError: no song is left for training.
    """
    count = len(set(groups))
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    sizes = [max(1, round(share * count)) if share else 0 for share in shares]
    if count <= sum(sizes):
        different = " different" if count < len(songs) else ""
        raise UserError(
            f"data: {count}{different} song{'s' * (count != 1)} cannot be split into train, validation and test. A song is never"
            " divided between splits, and a file or row counts as one song unless something in it tells songs apart: add songs, put"
            " a line ===== between the songs of a file, or set data.validation and data.test."
        )
    parts = np.split(order, np.cumsum(sizes))
    names = {group: split for split, part in zip(("validation", "test", "train"), parts, strict=True) for group in part}
    songs_of: dict[str, list] = {split: [] for split in ("validation", "test", "train")}
    for song, group in zip(songs, groups, strict=True):
        songs_of[names[group]].append(song)
    return songs_of


def line_pairs(sections: Iterable[Lines], context_lines: int) -> Iterator[tuple[Lines, str]]:
    """Yield (context, line) for every line of a section except the first.

    Args:
        sections: the lines of each section of a song. No pair crosses from one section to the next.
        context_lines: maximum number of lines in the context, which are those just before the target.
    """
    for section in sections:
        for i in range(1, len(section)):
            yield section[max(0, i - context_lines) : i], section[i]


def new_pairs(song: Song, context_lines: int, seen: set[tuple[str, ...]], counts: Counter) -> Iterator[tuple[list[str], str]]:
    """Yield the pairs of a song, as (context, line), whose words are not in `seen` yet.

    Args:
        song: the song.
        context_lines: maximum number of lines in the context.
        seen: earlier pairs, without case and punctuation. New ones are added.
        counts: counts in which "pairs_found" and "repeated_pairs" are increased.
    """
    pairs, words = line_pairs(song.sections, context_lines), line_pairs(song.words, context_lines)
    for pair, (context_words, line_words) in zip(pairs, words, strict=True):
        counts["pairs_found"] += 1
        pair_words = (*context_words, line_words)
        if pair_words in seen:
            counts["repeated_pairs"] += 1
        else:
            seen.add(pair_words)
            yield pair


@dataclass
class PairBuilder:
    """Turn songs into rows. Splits built by the same PairBuilder share no song and no pair.

    Attributes:
        context_lines: maximum number of lines in a source.
        seen_songs: the words of the songs so far.
        seen_pairs: the pairs so far, without case and punctuation.
        lines: the lines of the songs of the latest call to `build`, cleaned and without repetitions.
    """

    context_lines: int
    seen_songs: set[tuple] = field(default_factory=set)
    seen_pairs: set[tuple[str, ...]] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def build(self, songs: list[Song], label: str) -> tuple[list[dict[str, str]], dict[str, int]]:
        """Pair the lines of songs.

        Args:
            songs: the songs. Only the first of the same songs is used.
            label: name of the progress bar.

        Returns:
            Rows {"source", "target"}, and the counts songs, repeated_songs, empty_songs and those of COUNTS.
        """
        counts: Counter = Counter(songs=len(songs))
        rows, lines = [], {}
        with Progress(len(songs), label, unit="song") as progress:
            for song in songs:
                progress.update()
                counts["empty_songs"] += not song.sections
                if song.sections and song.words in self.seen_songs:
                    counts["repeated_songs"] += 1
                    continue
                self.seen_songs.add(song.words)
                counts.update(song.counts)
                lines.update(zip(chain.from_iterable(song.words), chain.from_iterable(song.sections), strict=True))
                for context, target in new_pairs(song, self.context_lines, self.seen_pairs, counts):
                    rows.append({"source": join_source(context, song.prefix), "target": target})
        self.lines = list(lines.values())
        return rows, {name: counts[name] for name in ("songs", "repeated_songs", "empty_songs", *COUNTS)}


# ---------------------------------------------------------------------------------------------------- messages
def describe_left_out(songs: list[Song], split: str) -> list[str]:
    """Return the decisions about what is left out of the songs of a split as it was read."""
    decisions = []
    if credit_lines := sum(song.counts["credit_lines"] for song in songs):
        decisions.append(f"{split}: {credit_lines:,} lines with titles and credits (作词, Produced by) are left out")
    words = [song.words for song in songs if song.sections]
    if repeated := len(words) - len(set(words)):
        decisions.append(f"{split}: {repeated:,} of {len(songs):,} songs are repeated and left out")
    return decisions


def describe_counts(counts: dict[str, int], num_rows: int) -> str:
    """Return a line for the terminal that says what cleaning and pairing did."""
    names = {
        "repeated_songs": "repeated songs removed",
        "empty_songs": "songs without lyrics",
        "section_headers": "section headers removed",
        "leftovers": "lines cleaned of page leftovers",
        "credit_lines": "credits removed",
        "adlib_lines": "ad-lib lines removed",
        "wordless_lines": "lines without words removed",
        "repeated_lines": "lines removed that repeat the one before",
    }
    songs = f"{counts['songs']:,} song{'s' * (counts['songs'] != 1)}"
    steps = [f"{counts[name]:,} {description}" for name, description in names.items() if counts[name]]
    return (
        ", ".join([songs, f"{counts['lines']:,} lines", *steps, f"{counts['sections']:,} sections"])
        + f": {counts['pairs_found']:,} pairs, {counts['repeated_pairs']:,} of them repeated and removed, {num_rows:,} left"
    )


def explain_no_pairs(counts: dict[str, int]) -> str:
    """Return the part of an error message that says why these songs give no pair of lines."""
    songs = counts["songs"]
    if counts["pairs_found"] or counts["repeated_songs"] == songs:
        subject = f"all pairs of its {songs} songs are" if counts["pairs_found"] else f"its {songs} songs are all"
        return f"{subject} repeated: each is already in this split or in an earlier one. Remove the repeated songs, or add songs."
    return (
        f"its {songs} songs have no two lines that follow each other in a section. The lines of a song must end at line breaks,"
        " \\n, <br>, / or |. If each row is a line of a song, set data.columns.title, so that the rows of a song are known."
    )
