"""Find songs that are the same or nearly the same, such as a song on two albums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paddle_ft.data.hashes import equal_runs
from paddle_ft.system.formatting import counted
from paddle_ft.system.progress import Progress
from paddle_ft.tasks.lyrics.store import SongStore, owners

SAME_SHARE = 0.7  # two songs are nearly the same if they share this part of the lines of the one with fewer lines
MIN_LINES = 4  # songs with fewer different lines must share all of them
MAX_SONGS = 100  # a line that is in more songs says nothing about songs that are not wholly the same
COMPARED = 2**22  # occurrences of lines in other songs that are looked at at once


def group_songs(store: SongStore) -> np.ndarray:
    """Return the number of the group that each song belongs to. Songs that are the same or nearly the same are in one group.

    Returns:
        [songs], numbers from 0 in the order in which the groups begin.
    """
    parents = np.arange(len(store))
    for positions, bounds in equal_runs(store.songs, lambda songs: np.where(store.is_empty[songs], -1, 0)):
        parents[positions] = np.repeat(positions[bounds[:-1]], np.diff(bounds))
    postings = _find_postings(store)
    sizes = store.telling_of_song
    with Progress(len(store), "compare songs", unit="song") as progress:
        done = 0
        for songs, others, shared in _shared_lines(postings, len(store)):
            fewer = np.minimum(sizes[songs], sizes[others])
            same = np.where(
                fewer >= MIN_LINES, shared >= SAME_SHARE * fewer, store.telling_sets[songs] == store.telling_sets[others]
            )
            for song, other in zip(songs[same].tolist(), others[same].tolist(), strict=True):
                parents[_root(parents, song)] = _root(parents, other)
            progress.update(int(songs[-1]) - done)
            done = int(songs[-1])
        progress.update(len(store) - done)
    roots = np.array([_root(parents, song) for song in range(len(store))], dtype=np.int64)
    _, first, inverse = np.unique(roots, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), dtype=np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[inverse]


@dataclass
class Postings:
    """In which songs the lines are that are in several songs. A line's first MAX_SONGS songs are other[begin : begin + MAX_SONGS].

    Attributes:
        other: [n] the songs with a line, in ascending order, one line after the other.
        song: [m] a song with a line that is in songs before it too, in ascending order.
        begin, count: [m] these songs before it are other[begin : begin + count].
    """

    other: np.ndarray
    song: np.ndarray
    begin: np.ndarray
    count: np.ndarray


def _find_postings(store: SongStore) -> Postings:
    song_of = owners(store.telling_of_song)
    others, songs, begins, counts = ([np.zeros(0, np.int64)] for _ in range(4))
    size = 0
    for positions, bounds in equal_runs(store.telling):
        lengths = np.diff(bounds)
        rank = np.arange(len(positions)) - np.repeat(bounds[:-1], lengths)  # number of songs before this one with the line
        kept = np.flatnonzero((np.repeat(lengths, lengths) > 1) & (rank <= MAX_SONGS))
        rank, song = rank[kept], song_of(positions[kept])
        later = np.flatnonzero(rank)
        others.append(song.astype(np.int32))
        songs.append(song[later].astype(np.int32))
        begins.append(size + later - rank[later])
        counts.append(rank[later].astype(np.int8))
        size += len(kept)
    song = np.concatenate(songs)
    order = np.argsort(song, kind="stable")
    return Postings(np.concatenate(others), song[order], np.concatenate(begins)[order], np.concatenate(counts)[order])


def _shared_lines(postings: Postings, num_songs: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield songs, a song before each of them, and how many lines they share, for all that share lines, in ascending order."""
    ends = np.cumsum(postings.count, dtype=np.int64)
    lasts = np.flatnonzero(np.diff(postings.song, append=-1))  # the last line of each song
    start = looked_at = 0
    while start < len(postings.song):
        fitting = np.searchsorted(ends[lasts], looked_at + COMPARED, side="right") - 1
        end = int(lasts[max(fitting, np.searchsorted(lasts, start))]) + 1  # one song at least
        counts = postings.count[start:end].astype(np.int64)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        others = postings.other[np.repeat(postings.begin[start:end], counts) + within]
        songs = np.repeat(postings.song[start:end], counts).astype(np.int64)
        pairs, shared = np.unique(songs * num_songs + others, return_counts=True)
        yield pairs // num_songs, pairs % num_songs, shared
        start, looked_at = end, int(ends[end - 1])


def describe_splits(songs: dict[str, int], groups: np.ndarray) -> list[str]:
    """Return the decisions about songs that were split at random (pairs.split_songs).

    Args:
        songs: the number of songs of each split.
        groups: the group of each song, in any order.
    """
    sizes = ", ".join(f"{songs[split]:,} for {split}" for split in ("train", "validation", "test") if songs[split])
    decisions = [f"data.validation and data.test are not set, so the songs are split at random: {sizes}"]
    sizes_of_groups = np.bincount(groups)
    similar = int(sizes_of_groups[sizes_of_groups > 1].sum())
    if similar:
        together = f"{similar:,} songs are the same as another one or nearly so, and are together in one split"
        decisions.append(f"train: {together}")
    return decisions


def describe_overlaps(songs: dict[str, int], groups: np.ndarray) -> list[str]:
    """Return the decisions about songs that are in train and in another split of the user's own.

    Args:
        songs: the number of songs of each split.
        groups: the group of each song, in the order of the splits.
    """
    groups_of = dict(zip(songs, np.split(groups, np.cumsum(list(songs.values()))), strict=False))
    return [
        f"{split}: {count:,} of {counted(len(own), 'songs')} {'is' if count == 1 else 'are'} in train too, or nearly so;"
        f" {'it stays' if count == 1 else 'they stay'}, so its scores are partly those of lines that were learnt"
        for split, own in groups_of.items()
        if split != "train" and (count := int(np.isin(own, groups_of["train"]).sum()))
    ]


def _root(parents: np.ndarray, number: int) -> int:
    while parents[number] != number:
        parents[number] = number = parents[parents[number]]
    return number
