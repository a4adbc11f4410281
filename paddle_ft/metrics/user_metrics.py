"""Figures of a user's own: metrics named with --import that are computed on the predictions of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paddle_ft.metrics.bootstrap import confidence_interval
from paddle_ft.metrics.registry import Metric, known_metrics
from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import describe_error


def computed_metrics(task_names: Sequence[str]) -> list[Metric]:
    """Return the metrics that are computed on predictions, for all tasks.

    Args:
        task_names: all tasks that there are.

    Raises:
        UserError: a metric names a task that there is not, and would never be computed.
    """
    metrics = [metric for metric in known_metrics().values() if metric.compute]
    for metric in metrics:
        if unknown := set(metric.tasks) - set(task_names):
            names = ", ".join(map(repr, sorted(unknown)))
            raise UserError(f"METRICS: {metric.key!r} is for {names}, which is no task. Tasks: {', '.join(task_names)}.")
    return metrics


def compute_metrics(
    metrics: Sequence[Metric], predictions: Sequence, references: Sequence, seed: int, num_samples: int
) -> dict[str, Any]:
    """Return the figures of metrics by key, and under "<key>_ci" the 95 % interval of those that score each row.

    Args:
        metrics: each with a `compute`.
        predictions, references: [n] of an evaluation, in the rows' order.
        seed, num_samples: of the resampling for intervals.

    Raises:
        UserError: the user's function fails, or returns neither a number nor one for each row.
    """
    figures: dict[str, Any] = {}
    for metric in metrics:
        try:
            values = np.asarray(metric.compute(list(predictions), list(references)), dtype=np.float64)
        except Exception as error:  # whatever a user's function raises, or returns in place of numbers
            raise UserError(f"METRICS: {metric.key!r} cannot be computed: {describe_error(error)}.") from error
        if values.shape not in ((), (len(predictions),)):
            shape = list(values.shape)
            raise UserError(f"METRICS: {metric.key!r} gives {shape} numbers for {len(predictions)} rows: give one, or one a row.")
        figures[metric.key] = round(float(values.mean()), 4)
        if values.shape:
            figures[f"{metric.key}_ci"] = [round(end, 4) for end in confidence_interval(values, seed, num_samples)]
    return figures
