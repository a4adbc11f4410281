"""Turn songs into pairs of lines: a source of one or more lines, and the line that follows it as the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import counted

SEPARATOR = "<line>"  # separates the lines of a source
SPLIT_SEED = 2022
Lines = TypeVar("Lines", bound=Sequence[str])


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
def split_songs(groups: np.ndarray, shares: tuple[float, float]) -> dict[str, np.ndarray]:
    """Split songs at random into train, validation and test. The seed is fixed, so runs with different seeds can be compared.

    Args:
        groups: [songs], number of the group of each song (duplicates.group_songs). A group is never divided.
        shares: shares of validation and test, between 0 and 1. A split whose share is above 0 gets at least one group of songs.

    Returns:
        The numbers of the songs of each split, in ascending order.

    Raises:
        UserError: no song is left for training.
    """
    count = int(groups.max(initial=-1)) + 1
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    sizes = [max(1, round(share * count)) if share else 0 for share in shares]
    if count <= sum(sizes):
        different = " different" if count < len(groups) else ""
        raise UserError(
            f"data: {count}{different} song{'s' * (count != 1)} cannot be split into train, validation and test. A song is never"
            " divided between splits, and a file or row counts as one song unless something in it tells songs apart: add songs, put"
            " a line ===== between the songs of a file, or set data.validation and data.test."
        )
    parts = np.split(order, np.cumsum(sizes))
    return {
        split: np.flatnonzero(np.isin(groups, part)) for split, part in zip(("validation", "test", "train"), parts, strict=True)
    }


def line_pairs(sections: Iterable[Lines], context_lines: int) -> Iterator[tuple[Lines, str]]:
    """Yield (context, line) for every line of a section except the first.

    Args:
        sections: the lines of each section of a song. No pair crosses from one section to the next.
        context_lines: maximum number of lines in the context, which are those just before the target.
    """
    for section in sections:
        for i in range(1, len(section)):
            yield section[max(0, i - context_lines) : i], section[i]


# ---------------------------------------------------------------------------------------------------- messages
def describe_left_out(split: str, num_songs: int, credit_lines: int, repeated: int) -> list[str]:
    """Return the decisions about what is left out of the songs of a split as it was read.

    Args:
        split: its name.
        num_songs: number of its songs.
        credit_lines: number of lines with titles and credits.
        repeated: number of songs with the words of another one before them.
    """
    decisions = []
    if credit_lines:
        are = "is" if credit_lines == 1 else "are"
        decisions.append(f"{split}: {counted(credit_lines, 'lines')} with titles and credits (作词, Produced by) {are} left out")
    if repeated:
        decisions.append(f"{split}: {repeated:,} of {num_songs:,} songs {'is' if repeated == 1 else 'are'} repeated and left out")
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
        "repeated_lines": "lines removed as repeats of the one before",
    }
    steps = [counted(counts[name], description) for name, description in names.items() if counts[name]]
    songs, lines, sections = (counted(counts[name], name) for name in ("songs", "lines", "sections"))
    pairs, repeated = counted(counts["pairs_found"], "pairs"), counts["repeated_pairs"]
    return f"{', '.join([songs, lines, *steps, sections])}: {pairs}, {repeated:,} of them repeated and removed, {num_rows:,} left"


def explain_no_pairs(counts: dict[str, int]) -> str:
    """Return the part of an error message that says why these songs give no pair of lines."""
    songs = counts["songs"]
    if counts["pairs_found"] or counts["repeated_songs"] == songs:
        of_songs = f"its {songs:,} songs" if songs != 1 else "its only song"
        subject = f"all pairs of {of_songs} are" if counts["pairs_found"] else f"{of_songs} {'are all' if songs != 1 else 'is'}"
        return f"{subject} repeated: each is already in this split or in an earlier one. Remove the repeated songs, or add songs."
    subject = f"its {songs:,} songs have" if songs != 1 else "its only song has"
    return (
        f"{subject} no two lines that follow each other in a section. The lines of a song must end at line breaks,"
        " \\n, <br>, / or |. If each row is a line of a song, set data.columns.title, so that the rows of a song are known."
    )
