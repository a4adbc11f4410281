"""Test whether the difference between the scores of two evaluations of the same rows is more than chance.

Every metric is a function of sums over the rows: an accuracy of hits and rows, a perplexity of losses and tokens, a corpus BLEU of
matches and lengths. So one test serves for all: it draws other sums, and computes the metrics from them as from the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

SAMPLES = 10_000  # swaps and resamples
LEVEL = 0.05  # p below it: the difference is real
EXACT_ROWS = 13  # up to this many rows that differ, all 2 ** 13 = 8,192 swaps are tried instead of a sample of them
_MAX_CELLS = 4_000_000  # numbers drawn at a time, which take 32 MB


@dataclass(frozen=True)
class RowCounts:
    """What each row of an evaluation adds to metrics.

    Attributes:
        counts: [rows, k]
        scores: returns metric -> [...] for sums over rows [..., k].
    """

    counts: np.ndarray
    scores: Callable[[np.ndarray], dict[str, np.ndarray]]

    def totals(self) -> dict[str, float]:
        """Return the metrics of all rows."""
        return {name: float(value) for name, value in self.scores(self.counts.sum(axis=0)).items()}


@dataclass(frozen=True)
class Difference:
    """The difference of a metric between two evaluations of the same rows.

    Attributes:
        first, second: the metric of both.
        first_interval, second_interval: their 95 % intervals, from the same resamples as `interval`.
        interval: (low, high), the 95 % interval of second - first.
        p: how likely a difference of at least this size is by chance, 0-1.
        rows: number of rows.
    """

    first: float
    second: float
    first_interval: tuple[float, float]
    second_interval: tuple[float, float]
    interval: tuple[float, float]
    p: float
    rows: int

    @property
    def difference(self) -> float:
        """The second minus the first."""
        return self.second - self.first


def row_means(values: dict[str, Sequence[float] | np.ndarray]) -> RowCounts:
    """Return the counts for metrics that are the mean of a value of each row.

    Args:
        values: metric -> [rows].
    """
    columns = np.column_stack([np.asarray(column, dtype=np.float64) for column in values.values()])
    counts = np.column_stack([columns, np.ones(len(columns))])
    return RowCounts(counts, lambda sums: {name: sums[..., i] / sums[..., -1] for i, name in enumerate(values)})


def compare_rows(first: RowCounts, second: RowCounts, *, seed: int = 0, n: int = SAMPLES) -> dict[str, Difference]:
    """Return the difference of each metric between two evaluations of the same rows, with its interval and its p.

    p is that of the two-sided permutation test: if the two systems were the same, each row's results could as well be swapped, and
    p is the share of swaps that give a difference of at least this size. The interval is the percentile bootstrap over rows; both
    systems get the same resamples, so that rows that are hard for both do not widen it.

    Args:
        first, second: the counts of both, [rows, k] of the same rows in the same order, with the same scores.
        seed: seed of swaps and resamples.
        n: number of swaps and of resamples.

    Raises:
        ValueError: there are no rows, or the shapes differ.

    Source: Noreen (1989), Computer-Intensive Methods for Testing Hypotheses, section 2 (approximate randomization; (hits + 1) /
    (n + 1)); Yeh (2000), More accurate tests for the statistical significance of result differences; Efron & Tibshirani (1993), An
    Introduction to the Bootstrap, section 13.3; Koehn (2004), Statistical Significance Tests for Machine Translation Evaluation.
    """
    if first.counts.shape != second.counts.shape or not len(first.counts):
        raise ValueError(f"counts {first.counts.shape} and {second.counts.shape}: they must be of the same rows, at least one")
    rng = np.random.default_rng(seed)
    width, scores = first.counts.shape[1], first.scores
    both = np.hstack([first.counts, second.counts]).astype(np.float64)
    both, numbers = np.unique(both, axis=0, return_counts=True)  # equal rows are drawn together
    a, b = both[:, :width], both[:, width:]
    real_a, real_b = scores(numbers @ a), scores(numbers @ b)
    swapped = _concatenate(_swap_differences(a, b, numbers, scores, rng, n))
    exact = len(swapped[next(iter(real_a))]) != n
    resampled = _concatenate(_resample(a, b, numbers, scores, rng, n))
    differences = {}
    for name in real_a:
        size = abs(real_b[name] - real_a[name])
        as_large = int((np.abs(swapped[name]) >= size - 1e-12 * max(1.0, size)).sum())
        p = as_large / len(swapped[name]) if exact else (as_large + 1) / (n + 1)
        ends = [_interval(resampled[key]) for key in (f"{name} a", f"{name} b", f"{name} difference")]
        differences[name] = Difference(float(real_a[name]), float(real_b[name]), *ends, float(p), int(numbers.sum()))
    return differences


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number: the chance of any wrong "yes" among all of them then stays below the level.

    Source: Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure.
    """
    adjusted, largest = list(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _chunks(n: int, rows: int) -> Iterator[int]:
    """Yield how many samples of this many rows are drawn at a time, n in all."""
    size = max(1, _MAX_CELLS // max(1, rows))
    yield from (min(size, n - start) for start in range(0, n, size))


def _concatenate(parts: Iterator[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _swap_differences(a, b, numbers, scores, rng, n) -> Iterator[dict[str, np.ndarray]]:
    """Yield the differences of the scores after swaps, many at once.

    Args:
        a, b: [g, k], the counts of both for each group of equal rows.
        numbers: [g], rows in each group.
        scores: see RowCounts.
        rng: the random generator.
        n: number of swaps, unless all of them are tried.
    """
    sums_a, sums_b = numbers @ a, numbers @ b
    differ = (a != b).any(axis=1)  # the swap of a row with the same results changes nothing
    gains, numbers = (b - a)[differ], numbers[differ]
    if numbers.sum() <= EXACT_ROWS:
        gains = np.repeat(gains, numbers, axis=0)
        draws = iter([(np.arange(2 ** len(gains))[:, None] >> np.arange(len(gains))) & 1])
    else:
        draws = (_draw_swaps(numbers, size, rng) for size in _chunks(n, len(gains)))
    for swaps in draws:
        moved = swaps @ gains
        one, other = scores(sums_a + moved), scores(sums_b - moved)
        yield {name: other[name] - one[name] for name in one}


def _draw_swaps(numbers: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return how many rows of each group are swapped, [size, g]. Each row is swapped with probability 1/2."""
    if numbers.max() == 1:
        return rng.integers(0, 2, size=(size, len(numbers)), dtype=np.int8).astype(np.float64)
    return rng.binomial(numbers, 0.5, size=(size, len(numbers))).astype(np.float64)


def _resample(a, b, numbers, scores, rng, n) -> Iterator[dict[str, np.ndarray]]:
    """Yield the scores of both and their differences for resamples with replacement. For the arguments see _swap_differences."""
    rows = int(numbers.sum())
    for size in _chunks(n, len(numbers)):
        if len(numbers) == rows:
            drawn = rng.integers(0, rows, size=(size, rows)) + rows * np.arange(size)[:, None]
            weights = np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)
        else:
            weights = rng.multinomial(rows, numbers / rows, size=size).astype(np.float64)
        one, other = scores(weights @ a), scores(weights @ b)
        yield (
            {f"{name} a": one[name] for name in one}
            | {f"{name} b": other[name] for name in one}
            | {f"{name} difference": other[name] - one[name] for name in one}
        )
