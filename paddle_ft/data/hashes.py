"""Find equal texts among more texts than memory has room for, by their hashes in an array, which may be on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

import numpy as np

from paddle_ft.data.arrays import ArrayFile, in_parts

SORTED = 2**22  # hashes that are sorted at once


def hash_texts(texts: Iterable[str]) -> np.ndarray:
    """Return the hashes of texts [n] int64. Of 100 million different texts, two have the same hash with a chance of 1 in 3,700."""
    digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), "<i8")


def equal_runs(
    hashes: np.ndarray | ArrayFile, rank_of: Callable[[np.ndarray], np.ndarray] | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all hashes in sorted parts. Equal hashes are in the same part.

    Args:
        hashes: the hashes [n] int64.
        rank_of: returns the ranks of the hashes at some positions. Those with a negative rank are left out. Default: all are 0.

    Yields:
        The positions of the hashes of a part, by hash, then by rank, then by position [m] int64; and the bounds of the runs of
        equal hashes in them [runs + 1]: run i is positions[bounds[i] : bounds[i + 1]].
    """
    count = max(1, -(-len(hashes) // SORTED))
    for number in range(count):
        parts, start = [], 0
        for part in in_parts(hashes):
            own = np.flatnonzero(part.view(np.uint64) % np.uint64(count) == number)
            parts.append((part[own], own + start))
            start += len(part)
        values = np.concatenate([np.zeros(0, np.int64), *(part for part, _ in parts)])
        positions = np.concatenate([np.zeros(0, np.int64), *(own for _, own in parts)])
        ranks = np.zeros(len(positions), np.int8) if rank_of is None else rank_of(positions)
        counted = np.flatnonzero(ranks >= 0)
        order = counted[np.lexsort([ranks[counted], values[counted]])]
        values = values[order]
        begins = np.flatnonzero(values[1:] != values[:-1]) + 1
        yield positions[order], np.concatenate([np.zeros(min(1, len(order)), np.int64), begins, [len(order)]])


def find_first(hashes: np.ndarray | ArrayFile, rank_of: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Return for each hash whether it is the first of the equal ones in the order of `equal_runs` [n] bool."""
    result = np.zeros(len(hashes), bool)
    for positions, bounds in equal_runs(hashes, rank_of):
        result[positions[bounds[:-1]]] = True
    return result
