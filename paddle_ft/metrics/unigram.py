"""The unigram baseline for language models: the probability of a token is its frequency in the training text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def unigram_nll(tokens: Iterable[np.ndarray], size: int) -> np.ndarray:
    """Return the negative log-probability of every token by its frequency. One is added to each count.

    Args:
        tokens: ids of the training text, in arrays of any length.
        size: size of the vocabulary (v).

    Returns:
        [v], in nats.

    Source: Jurafsky & Martin, Speech and Language Processing, 3rd ed. draft, section 3.6.1 (Laplace smoothing).
    """
    counts = np.ones(size)
    for ids in tokens:
        counts += np.bincount(ids, minlength=size)
    return -np.log(counts / counts.sum())
