"""Draw the plots of a run: loss, learning rate, scores, metrics with a plot of their own, and confusion matrices.

The table of metrics says which of them are plotted, and where (metrics/registry.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paddle_ft.metrics.registry import Metric, find_metric, known_metrics
from paddle_ft.reporting.curves import (
    COLOURS,
    GREY,
    MANY_POINTS,
    STEP_LABEL,
    TITLE,
    Curve,
    draw_curves,
    draw_line,
    label_steps,
    make_axes,
    smooth,
)
from paddle_ft.reporting.formats import format_score
from paddle_ft.reporting.layout import display_width
from paddle_ft.reporting.pictures import Picture, to_picture
from paddle_ft.reporting.records import Run, score_keys
from paddle_ft.system.files import write_atomically
from paddle_ft.system.formatting import is_number


def plot_run(run: Run) -> dict[Path, Picture]:
    """Draw the plots from metrics.jsonl and results.json. A plot without data is left out.

    Args:
        run: the content of the run's directory. The plots go into its folder plots/.

    Returns:
        Path -> plot, in the order of the report.
    """
    folder = run.path / "plots"
    pictures = {}
    for name, figure in draw_figures(run).items():
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.png"
        pictures[path] = to_picture(figure)
        write_atomically(path, pictures[path].png)
    return pictures


def draw_figures(run: Run) -> dict[str, Figure]:
    """Return file name without ending -> plot, in the order of the report. A plot without data is left out."""
    own_plots = [metric for metric in known_metrics().values() if metric.plot == "own"]
    figures = {
        "loss": _loss(run),
        "learning_rate": _learning_rate(run),
        "scores": _scores(run),
        **{metric.key: _metric_curves(run, metric) for metric in own_plots},
        **_confusion_matrices(run),
        **_reliability_diagrams(run),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def series(events: list[dict], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and values of a metric, from the events that have it."""
    points = [(event["step"], event[name]) for event in events if is_number(event.get(name))]
    steps, values = zip(*points, strict=True) if points else ((), ())
    return np.array(steps), np.array(values, dtype=np.float64)


def _curves(run: Run, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return split -> (steps, values) of a metric. If some split has several points, splits with a single point are left out."""
    curves = {split: series(events, name) for split, events in run.evaluations.items()}
    min_points = 2 if any(len(steps) > 1 for steps, _ in curves.values()) else 1
    return {split: (steps, values) for split, (steps, values) in curves.items() if len(steps) >= min_points}


def _loss(run: Run) -> Figure | None:
    train_steps, train = series(run.train, "loss")
    finite = np.isfinite(train)
    train_steps, train = train_steps[finite], train[finite]
    evaluated = _curves(run, "loss")
    if not len(train) and not evaluated:
        return None
    metric = find_metric("loss")
    figure, axes = make_axes(_capitalized(metric.title), metric.title_with_unit)
    if len(train) >= MANY_POINTS:
        axes.plot(train_steps, train, color=COLOURS[0], alpha=0.25, linewidth=0.8)
        draw_line(axes, train_steps, smooth(train), COLOURS[0], "training (smoothed)")
    elif len(train):
        draw_line(axes, train_steps, train, COLOURS[0], "training")
    for colour, (split, (steps, values)) in zip(COLOURS[1:], evaluated.items(), strict=False):
        draw_line(axes, steps, values, colour, split, marker="s")
    axes.legend(frameon=False, loc="best")
    return label_steps(figure)


def _learning_rate(run: Run) -> Figure | None:
    steps, values = series(run.train, "learning_rate")
    if not len(steps):
        return None
    figure, axes = make_axes("Learning rate", "learning rate")
    draw_line(axes, steps, values, COLOURS[2], "learning rate")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 3), useMathText=True)
    axes.set_ylim(bottom=0)
    return label_steps(figure)


def _main_split(run: Run) -> str | None:
    return "validation" if "validation" in run.evaluations else next(iter(run.evaluations), None)


def _scores(run: Run) -> Figure | None:
    """Draw the scores over the steps, with their baselines as dotted lines and a mark at the best step."""
    split = _main_split(run)
    if split is None:
        return None
    keys = score_keys({key: value for event in run.evaluations[split] for key, value in event.items()})
    plotted = [key for key in keys if find_metric(key).plot == "scores"]
    names = [key for key in plotted if not set(find_metric(key).hidden_by) & set(plotted)]
    if not names:
        return None
    figure, axes = make_axes(f"Scores on {split}", "score (0-100)")
    baseline = run.results.get("baseline") or {}
    for colour, name in zip(COLOURS, names, strict=False):
        steps, values = series(run.evaluations[split], name)
        draw_line(axes, steps, values, colour, find_metric(name).title)
        level = (baseline.get(split) or {}).get(name)
        if is_number(level):
            axes.axhline(level, color=colour, linestyle=":", linewidth=1.2)
    if baseline.get(split):
        axes.plot([], [], color=GREY, linestyle=":", linewidth=1.2, label=f"{baseline.get('name', 'baseline')} baseline")
    _mark_best(run, axes, names)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return label_steps(figure)


def _mark_best(run: Run, axes: Axes, names: list[str]) -> None:
    best = run.results.get("best") or {}
    if best.get("metric") in names and is_number(best.get("step")):
        axes.axvline(best["step"], color=GREY, linestyle="--", linewidth=1, label=f"best {find_metric(best['metric']).title}")


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _metric_curves(run: Run, metric: Metric) -> Figure | None:
    """Draw one metric, with a curve for each split. If a split has values a factor of 10 apart, the axis is logarithmic."""
    curves = _curves(run, metric.key)
    if not curves:
        return None
    direction = "" if metric.direction == "none" else f" ({metric.direction} is better)"
    figure, axes = make_axes(_capitalized(metric.title) + direction, metric.title_with_unit)
    for colour, (split, (steps, values)) in zip(COLOURS, curves.items(), strict=False):
        draw_line(axes, steps, values, colour, split)
    if any(values.max() > 10 * values.min() > 0 for _, values in curves.values()):
        axes.set_yscale("log")
    axes.legend(frameon=False, loc="best")
    return label_steps(figure)


def metric_figure(key: str, title: str, curves: list[Curve]) -> Figure:
    """Draw a metric of several runs over the steps. The axis is logarithmic as in the plot of a single run.

    Args:
        key: the metric.
        title: the heading.
        curves: one for each run, or the mean of several.
    """
    metric = find_metric(key)
    values = np.concatenate([np.asarray(curve.y, dtype=np.float64) for curve in curves])
    log_y = metric.plot == "own" and bool(values.max() > 10 * values.min() > 0)
    return draw_curves(title, STEP_LABEL, metric.title_with_unit, curves, log_y=log_y)


def _reliability_diagrams(run: Run) -> dict[str, Figure]:
    figures = {}
    for split, metrics in (run.results.get("metrics") or {}).items():
        bins = metrics.get("calibration")
        bins = [one for one in bins if isinstance(one, dict)] if isinstance(bins, list) else []
        bins = [one for one in bins if all(is_number(one.get(name)) for name in ("rows", "confidence", "accuracy"))]
        if bins:
            figures[f"calibration_{split}"] = _reliability_diagram(bins, split, metrics.get("ece"))
    return figures


def _reliability_diagram(bins: list[dict], split: str, ece: object) -> Figure:
    """Draw the accuracy over the confidence. Below the diagonal the model is too sure. Large points have many rows.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, figure 1.
    """
    error = f", calibration error {format_score('ece', ece)} %" if is_number(ece) else ""
    figure, axes = make_axes(f"Calibration on {split}{error}", "accuracy (%)", "confidence (%)")
    low = max(0.0, min(min(one["confidence"], one["accuracy"]) for one in bins) - 5)
    axes.plot([low, 100], [low, 100], color=GREY, linestyle=":", linewidth=1.2, label="perfectly calibrated")
    confidence, accuracy = ([one[name] for one in bins] for name in ("confidence", "accuracy"))
    rows = np.array([one["rows"] for one in bins], dtype=np.float64)
    axes.plot(confidence, accuracy, color=COLOURS[0], linewidth=1.2)
    axes.scatter(confidence, accuracy, s=15 + 250 * rows / rows.sum(), color=COLOURS[0], label="rows of similar confidence")
    axes.legend(frameon=False, loc="best")
    return figure


def _confusion_matrices(run: Run) -> dict[str, Figure]:
    figures = {}
    names = (run.results.get("data") or {}).get("label_names")
    for split, metrics in (run.results.get("metrics") or {}).items():
        matrix = np.array(metrics.get("confusion_matrix") or [])
        if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]:
            figures[f"confusion_matrix_{split}"] = _confusion_matrix(matrix, split, names)
    return figures


def _confusion_matrix(matrix: np.ndarray, split: str, names: list[str] | None) -> Figure:
    """Draw one matrix. The colours are shares of the true class (a row), and the numbers are counts."""
    classes = len(matrix)
    if not names or len(names) != classes:
        names = [str(index) for index in range(classes)]
    names = [str(name) for name in names]
    side = min(9, 3 + 0.55 * classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="share of the true class (%)", shrink=0.8)
    axes.set_title(f"Confusion matrix on {split}", **TITLE)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    rotation = 45 if max(map(display_width, names)) > 4 else 0
    if classes <= 30:
        axes.set_xticks(range(classes), names, rotation=rotation, ha="right" if rotation else "center")
        axes.set_yticks(range(classes), names)
    if classes <= 12:
        for row, column in np.ndindex(matrix.shape):
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", color=colour, fontsize=9)
    return figure
