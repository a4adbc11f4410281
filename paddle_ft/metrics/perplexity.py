"""Compute the perplexity of a language model per token, and its confidence interval."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from paddle_ft.metrics.paired import RowCounts


def perplexity(total_nll: float, tokens: int) -> float:
    """Return exp(total negative log-likelihood / number of predicted tokens).

    Args:
        total_nll: sum over all predicted tokens, in nats (not a mean of batch means).
        tokens: number of predicted tokens, not counting padding or, for masked language models, unmasked positions.

    Returns:
        The perplexity. If exp would overflow, this is the largest float, because JSON has no infinity.

    Raises:
        ValueError: nothing was predicted.
    """
    if tokens < 1:
        raise ValueError(f"perplexity over {tokens} tokens: no token was predicted")
    try:
        return math.exp(total_nll / tokens)
    except OverflowError:
        return sys.float_info.max


def loss_counts(losses: Sequence[Mapping[str, float]]) -> RowCounts:
    """Return what each row adds to the loss and the perplexity per target and, if it is known, the accuracy.

    Args:
        losses: {"nll": summed negative log-likelihood in nats, "targets": their number, "correct": how many were predicted right}
            of each row.
    """
    names = [name for name in ("nll", "targets", "correct") if all(name in row for row in losses)]
    counts = np.array([[row[name] for name in names] for row in losses], dtype=np.float64)

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        targets = np.maximum(sums[..., 1], 1)
        loss = sums[..., 0] / targets
        figures = {"loss": loss, "perplexity": np.exp(np.minimum(loss, np.log(sys.float_info.max)))}
        return figures | ({"accuracy": 100 * sums[..., 2] / targets} if "correct" in names else {})

    return RowCounts(counts, scores)


def perplexity_interval(nll: np.ndarray, tokens: np.ndarray, *, seed: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval (low, high) of the perplexity over texts.

    Args:
        nll: [texts], negative log-likelihood of each text, summed over its predicted tokens, in nats.
        tokens: [texts], number of predicted tokens of each text.
        seed: seed of the resampling.
        n: number of resamples.
        level: share of the resampled perplexities that lie inside the interval.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 13.3, for a ratio of two sums.
    """
    rng = np.random.default_rng(seed)
    nll, tokens = np.asarray(nll, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    means = np.empty(n)
    for i in range(n):
        times = np.bincount(rng.integers(0, len(nll), len(nll)), minlength=len(nll))
        means[i] = times @ nll / max(times @ tokens, 1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return perplexity(low, 1), perplexity(high, 1)
