"""Percentile bootstrap: how far a mean over examples could move with another sample of as many examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_CELLS = 2_000_000  # indices drawn at a time, 16 MB of them


def confidence_intervals(values: np.ndarray, *, seed: int = 0, n: int = 1000, level: float = 0.95) -> np.ndarray:
    """Return an interval for the mean of each column; all columns are resampled together.

    Args:
        values: [examples, metrics], one score per example and metric.
        seed: of the resampling.
        n: number of resamples.
        level: share of the resampled means inside the interval (0.95: from the 2.5th to the 97.5th percentile).

    Returns:
        [metrics, 2], lower and upper end.

    Raises:
        ValueError: there are no examples or no resamples.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 13.3 (percentile interval).
    """
    values = np.asarray(values, dtype=np.float64)
    examples = values.shape[0]
    if not examples or n < 1 or not 0 < level < 1:
        raise ValueError(f"no interval from {examples} examples, {n} resamples, level {level}")
    random = np.random.default_rng(seed)
    chunk = max(1, _CELLS // examples)
    means = np.empty((n, values.shape[1]))
    for start in range(0, n, chunk):
        rows = min(chunk, n - start)
        drawn = random.integers(0, examples, size=(rows, examples))
        for column in range(values.shape[1]):
            means[start : start + rows, column] = values[:, column][drawn].mean(axis=1)
    tail = (1 - level) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T


def confidence_interval(values: Sequence[float], seed: int = 0, n: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of one mean as confidence_intervals does; `values` is [examples]."""
    low, high = confidence_intervals(np.asarray(values, dtype=np.float64)[:, None], seed=seed, n=n, level=level)[0]
    return float(low), float(high)
