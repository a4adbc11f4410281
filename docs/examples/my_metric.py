"""Metrics of your own for tasks that exist: chrF of summaries, balanced accuracy of classes.

python -m paddle_ft train --import my_metric --config my_reviews.yaml --sample eval.best_metric=balanced_accuracy --overwrite
"""

from collections import Counter

import numpy as np

from paddle_ft.metrics.registry import Metric

LONGEST = 6  # characters of an n-gram
BETA = 2  # recall counts this many times as much as precision


def chrf(predictions, references):
    """Return the chrF of each row, 0-100: the F-score of the characters' n-grams, spaces left out.

    It needs no words, so it suits Chinese, and languages with many endings.
    Source: Popović (2015), chrF: character n-gram F-score for automatic MT evaluation.
    """
    return [100 * _chrf(prediction, reference) for prediction, reference in zip(predictions, references, strict=True)]


def _chrf(prediction, reference):
    precisions, recalls = [], []
    for n in range(1, LONGEST + 1):
        predicted, expected = _ngrams(prediction, n), _ngrams(reference, n)
        if predicted and expected:  # texts shorter than n characters have none
            matches = (predicted & expected).total()
            precisions.append(matches / predicted.total())
            recalls.append(matches / expected.total())
    if not any(precisions):
        return 0.0
    precision, recall = np.mean(precisions), np.mean(recalls)
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _ngrams(text, n):
    characters = "".join(text.split())
    return Counter(characters[i : i + n] for i in range(len(characters) - n + 1))


def balanced_accuracy(predictions, references):
    """Return the mean over the classes of the share that is found, 0-100. A rare class counts as much as a common one."""
    right = np.array(predictions) == np.array(references)
    classes = np.array(references)
    return 100 * float(np.mean([right[classes == name].mean() for name in set(references)]))


METRICS = (
    # one number a row: the figure is their mean, with a 95 % interval
    Metric("chrf", "chrF", "%", plot="scores", compute=chrf, tasks=("summarization",)),
    # one number for all rows
    Metric("balanced_accuracy", unit="%", plot="scores", compute=balanced_accuracy, tasks=("classification",)),
)
