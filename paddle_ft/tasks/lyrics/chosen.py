"""Choose the songs and pairs of lines of each split: the first of equal ones, so that nothing is learnt or measured twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paddle_ft.data.arrays import ArrayWriter
from paddle_ft.data.hashes import equal_runs, find_first
from paddle_ft.tasks.lyrics.store import COUNTS, SongStore, owners

AT_ONCE = 2**22  # pairs or lines that are looked at at once


@dataclass
class Chosen:
    """Which songs and pairs of a store become rows.

    Attributes:
        store: the songs.
        member: [songs] int8, number of the split of each song.
        is_kept: [songs] whether a song is used. It is not if it has the words of an earlier one.
        is_new: [pairs] whether a pair becomes a row. It does not if an earlier pair has its words, or if its song is not used.
        new_pairs: [splits] number of such pairs.
    """

    store: SongStore
    member: np.ndarray
    is_kept: np.ndarray
    is_new: np.ndarray
    new_pairs: np.ndarray

    def count(self, split: int) -> dict[str, int]:
        """Return the counts songs, repeated_songs, empty_songs, COUNTS, pairs_found and repeated_pairs of a split by its number."""
        own = self.member == split
        kept = own & self.is_kept
        pairs_found = int(self.store.pairs_of_song[kept].sum(dtype=np.int64))
        return {
            "songs": int(own.sum()),
            "repeated_songs": int((own & ~self.is_kept).sum()),
            "empty_songs": int((own & self.store.is_empty).sum()),
            **dict(zip(COUNTS, self.store.counts[kept].sum(axis=0, dtype=np.int64).tolist(), strict=True)),
            "pairs_found": pairs_found,
            "repeated_pairs": pairs_found - int(self.new_pairs[split]),
        }


def choose(store: SongStore, member: np.ndarray, num_splits: int, is_shared: bool) -> Chosen:
    """Choose songs and pairs.

    Args:
        store: the songs.
        member: [songs] int8, number of the split of each song.
        num_splits: number of splits.
        is_shared: whether songs and pairs of a split are repeated if they are in a split with a lower number. Otherwise they are
            compared with those of their own split only.
    """
    ranks = [member] if is_shared else [np.where(member == split, 0, -1).astype(np.int8) for split in range(num_splits)]
    is_kept, is_new = store.is_empty.copy(), np.zeros(len(store.pairs), bool)
    song_of = owners(store.pairs_of_song)
    for rank in ranks:
        is_kept |= find_first(store.songs, np.where(store.is_empty, -1, rank).astype(np.int8).__getitem__)
    for rank in ranks:
        kept_rank = np.where(is_kept, rank, -1).astype(np.int8)
        is_new |= find_first(store.pairs, lambda pairs, rank=kept_rank: rank[song_of(pairs)])
    new_pairs = np.zeros(num_splits, np.int64)
    for start in range(0, len(is_new), AT_ONCE):
        new_pairs += np.bincount(member[song_of(start + np.flatnonzero(is_new[start : start + AT_ONCE]))], minlength=num_splits)
    return Chosen(store, member, is_kept, is_new, new_pairs)


def write_line_places(chosen: Chosen, split: int, arrays: ArrayWriter) -> None:
    """Append to the array "places" where the different lines of the used songs of a split are among the lines of all songs.

    Their order is that in which their words first appear. The place is where they last appear.
    """
    store = chosen.store
    song_of = owners(store.lines_of_song)
    rank = np.where(chosen.is_kept & (chosen.member == split), 0, -1).astype(np.int8)
    is_first = np.zeros(len(store.lines), bool)
    repeated: list[tuple[np.ndarray, np.ndarray]] = []
    for positions, bounds in equal_runs(store.lines, lambda lines: rank[song_of(lines)]):
        first, last = positions[bounds[:-1]], positions[bounds[1:] - 1]
        is_first[first] = True
        repeated.append((first[first != last], last[first != last]))
    first, last = (np.concatenate(part) for part in zip(*repeated, strict=True))
    order = np.argsort(first)
    first, last = first[order], last[order]
    for start in range(0, len(is_first), AT_ONCE):
        places = start + np.flatnonzero(is_first[start : start + AT_ONCE])
        own = slice(*np.searchsorted(first, [start, start + AT_ONCE]))
        places[np.searchsorted(places, first[own])] = last[own]
        arrays.append(places=places)
