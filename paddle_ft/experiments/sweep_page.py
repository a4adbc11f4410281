"""Show a sweep: the winner on validation and test, a table of all trials, and plots of what the settings change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from paddle_ft.experiments.sweep_plan import Plan
from paddle_ft.experiments.sweep_results import (
    FAILED,
    FINISHED,
    PRUNED,
    UNFINISHED,
    WAITING,
    Trial,
    describe_tie,
    not_told_apart,
    ranked,
)
from paddle_ft.experiments.sweep_space import Choices, describe_settings, short_value
from paddle_ft.metrics.registry import find_metric
from paddle_ft.reporting.coordinates import Scale, parallel_coordinates, share_bars
from paddle_ft.reporting.curves import Curve
from paddle_ft.reporting.document import Document, Section, Table, write_document
from paddle_ft.reporting.formats import DASH, format_interval, format_score, format_seconds
from paddle_ft.reporting.plots import metric_figure, series
from paddle_ft.reporting.records import read_run
from paddle_ft.system.formatting import is_number

LABELLED = 12  # curves with a name of their own; of more trials, the best ones
STATES = (FINISHED, PRUNED, FAILED, UNFINISHED, WAITING)
GRID_IMPORTANCE = (
    "The importance of a setting is the share of the variance between the finished trials that the means of its values explain"
    " (eta squared). What is missing to 100 % comes from combinations of settings and from chance."
)
SEARCH_IMPORTANCE = (
    "The importance of a setting is that of fANOVA (Hutter et al., 2014), from the finished trials. With few of them it is rough."
)


def write_pages(plan: Plan, trials: Sequence[Trial], content: dict[str, Any]) -> str:
    """Write results.json, sweep.md and report.html, and return the tables as text.

    Args:
        plan: the sweep.
        trials: its trials.
        content: what summarize_sweep returned.
    """
    return write_document(plan.folder, "sweep", sweep_document(plan, trials, content), content)


def sweep_document(plan: Plan, trials: Sequence[Trial], content: dict[str, Any]) -> Document:
    """Return the page of a sweep. The arguments are those of write_pages."""
    counts = Counter(trial.state for trial in trials)
    facts = [", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])]
    warnings = [] if content["status"] == "finished" else ["The sweep is not finished; the same command goes on."]
    warnings += [f"Trial {trial.number} has failed: {trial.reason} ({plan.log(trial.number)})" for trial in trials if trial.reason]
    if plan.base.sample:
        warnings.append("A sample: a small model and little data. It shows that the sweep works, and nothing else.")
    sections = [
        _winner(plan, trials, content),
        Section("All trials", [_about_trials(plan)], [_trial_table(plan, trials)]),
        _plots(plan, trials, content["importance"]),
    ]
    return Document(f"{plan.base.recipe}: a sweep of {plan.count} trials", facts, warnings, sections)


def _winner(plan: Plan, trials: Sequence[Trial], content: dict[str, Any]) -> Section:
    section = Section("The winner")
    if plan.winner is None:
        return section
    winner, title = trials[plan.winner - 1], find_metric(plan.metric).title
    section.texts.append(
        f"Trial {winner.number} has the best {title} on validation of {plan.count} trials: {describe_settings(winner.settings)}."
        " A value that is chosen because it is the best of several is too good on average; the more trials, the more so."
    )
    if tie := describe_tie(plan.metric, winner, trials):
        section.texts.append(tie)
    others = not_told_apart(winner, trials)
    if others:
        section.texts.append(
            f"{others} other trial{'s have values' if others > 1 else ' has a value'} inside its 95 % interval: these rows alone"
            " do not tell them apart."
        )
    rows = [[f"trial {winner.number}, chosen", _score(plan.metric, winner.value, winner.interval), "not scored"]]
    if best := content["best"]:
        scores = [best["metrics"].get(split) or {} for split in ("validation", "test")]
        cells = [_score(plan.metric, one.get(plan.metric), one.get(f"{plan.metric}_ci")) for one in scores]
        rows.append([f"trained again, seed {best['seed']}", cells[0], cells[1] if scores[1] else "no test split"])
        section.texts.append(
            f"Its settings were trained again with another seed, by which nothing was chosen, and that run was scored on test once:"
            f" {best['run']}."
        )
    section.tables.append(Table(["run", f"validation {title}", f"test {title}"], rows))
    return section


def _score(key: str, value: object, interval: object) -> str:
    return DASH if not is_number(value) else f"{format_score(key, value)} {format_interval(interval)}".strip()


def _about_trials(plan: Plan) -> str:
    pruned = (
        " A pruned trial was stopped at that step because it was behind; its score is that of a shorter training."
        if plan.prune
        else ""
    )
    return (
        f"The best first, by {find_metric(plan.metric).title} on validation, with its 95 % interval over the rows. No trial was"
        f" scored on test.{pruned}"
    )


def _trial_table(plan: Plan, trials: Sequence[Trial]) -> Table:
    keys = [parameter.key for parameter in plan.space.parameters]
    rows = []
    for trial in ranked(plan.metric, trials):
        state = f"pruned at step {trial.steps:,}" if trial.state == PRUNED else trial.state
        rows.append([
            f"{trial.number}{' (chosen)' if trial.number == plan.winner else ''}",
            *(short_value(trial.settings[key]) if key in trial.settings else DASH for key in keys),
            _score(plan.metric, trial.value, trial.interval),
            *(DASH if step is None else f"{step:,}" for step in (trial.best_step, trial.steps)),
            format_seconds(trial.seconds),
            state,
        ])  # fmt: skip
    return Table(["trial", *keys, find_metric(plan.metric).title, "best step", "steps", "time", "state"], rows)


def _plots(plan: Plan, trials: Sequence[Trial], importance: dict[str, float]) -> Section:
    ended = [trial for trial in ranked(plan.metric, trials) if trial.value is not None]
    section = Section("What the settings change")
    if len(ended) < 2:
        return section
    title = find_metric(plan.metric).title
    section.plots["all trials"] = _coordinates(plan, ended)
    if importance:
        section.texts.append(GRID_IMPORTANCE if plan.space.is_grid else SEARCH_IMPORTANCE)
        section.plots["importance"] = share_bars(f"Importance for {title}", "share of the differences (%)", importance)
    if curves := _curves(plan, ended):
        section.plots[f"{plan.metric} on validation"] = metric_figure(plan.metric, f"{title} on validation, all trials", curves)
    return section


def _coordinates(plan: Plan, trials: Sequence[Trial]) -> Figure:
    scales = []
    for parameter in plan.space.parameters:
        values = [trial.settings[parameter.key] for trial in trials]
        label = parameter.key.rpartition(".")[2].replace("_", " ")
        if isinstance(parameter, Choices):
            scales.append(Scale(label, values, choices=parameter.values))
        else:
            scales.append(Scale(label, list(map(float, values)), log=parameter.kind == "log"))
    metric = find_metric(plan.metric)
    scales.append(Scale(metric.title, [float(trial.value or 0) for trial in trials]))
    best = next((index for index, trial in enumerate(trials) if trial.number == plan.winner), None)
    return parallel_coordinates(
        f"All trials, from their settings to {metric.title}", scales, low_is_better=metric.lower_is_better, best=best
    )


def _curves(plan: Plan, trials: Sequence[Trial]) -> list[Curve]:
    """Return the metric on validation over the steps: of the best trials with their names, and of all others thinly."""
    named: list[tuple[str, np.ndarray, np.ndarray]] = []
    unnamed: list[tuple[np.ndarray, np.ndarray]] = []
    for trial in trials:
        x, y = series(read_run(trial.run).evaluations.get("validation", []), plan.metric)
        if not len(x):
            continue
        if len(named) < LABELLED:
            named.append((f"trial {trial.number}{' (chosen)' if trial.number == plan.winner else ''}", x, y))
        else:
            unnamed.append((x, y))
    return [Curve(label, x, y, members=unnamed if not number else []) for number, (label, x, y) in enumerate(named)]
