"""Compute the metrics of generated lines: rhyme, originality, variety."""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_ft.config.schema import BaseConfig
from paddle_ft.tasks.base import Scores
from paddle_ft.tasks.lyrics.pairs import split_source


def score_lines(texts: list[str], rows: list[dict[str, str]], config: BaseConfig, index=None) -> Scores:
    """Return the metrics of generated lines. "rhyme_of_real_lines" is the rhyme of the real next lines, for comparison.

    Args:
        texts: a generated line for each row.
        rows: {"source", "target"} of each row.
        config: the run's configuration; seed and eval.bootstrap_samples are used.
        index: a metrics.originality.OriginalityIndex of the training lines. With None originality is not computed.
    """
    from paddle_ft.metrics.bootstrap import confidence_interval
    from paddle_ft.metrics.distinct import distinct
    from paddle_ft.metrics.originality import originality
    from paddle_ft.metrics.rhyme import english_rhymes_by, rhymes

    previous = [split_source(row["source"])[1][-1] for row in rows]
    text_rhymes = [rhymes(text, line) for text, line in zip(texts, previous, strict=True)]
    target_rhymes = [rhymes(row["target"], line) for row, line in zip(rows, previous, strict=True)]
    metrics: dict[str, Any] = {"rhyme": _percent(text_rhymes), "rhyme_of_real_lines": _percent(target_rhymes)}
    samples = {"rhyme": 100.0 * np.array(text_rhymes)}
    origin_fields: list[dict[str, Any]] = [{}] * len(texts)
    if index is not None:
        figures, origins = originality(texts, index)
        metrics |= figures
        samples["max_bleu"] = [origin.bleu for origin in origins]
        origin_fields = [_origin_fields(origin, index.lines) for origin in origins]
    for name, values in samples.items():
        interval = confidence_interval(values, config.seed, config.eval.bootstrap_samples)
        metrics[f"{name}_ci"] = [round(end, 4) for end in interval]
    metrics |= {"distinct1": distinct(texts, 1), "distinct2": distinct(texts, 2), "generated_lines": len(texts)}
    metrics["english_rhymes_by"] = english_rhymes_by()
    predictions = [
        {"source": row["source"], "target": row["target"], "prediction": text, **fields, "rhymes": rhyme}
        for row, text, fields, rhyme in zip(rows, texts, origin_fields, text_rhymes, strict=True)
    ]
    return Scores(metrics, predictions)


def _origin_fields(origin, training_lines: list[str]) -> dict[str, Any]:
    """Return the fields of a prediction about its most similar training line (a metrics.originality.Origin)."""
    return {
        "originality": round(100 - origin.bleu, 2),
        "nearest_training_line": "" if origin.line is None else training_lines[origin.line],
        "longest_copy": origin.copied,
        "exact_copy": origin.exact,
    }


def _percent(values: list[bool]) -> float:
    return round(100 * float(np.mean(values)), 4)
