"""Find songs that are the same or nearly the same, such as a song on two albums."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from paddle_ft.system.progress import Progress

SAME_SHARE = 0.7  # two songs are nearly the same if they share this part of the lines of the one with fewer lines
MIN_LINES = 4  # songs with fewer different lines must share all of them
MIN_WORDS = 3  # lines with fewer words, such as "I know", are in many songs
MAX_SONGS = 100  # a line that is in more songs says nothing about songs that are not wholly the same


def group_songs(songs: Sequence[tuple[tuple[str, ...], ...]]) -> list[int]:
    """Return the number of the group that each song belongs to. Songs that are the same or nearly the same are in one group.

    Args:
        songs: the words of each song, by section and line (pairs.Song.words).

    Returns:
        [songs], numbers from 0 in the order in which the groups begin.
    """
    lines = [_telling_lines(words) for words in songs]
    with_line: dict[str, list[int]] = defaultdict(list)  # line -> the songs so far that have it
    first: dict[tuple, int] = {}  # words of a song -> the first song with them
    parents = list(range(len(songs)))
    with Progress(len(songs), "compare songs", unit="song") as progress:
        for number, own in enumerate(lines):
            if songs[number]:
                parents[number] = first.setdefault(songs[number], number)
            shared = Counter(other for line in own if len(with_line[line]) <= MAX_SONGS for other in with_line[line])
            for other, count in shared.items():
                if _is_same(own, lines[other], count):
                    parents[_root(parents, number)] = _root(parents, other)
            for line in own:
                with_line[line].append(number)
            progress.update()
    numbers: dict[int, int] = {}
    return [numbers.setdefault(_root(parents, i), len(numbers)) for i in range(len(songs))]


def describe_splits(songs: dict[str, list], groups: list[int]) -> list[str]:
    """Return the decisions about songs that were split at random (pairs.split_songs).

    Args:
        songs: the songs of each split.
        groups: the group of each song, in any order.
    """
    counts = {split: len(songs[split]) for split in ("train", "validation", "test") if songs[split]}
    sizes = ", ".join(f"{count:,} for {split}" for split, count in counts.items())
    decisions = [f"data.validation and data.test are not set, so the songs are split at random: {sizes}"]
    sizes_of_groups = Counter(groups)
    similar = sum(size for size in sizes_of_groups.values() if size > 1)
    if similar:
        together = f"{similar:,} songs are the same as another one or nearly so, and are together in one split"
        decisions.append(f"train: {together}")
    return decisions


def describe_overlaps(songs: dict[str, list], groups: list[int]) -> list[str]:
    """Return the decisions about songs that are in train and in another split of the user's own.

    Args:
        songs: the songs of each split.
        groups: the group of each song, in the order of the splits.
    """
    groups_of, start = {}, 0
    for split, songs_of_split in songs.items():
        groups_of[split] = groups[start : start + len(songs_of_split)]
        start += len(songs_of_split)
    known = set(groups_of["train"])
    return [
        f"{split}: {count:,} of {len(own):,} songs are in train too, or nearly so; they stay, so its scores are partly those of"
        " lines that were learnt"
        for split, own in groups_of.items()
        if split != "train" and (count := sum(group in known for group in own))
    ]


def _telling_lines(words: tuple[tuple[str, ...], ...]) -> frozenset[str]:
    """Return the different lines of a song, those with few words only if it has no others."""
    lines = frozenset(line for section in words for line in section)
    return frozenset(line for line in lines if line.count(" ") >= MIN_WORDS - 1) or lines


def _is_same(lines: frozenset[str], others: frozenset[str], shared: int) -> bool:
    fewer = min(len(lines), len(others))
    return shared >= SAME_SHARE * fewer if fewer >= MIN_LINES else lines == others


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = number = parents[parents[number]]
    return number
