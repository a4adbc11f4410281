"""Measure the variety of generated texts with distinct-n."""

from __future__ import annotations

from collections.abc import Sequence

from paddle_ft.metrics.text import CharacterWordTokenizer


def distinct(texts: Sequence[str], order: int) -> float:
    """Return the number of different n-grams in all texts together, in percent of all n-grams; 0 if there are none.

    The value falls as the amount of text grows, so compare only sets of about the same size.

    Args:
        texts: the generated texts.
        order: n, the number of tokens in an n-gram.

    Source: Li et al. (2016), A Diversity-Promoting Objective Function for Neural Conversation Models (distinct-1, -2).
    """
    tokenize = CharacterWordTokenizer().tokenize
    different: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        tokens = tokenize(text)
        ngrams = [tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1)]
        different.update(ngrams)
        total += len(ngrams)
    return round(100 * len(different) / total, 4) if total else 0.0
