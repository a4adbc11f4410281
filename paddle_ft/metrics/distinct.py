"""Measure how varied generated texts are."""

from __future__ import annotations

from collections.abc import Sequence

from paddle_ft.metrics.text import CharacterWordTokenizer


def distinct(texts: Sequence[str], order: int) -> float:
    """Return the number of different n-grams of all texts together, in percent of all their n-grams; 0 without any.

    It falls with more text, so compare it only between sets of about the same size.

    Args:
        order: n.

    Source: Li et al. (2016), A Diversity-Promoting Objective Function for Neural Conversation Models (distinct-1, -2).
    """
    tokenize = CharacterWordTokenizer().tokenize
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        tokens = tokenize(text)
        grams = [tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1)]
        seen.update(grams)
        total += len(grams)
    return round(100 * len(seen) / total, 4) if total else 0.0
