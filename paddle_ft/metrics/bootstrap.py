"""Percentile bootstrap intervals: how much a mean over examples may differ for another sample of the same size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MAX_INDICES = 2_000_000  # indices drawn at a time, which take 16 MB


def confidence_intervals(values: np.ndarray, *, seed: int = 0, n: int = 1000, level: float = 0.95) -> np.ndarray:
    """Return an interval for the mean of each metric. All metrics use the same resamples.

    Args:
        values: [examples, metrics], one score per example and metric.
        seed: seed of the resampling.
        n: number of resamples.
        level: share of the resampled means that lie inside the interval (0.95: from the 2.5th to the 97.5th percentile).

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
    rng = np.random.default_rng(seed)
    chunk = max(1, _MAX_INDICES // examples)
    means = np.empty((n, values.shape[1]))
    for start in range(0, n, chunk):
        rows = min(chunk, n - start)
        drawn = rng.integers(0, examples, size=(rows, examples))
        for column in range(values.shape[1]):
            means[start : start + rows, column] = values[:, column][drawn].mean(axis=1)
    tail = (1 - level) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T


def confidence_interval(values: Sequence[float], seed: int = 0, n: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a single mean over `values` [examples]. The other arguments are those of confidence_intervals."""
    low, high = confidence_intervals(np.asarray(values, dtype=np.float64)[:, None], seed=seed, n=n, level=level)[0]
    return float(low), float(high)
