"""Compute corpus BLEU-4 with nltk, on the same tokens as ROUGE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from paddle_ft.metrics.paired import RowCounts
from paddle_ft.metrics.text import CharacterWordTokenizer, check_pairs

EPSILON = 0.1  # number of matches that a precision without matches counts (nltk's method1)


def bleu4(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Return corpus BLEU-4 (0-100) with uniform weights, brevity penalty and one reference for each prediction.

    The score is smoothed with nltk's method1. This makes no difference if there is at least one match of every n-gram order, as in
    any corpus that is not tiny. For a prediction of fewer than n tokens, nltk counts one n-gram without a match.

    Args:
        predictions: [examples], generated texts.
        references: [examples], the text that each prediction is compared with.

    Raises:
        ValueError: the lists are empty or differ in length.

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
    """Return the bootstrap interval [low, high] of `bleu4` over pairs of prediction and reference.

    Matches and lengths are counted once for each pair and then summed for each resample, which is faster than scoring each
    resample with nltk.

    Args:
        predictions: [examples], generated texts.
        references: [examples], the text that each prediction is compared with.
        seed: seed of the resampling.
        n: number of resamples.
        level: share of the resampled scores that lie inside the interval.

    Source: Koehn (2004), Statistical Significance Tests for Machine Translation Evaluation.
    """
    counts = bleu_counts(predictions, references).counts
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=n)
    scores = _scores(weights @ counts)
    return [round(float(end), 4) for end in np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])]


def bleu_counts(predictions: Sequence[str], references: Sequence[str]) -> RowCounts:
    """Return what each pair adds to `bleu4`, for a paired test. The arguments are those of `bleu4`."""
    check_pairs(predictions, references)
    tokenize = CharacterWordTokenizer().tokenize
    pairs = zip(predictions, references, strict=True)
    counts = np.array([_counts(tokenize(prediction), tokenize(reference)) for prediction, reference in pairs])
    return RowCounts(counts, lambda sums: {"bleu4": _scores(sums)})


def _counts(prediction: list[str], reference: list[str]) -> list[int]:
    """Return 10 counts for one pair: matches of 1- to 4-grams, number of 1- to 4-grams (at least 1, as in nltk), both lengths."""
    matches, totals = [], []
    for size in range(1, 5):
        predicted = Counter(zip(*(prediction[i:] for i in range(size)), strict=False))
        expected = Counter(zip(*(reference[i:] for i in range(size)), strict=False))
        matches.append(sum((predicted & expected).values()))
        totals.append(max(1, predicted.total()))
    return [*matches, *totals, len(prediction), len(reference)]


def _scores(sums: np.ndarray) -> np.ndarray:
    """Return the BLEU-4 (0-100) of summed counts: [..., 10] -> [...]."""
    matches, totals, length, reference_length = sums[..., :4].astype(float), sums[..., 4:8], sums[..., 8], sums[..., 9]
    logs = np.log(np.where(matches == 0, EPSILON, matches) / totals).mean(axis=-1)
    brevity = np.where(length > reference_length, 0.0, 1 - reference_length / np.maximum(length, 1))
    return np.where((matches[..., 0] == 0) | (length == 0), 0.0, 100 * np.exp(logs + brevity))
