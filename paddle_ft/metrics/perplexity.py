"""Perplexity of a language model, weighted by tokens."""

from __future__ import annotations

import math
import sys


def perplexity(total_nll: float, tokens: int) -> float:
    """exp(total negative log-likelihood / number of predicted tokens).

    Args:
        total_nll: summed over all predicted tokens of the split, in nats (not the mean of batch means).
        tokens: how many were predicted; padding and unmasked positions do not count.

    Returns: at least 1 for a proper model; the largest float where exp would overflow (JSON has no infinity).
    Raises ValueError where nothing was predicted.
    """
    if tokens < 1:
        raise ValueError(f"perplexity over {tokens} tokens: nothing was predicted")
    try:
        return math.exp(total_nll / tokens)
    except OverflowError:
        return sys.float_info.max
