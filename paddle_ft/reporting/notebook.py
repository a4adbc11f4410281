"""Show a run and an evaluation in a notebook, with the tables, plots and predictions of the report page."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from paddle_ft.reporting.page import best_checkpoint, prediction_card, ranking_key, render, score_table, score_tables
from paddle_ft.reporting.pictures import Picture, to_picture
from paddle_ft.reporting.plots import draw_figures
from paddle_ft.reporting.records import Run, read_run

NUM_PREDICTIONS = 3
PLOTS = ("loss", "scores")  # the others are in the report
DPI = 72  # of the plots: about 20 kB each, because a notebook keeps them in its file


def run_html(path: Path) -> str:
    """Return HTML with the scores, the main curves and a few predictions of a run.

    Args:
        path: the run's directory. The run may be unfinished.

    Raises:
        UserError: the directory has no run.
    """
    run = read_run(path)
    split = next((name for name in ("test", "validation") if run.predictions.get(name)), None)
    best = best_checkpoint(run)
    return render(
        "notebook.html",
        title=run.title,
        facts=[run.task, str(run.path), *(["sample run: the scores only show that everything works"] if run.sample else [])],
        notes=[*([f"Best checkpoint: {best}."] if best else []), *(f"Decision: {text}" for text in run.decisions), *run.problems],
        tables=score_tables(run),
        plots=_main_plots(run),
        predictions=_cards(run.predictions[split]) if split else [],
    )


def evaluation_html(split: str, metrics: dict[str, Any], baseline: dict[str, Any], predictions: list[dict[str, Any]]) -> str:
    """Return HTML with the scores of an evaluation, those of its baseline, and a few predictions.

    Args:
        split: the split that was evaluated.
        metrics: its scores, with intervals under "<key>_ci".
        baseline: {"name": ..., split: metrics}, or {}.
        predictions: the rows of predictions.
    """
    columns = {"model": metrics, f"{baseline['name']} baseline": baseline[split]} if baseline else {"model": metrics}
    return render(
        "notebook.html",
        title=f"Evaluation on {split}",
        facts=[],
        notes=[],
        tables=[score_table(split, columns)],
        plots=[],
        predictions=_cards(predictions),
    )


def _main_plots(run: Run) -> list[tuple[str, Picture]]:
    """Return (name, picture) of the main plots."""
    images = []
    for name, figure in draw_figures(run).items():
        if name in PLOTS:
            images.append((name.replace("_", " "), to_picture(figure, DPI)))
    return images


def _cards(predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first predictions for the template."""
    return [prediction_card(row, ranking_key(row)) for row in islice(predictions, NUM_PREDICTIONS)]
