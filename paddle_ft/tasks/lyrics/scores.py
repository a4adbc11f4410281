"""Compute the metrics of generated lines: rhyme, originality, variety."""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_ft.config.schema import BaseConfig
from paddle_ft.metrics.paired import RowCounts, row_means
from paddle_ft.tasks.base import Scores
from paddle_ft.tasks.lyrics.pairs import SPLIT_SEED, split_source

CHANCE_ROUNDS = 10  # how many other lines each real line is paired with, for the rhymes by chance


def score_lines(texts: list[str], rows: list[dict[str, str]], config: BaseConfig, index=None) -> Scores:
    """Return the metrics of generated lines.

    Every figure of rhyme has two others for comparison: "NAME_of_real_lines" is that of the real next lines, and "NAME_by_chance"
    that of real lines behind a source that they do not belong to.

    Args:
        texts: a generated line for each row.
        rows: {"source", "target"} of each row.
        config: the run's configuration; seed and eval.bootstrap_samples are used.
        index: a metrics.originality.OriginalityIndex of the training lines. With None originality is not computed.
    """
    from paddle_ft.metrics.bootstrap import confidence_interval
    from paddle_ft.metrics.distinct import distinct
    from paddle_ft.metrics.originality import originality
    from paddle_ft.metrics.rhyme import english_rhymes_by, slant_rhymes_by

    previous = [split_source(row["source"])[1][-1] for row in rows]
    samples: dict[str, Any] = measure_rhymes(texts, previous)
    metrics: dict[str, Any] = _rhyme_metrics(samples, [row["target"] for row in rows], previous)
    predictions = [
        {"source": row["source"], "target": row["target"], "prediction": text} for row, text in zip(rows, texts, strict=True)
    ]
    rhyme_fields = _rhyme_fields(samples)
    if index is not None:
        figures, origins = originality(texts, index)
        metrics |= figures
        samples = {**samples, "max_bleu": [origin.bleu for origin in origins]}
        predictions = [row | _origin_fields(origin, index.lines) for row, origin in zip(predictions, origins, strict=True)]
    for name, values in samples.items():
        interval = confidence_interval(values, config.seed, config.eval.bootstrap_samples)
        metrics[f"{name}_ci"] = [round(end, 4) for end in interval]
    metrics |= {"distinct1": distinct(texts, 1), "distinct2": distinct(texts, 2), "generated_lines": len(texts)}
    metrics |= {"english_rhymes_by": english_rhymes_by(), "slant_rhymes_by": slant_rhymes_by()}
    return Scores(metrics, [row | fields for row, fields in zip(predictions, rhyme_fields, strict=True)])


def line_counts(predictions: list[dict[str, Any]]) -> RowCounts:
    """Return what each generated line adds to the metrics of score_lines, except those of the variety of all lines.

    Args:
        predictions: the predictions of score_lines. Those of an evaluation without training lines have no originality.
    """
    values = {
        "rhyme": [100.0 * row["rhymes"] for row in predictions],
        "slant_rhyme": [100.0 * row["slant_rhymes"] for row in predictions],
        "rhyme_length": [row["rhyme_length"] for row in predictions],
    }
    if all("originality" in row for row in predictions):
        values["max_bleu"] = [100 - row["originality"] for row in predictions]
        values["longest_copy"] = [row["longest_copy"] for row in predictions]
        values["exact_copies"] = [100.0 * row["exact_copy"] for row in predictions]
    return row_means(values)


def measure_rhymes(lines: list[str], previous: list[str]) -> dict[str, np.ndarray]:
    """Return how lines rhyme with the lines before them.

    Returns:
        "rhyme" and "slant_rhyme": [n], 100 for a line that rhymes and 0 for one that does not.
        "rhyme_length": [n], syllables.
    """
    from paddle_ft.metrics.rhyme import rhyme_length, rhymes, slant_rhymes

    pairs = list(zip(lines, previous, strict=True))
    return {
        "rhyme": 100.0 * np.array([rhymes(*pair) for pair in pairs]),
        "slant_rhyme": 100.0 * np.array([slant_rhymes(*pair) for pair in pairs]),
        "rhyme_length": np.array([rhyme_length(*pair) for pair in pairs], dtype=np.float64),
    }


def _rhyme_metrics(samples: dict[str, np.ndarray], targets: list[str], previous: list[str]) -> dict[str, float]:
    """Return the means of `samples` (see measure_rhymes), each followed by those of the real next lines and of chance.

    Args:
        samples: how the generated lines rhyme.
        targets: the real next lines [n].
        previous: the lines before them [n].
    """
    others = {"of_real_lines": measure_rhymes(targets, previous)}
    pairs = random_pairs(len(targets))
    if pairs:  # a single row has no other to be paired with
        others["by_chance"] = measure_rhymes([targets[i] for i, _ in pairs], [previous[j] for _, j in pairs])
    metrics = {}
    for name, values in samples.items():
        metrics[name] = _mean(values)
        metrics |= {f"{name}_{suffix}": _mean(measured[name]) for suffix, measured in others.items()}
    return metrics


def random_pairs(count: int) -> list[tuple[int, int]]:
    """Return pairs of different numbers below `count`, CHANCE_ROUNDS at random for each first number. They are always the same."""
    rng = np.random.default_rng(SPLIT_SEED)
    rounds = [rng.permutation(count) for _ in range(CHANCE_ROUNDS)]
    return [(i, int(j)) for order in rounds for i, j in enumerate(order) if i != j]


def _rhyme_fields(samples: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the fields of each prediction about its rhyme."""
    columns = zip(samples["rhyme"], samples["slant_rhyme"], samples["rhyme_length"], strict=True)
    return [{"rhymes": bool(rhyme), "slant_rhymes": bool(slant), "rhyme_length": int(length)} for rhyme, slant, length in columns]


def _origin_fields(origin, training_lines: list[str]) -> dict[str, Any]:
    """Return the fields of a prediction about its most similar training line (a metrics.originality.Origin)."""
    return {
        "originality": round(100 - origin.bleu, 2),
        "nearest_training_line": "" if origin.line is None else training_lines[origin.line],
        "longest_copy": origin.copied,
        "exact_copy": origin.exact,
    }


def _mean(values: np.ndarray) -> float:
    return round(float(np.mean(values)), 4)
