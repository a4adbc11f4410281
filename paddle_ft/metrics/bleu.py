"""BLEU-4 over a corpus, by nltk, on the same tokens as ROUGE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from .text import CharacterWordTokenizer, check_pairs

EPSILON = 0.1
SMOOTHING = "nltk method1: a precision without any match counts 0.1 matches"


def bleu4(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU-4 (0-100): uniform weights, brevity penalty, one reference each, smoothed as `SMOOTHING` says.

    Where every n-gram order has a match, which a corpus of any size has, this is plain BLEU. nltk counts one missed
    n-gram for every prediction of fewer than n tokens.

    Raises ValueError where the lists are empty or of different length.

    Source: Papineni et al. (2002), BLEU: a Method for Automatic Evaluation of Machine Translation.
    """
    from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu

    check_pairs(predictions, references)
    tokenize = CharacterWordTokenizer().tokenize
    score = corpus_bleu(
        [[tokenize(reference)] for reference in references],
        [tokenize(prediction) for prediction in predictions],
        smoothing_function=SmoothingFunction(epsilon=EPSILON).method1,
    )
    return round(100 * float(score), 4)


def bleu4_interval(
    predictions: Sequence[str], references: Sequence[str], *, seed: int = 0, n: int = 1000, level: float = 0.95
) -> list[float]:
    """[low, high] of bleu4 by bootstrap over the pairs: matches and lengths are counted once a pair and summed over resamples.

    Source: Koehn (2004), Statistical Significance Tests for Machine Translation Evaluation.
    """
    check_pairs(predictions, references)
    tokenize = CharacterWordTokenizer().tokenize
    pairs = zip(predictions, references, strict=True)
    counts = np.array([_counts(tokenize(prediction), tokenize(reference)) for prediction, reference in pairs])
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=n)
    scores = _scores(weights @ counts)
    return [round(float(end), 4) for end in np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])]


def _counts(prediction: list[str], reference: list[str]) -> list[int]:
    """Matches of 1- to 4-grams, n-grams of the prediction (at least 1, as nltk counts), and both lengths: 10 numbers."""
    matches, totals = [], []
    for size in range(1, 5):
        found = Counter(zip(*(prediction[i:] for i in range(size)), strict=False))
        wanted = Counter(zip(*(reference[i:] for i in range(size)), strict=False))
        matches.append(sum((found & wanted).values()))
        totals.append(max(1, found.total()))
    return [*matches, *totals, len(prediction), len(reference)]


def _scores(sums: np.ndarray) -> np.ndarray:
    """BLEU-4 (0-100) of summed counts: [n, 10] -> [n]."""
    matches, totals, length, wanted = sums[:, :4].astype(float), sums[:, 4:8], sums[:, 8], sums[:, 9]
    logs = np.log(np.where(matches == 0, EPSILON, matches) / totals).mean(axis=1)
    brevity = np.where(length > wanted, 0.0, 1 - wanted / np.maximum(length, 1))
    return np.where((matches[:, 0] == 0) | (length == 0), 0.0, 100 * np.exp(logs + brevity))
