"""Tell how often the training text has the word that a hidden token belongs to: rare words are what an adaptation has to learn.

A word is a token with the tokens that continue it (##ing), or in Chinese what the masking takes for a word. With a tokenizer that
does not mark such tokens, each token is a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

BANDS = ("0", "1-9", "10-99", "100-999", "1,000-9,999", "10,000 or more")  # times that the training text has the word
_MANY = 2**22  # words that are counted at once
_LONGEST = 64  # tokens of a word that have a factor of their own
_FACTORS = np.random.default_rng(2022).integers(1, 2**63, _LONGEST, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


class WordFrequencies:
    """The words of the training text and how often each occurs.

    Args:
        parts: (ids, starts): token ids of the text, and bool, whether a word begins there; in arrays of any length.
    """

    def __init__(self, parts: Iterable[tuple[np.ndarray, np.ndarray]]):
        self.keys, self.counts = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
        waiting: list[np.ndarray] = []
        for ids, starts in parts:
            waiting.append(word_keys(ids, starts)[0])
            if sum(map(len, waiting)) > _MANY:
                self._add(waiting)
                waiting = []
        self._add(waiting)

    def _add(self, parts: list[np.ndarray]) -> None:
        keys, counts = np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *parts]), return_counts=True)
        merged, places = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
        totals = np.bincount(places, weights=np.concatenate([self.counts, counts]), minlength=len(merged))
        self.keys, self.counts = merged, totals.astype(np.int64)

    def bands(self, ids: np.ndarray, starts: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return for tokens of a block in which of BANDS their word is.

        Args:
            ids, starts: [s], a block of text in the form of `parts`.
            positions: [n], the tokens.
        """
        keys, word_of = word_keys(ids, starts)
        wanted = keys[word_of[positions]]
        places = np.minimum(np.searchsorted(self.keys, wanted), max(0, len(self.keys) - 1))
        counts = np.where(self.keys[places] == wanted, self.counts[places], 0) if len(self.keys) else np.zeros(len(wanted))
        digits = np.floor(np.log10(np.maximum(counts, 1))).astype(np.int64) + 1
        return np.where(counts > 0, np.minimum(digits, len(BANDS) - 1), 0)


def word_keys(ids: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a number for each word, which is the same for the same tokens, and for each token the number of its word.

    The number is a hash of 64 bits, so that two words of a text have the same one by chance only.

    Args:
        ids: [t], token ids.
        starts: [t], whether a word begins there. One begins at the first token in any case.
    """
    if not len(ids):
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    starts = np.asarray(starts, dtype=bool).copy()
    starts[0] = True
    first = np.flatnonzero(starts)
    word_of = np.cumsum(starts) - 1
    place = np.minimum(np.arange(len(ids)) - first[word_of], _LONGEST - 1)
    return np.add.reduceat((np.asarray(ids).astype(np.uint64) + np.uint64(1)) * _FACTORS[place], first), word_of


def band_sums(bands: np.ndarray, nll: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Return the number of targets, their summed loss and how many were predicted right, for each band.

    Args:
        bands, nll, correct: [n], of each target.

    Returns:
        [bands, 3]
    """
    values = (np.ones(len(bands)), nll, correct)
    return np.stack([np.bincount(bands, weights=value, minlength=len(BANDS)) for value in values], axis=1)


def describe_bands(sums: np.ndarray) -> list[dict[str, Any]]:
    """Return "by_frequency" of results.json: a row for each band that has targets.

    Args:
        sums: [bands, 3], what band_sums returned, added over the rows.
    """
    return [
        {
            "times_in_training": name,
            "targets": int(targets),
            "loss": round(float(nll / targets), 4),
            "accuracy": round(100 * float(correct / targets), 2),
        }
        for name, (targets, nll, correct) in zip(BANDS, sums, strict=True)
        if targets
    ]
