"""Turn songs into pairs of lines: a source of one or more lines, and the line that follows it as the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from paddle_ft.data.song_text import clean, key
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

SEPARATOR = "<line>"  # separates the lines of a source
SPLIT_SEED = 2022
COUNTS = (
    "lines", "section_headers", "leftovers", "adlib_lines", "wordless_lines", "repeated_lines", "sections", "pairs_found",
    "repeated_pairs",
)  # fmt: skip


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
def split_songs(songs: list[dict], shares: tuple[float, float]) -> dict[str, list[dict]]:
    """Split songs at random into train, validation and test. The seed is fixed, so runs with different seeds can be compared.

    Args:
        songs: a dictionary for each song.
        shares: shares of validation and test, between 0 and 1. A split whose share is above 0 gets at least one song.

    Returns:
        The songs of each split, in their original order.

    Raises:
        UserError: no song is left for training.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(songs))
    sizes = [max(1, round(share * len(songs))) if share else 0 for share in shares]
    if len(songs) <= sum(sizes):
        raise UserError(
            f"data: {len(songs)} song{'s' * (len(songs) != 1)} cannot be split into train, validation and test. A song is never"
            " divided between splits, and a .txt file counts as one song: add songs, or set data.validation and data.test."
        )
    parts = np.split(order, np.cumsum(sizes))
    return {split: [songs[i] for i in sorted(part)] for split, part in zip(("validation", "test", "train"), parts, strict=True)}


def line_pairs(sections: list[list[str]], context_lines: int) -> Iterator[tuple[list[str], str]]:
    """Yield (context, line) for every line of a section except the first.

    Args:
        sections: the lines of each section of a song. No pair crosses from one section to the next.
        context_lines: maximum number of lines in the context, which are those just before the target.
    """
    for section in sections:
        for i in range(1, len(section)):
            yield section[max(0, i - context_lines) : i], section[i]


def drop_repeated_pairs(
    pairs: Iterable[tuple[list[str], str]], seen: set[tuple[str, ...]], counts: Counter
) -> Iterator[tuple[list[str], str]]:
    """Yield the pairs whose words are not in `seen` yet.

    Args:
        pairs: (context, line).
        seen: earlier pairs, without case and punctuation. New ones are added.
        counts: counts in which "pairs_found" and "repeated_pairs" are increased.
    """
    for context, line in pairs:
        counts["pairs_found"] += 1
        pair = (*map(key, context), key(line))
        if pair in seen:
            counts["repeated_pairs"] += 1
        else:
            seen.add(pair)
            yield context, line


@dataclass
class PairBuilder:
    """Turn songs into rows. Splits built by the same PairBuilder share no song and no pair.

    Attributes:
        context_lines: maximum number of lines in a source.
        seen_songs: hashes of the songs so far.
        seen_pairs: the pairs so far, without case and punctuation.
        lines: the lines of the songs of the latest call to `build`, cleaned and without repetitions.
    """

    context_lines: int
    seen_songs: set[int] = field(default_factory=set)
    seen_pairs: set[tuple[str, ...]] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def build(self, songs: list[dict[str, str]], label: str) -> tuple[list[dict[str, str]], dict[str, int]]:
        """Clean songs and pair their lines.

        Args:
            songs: {"lyrics", "prefix"} of each song.
            label: name of the progress bar.

        Returns:
            Rows {"source", "target"}, and the counts songs, repeated_songs and those of COUNTS.
        """
        counts: Counter = Counter(songs=len(songs))
        rows, lines = [], {}
        with Progress(len(songs), label, unit="song") as progress:
            for song in songs:
                progress.update()
                song_hash = hash(key(song["lyrics"]))
                if song_hash in self.seen_songs:
                    counts["repeated_songs"] += 1
                    continue
                self.seen_songs.add(song_hash)
                sections, song_counts = clean(song["lyrics"])
                counts.update(song_counts)
                lines.update((key(line), line) for section in sections for line in section)
                for context, target in drop_repeated_pairs(line_pairs(sections, self.context_lines), self.seen_pairs, counts):
                    rows.append({"source": join_source(context, song["prefix"]), "target": target})
        self.lines = list(lines.values())
        return rows, {name: counts[name] for name in ("songs", "repeated_songs", *COUNTS)}


# ---------------------------------------------------------------------------------------------------- messages
def describe_counts(counts: dict[str, int], num_rows: int) -> str:
    """Return a line for the terminal that says what cleaning and pairing did."""
    names = {
        "repeated_songs": "repeated songs removed",
        "section_headers": "section headers removed",
        "leftovers": "lines cleaned of page leftovers",
        "adlib_lines": "ad-lib lines removed",
        "wordless_lines": "lines without words removed",
        "repeated_lines": "lines removed that repeat the one before",
    }
    steps = [f"{counts[name]:,} {description}" for name, description in names.items() if counts[name]]
    return (
        ", ".join([f"{counts['songs']:,} songs", f"{counts['lines']:,} lines", *steps, f"{counts['sections']:,} sections"])
        + f": {counts['pairs_found']:,} pairs, {counts['repeated_pairs']:,} of them repeated and removed, {num_rows:,} left"
    )


def explain_no_pairs(counts: dict[str, int]) -> str:
    """Return the part of an error message that says why these songs give no pair of lines."""
    songs = counts["songs"]
    if counts["pairs_found"] or counts["repeated_songs"] == songs:
        subject = f"all pairs of its {songs} songs are" if counts["pairs_found"] else f"its {songs} songs are all"
        return f"{subject} repeated: each is already in this split or in an earlier one. Remove the repeated songs, or add songs."
    return f"its {songs} songs have no two lines that follow each other in a section."
