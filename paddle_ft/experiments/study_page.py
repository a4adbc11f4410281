"""Show a study on one page: the question, a figure for each metric, the tables, and how to do it again."""

from __future__ import annotations

import textwrap
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote

import numpy as np
from matplotlib.figure import Figure

from paddle_ft.config.yaml_text import dump_yaml_line
from paddle_ft.experiments.repeat_page import lowest_p, mean_and_deviation
from paddle_ft.experiments.study_plan import StudyPlan
from paddle_ft.experiments.study_results import LIMIT
from paddle_ft.metrics.registry import find_metric
from paddle_ft.reporting.curves import Curve, draw_curves
from paddle_ft.reporting.document import Document, Section, Table, write_document
from paddle_ft.reporting.formats import DASH, format_p, format_score, format_seconds
from paddle_ft.reporting.layout import Link
from paddle_ft.system.formatting import counted

FAR = 4  # a reference that makes the axis of a figure more than this many times as long is not drawn
TITLE_WIDTH = 60  # characters of a line of a figure's title
WIDE = 10  # values of x a factor of this apart are on a logarithmic axis


def write_pages(plan: StudyPlan, content: dict[str, Any]) -> str:
    """Write results.json, study.md and report.html into the folder of a study, and return the tables as text.

    Args:
        plan: the study.
        content: what summarize_study returned.
    """
    return write_document(plan.folder, "study", study_document(plan, content), content)


def study_document(plan: StudyPlan, content: dict[str, Any]) -> Document:
    """Return the page of a study. The arguments are those of write_pages."""
    study = plan.file.study
    finished = sum(run["status"] == "finished" for run in content["runs"])
    seeds = counted(len(plan.seeds), "seeds")
    facts = [plan.file.name, f"{finished} of {counted(len(plan.runs), 'runs')}", seeds, *(["sample"] if plan.file.sample else [])]
    warnings = list(content["warnings"])
    if content["status"] != "finished":
        warnings.insert(0, "Not all runs are finished; the same command goes on.")
    if plan.file.sample:
        warnings.append("A sample: small models and little data. It shows that the study works, and answers nothing.")
    sections = [
        Section("Question", [study.question, *study.notes], plots=_figures(content)),
        *(_metric_section(content, metric, explain=not number) for number, metric in enumerate(study.metrics)),
        Section("How the runs differ", _conditions(plan), [_settings_table(plan)]),
        Section("How to do it again", _again(content)),
        Section("Every run", tables=_run_tables(plan, content)),
    ]
    return Document(study.title, facts, warnings, sections)


def _figures(content: dict[str, Any]) -> dict[str, Figure]:
    """Return a figure for each metric that the finished runs have."""
    figures = {f"{find_metric(key).title} on {content['split']}": metric_figure(content, key) for key in content["metrics"]}
    return {title: figure for title, figure in figures.items() if figure}


def _metric_section(content: dict[str, Any], key: str, explain: bool) -> Section:
    """Return the tables of a metric. `explain`: say what p is."""
    metric, split = find_metric(key), content["split"]
    title = f"{metric.title} on {split}"
    direction = "" if metric.direction == "none" else f", {metric.direction} is better"
    section = Section(title[:1].upper() + title[1:])
    means = _means_table(content, key)
    if not _cells(content, key):
        section.texts.append("No finished run has this metric.")
        return section
    seeds = len(content["seeds"])
    over = f"Mean ± sample standard deviation over {seeds} seeds" if seeds > 1 else "One seed"
    section.texts.append(f"{over}{direction}.")
    if (references := _references(content, key)) and len(content["series"]) > 1:
        section.texts.append(f"Under {' and '.join(references)} is the mean of all series.")
    section.tables.append(means)
    if table := _difference_table(content, key):
        section.texts += [_about_p(content)] if explain else []
        section.tables.append(table)
    return section


def _cells(content: dict[str, Any], key: str) -> dict[tuple[str, int], dict[str, Any]]:
    """Return (series, x) -> the statistics of a metric, where there are any."""
    cells = {(one["series"], one["x"]): (one["metrics"].get(content["split"]) or {}).get(key) for one in content["points"]}
    return {place: cell for place, cell in cells.items() if cell}


def _texts(content: dict[str, Any]) -> list[str]:
    return content["x"]["texts"] if content["x"] else ["all runs"]


def _axis_label(content: dict[str, Any]) -> str:
    return content["x"]["label"] if content["x"] else ""


def _means_table(content: dict[str, Any], key: str) -> Table:
    """Return the means of the series, and of what they are compared with."""
    cells, references = _cells(content, key), _references(content, key)
    rows = []
    for x, text in enumerate(_texts(content)):
        row = [text]
        for series in content["series"]:
            cell = cells.get((series, x))
            few = f" (n = {len(cell['values'])})" if cell and len(cell["values"]) < len(content["seeds"]) else ""
            row.append(DASH if cell is None else mean_and_deviation(key, cell) + few)
        rows.append([*row, *(format_score(key, values.get(x)) for values in references.values())])
    return Table([_axis_label(content), *content["series"], *references], rows)


def _difference_table(content: dict[str, Any], key: str) -> Table | None:
    """Return the differences from the first series, or None if there is no other, or no pair."""
    rows = []
    several = len(content["series"]) > 2
    for one in content["differences"]:
        figures = (one["metrics"].get(content["split"]) or {}).get(key)
        if figures is None:
            continue
        signed = f"{'+' if figures['mean'] > 0 else ''}{format_score(key, float(figures['mean']))}"
        deviation = DASH if figures["deviation"] is None else format_score(key, figures["deviation"])
        texts = [_texts(content)[one["x"]], *([one["series"]] if several else [])]
        rows.append([*texts, signed, deviation, f"{figures['better']} of {figures['pairs']}", format_p(figures["p"])])
    if not rows:
        return None
    first = content["series"][0]
    columns = [_axis_label(content), *(["series"] if several else []), "difference", "deviation", "better", "p"]
    title = f"Differences from {first}" if several else f"{content['series'][1]} minus {first}"
    return Table(columns, rows, title=title)


def _about_p(content: dict[str, Any]) -> str:
    pairs = max((one["pairs"] for one in content["differences"]), default=0)
    return (
        "The differences are taken seed by seed. p is that of a paired permutation test over the seeds"
        f"{lowest_p(pairs)}. Each p stands for itself: of 20 tests without a real difference, one is below 0.05 by chance."
    )


def metric_figure(content: dict[str, Any], key: str) -> Figure | None:
    """Draw a metric over x: the mean of each series with a band of one deviation, and what it is compared with.

    Args:
        content: what summarize_study returned.
        key: the metric.

    Returns:
        The figure, or None if there are not two points of any series.
    """
    cells, axis = _cells(content, key), content["x"]
    if not axis:
        return None
    curves = []
    for series in content["series"]:
        places = [(axis["places"][x], cells[series, x]) for x in range(len(axis["texts"])) if (series, x) in cells]
        places.sort(key=lambda item: item[0])
        mean = np.array([cell["mean"] for _, cell in places])
        spread = np.array([cell["deviation"] or 0.0 for _, cell in places])
        if len(places):
            curves.append(Curve(series, [place for place, _ in places], mean, mean - spread, mean + spread))
    if not any(len(curve.x) > 1 for curve in curves):
        return None
    metric = find_metric(key)
    low, high = min(axis["places"]), max(axis["places"])
    values = np.concatenate([np.asarray(curve.y, dtype=np.float64) for curve in curves])
    references = [curve for curve in _reference_curves(content, key) if _is_near(curve, curves)]
    return draw_curves(
        textwrap.fill(f"{metric.title} on {content['split']}, ± one deviation over the seeds", TITLE_WIDTH),
        axis["label"],
        metric.title_with_unit,
        curves,
        log_x=low > 0 and high > WIDE * low,
        log_y=metric.plot == "own" and bool(values.max() > 10 * values.min() > 0),
        references=references,
        ticks=dict(zip(axis["places"], axis["texts"], strict=True)),
    )


def _references(content: dict[str, Any], key: str) -> dict[str, dict[int, float]]:
    """Return the baseline and the models before the training: name -> index of x -> mean of all series that have it."""
    found: dict[str, dict[int, list[float]]] = {"baseline": {}, "before training": {}}
    for one in content["points"]:
        statistics = (one["metrics"].get(content["split"]) or {}).get(key) or {}
        before = (one["before_training"].get(content["split"]) or {}).get(key)
        for name, value in (("baseline", statistics.get("baseline")), ("before training", before)):
            if value is not None:
                found[name].setdefault(one["x"], []).append(value)
    return {name: {x: fmean(all_series) for x, all_series in values.items()} for name, values in found.items() if values}


def _reference_curves(content: dict[str, Any], key: str) -> list[Curve]:
    places = content["x"]["places"]
    curves = []
    for name, values in _references(content, key).items():
        indices = sorted(values, key=lambda x: places[x])
        curves.append(Curve(name, [places[x] for x in indices], [values[x] for x in indices]))
    return curves


def _is_near(reference: Curve, curves: list[Curve]) -> bool:
    """Return whether a reference can be drawn without making the axis too long for the curves. Its values are in the table too."""
    ends = [end for curve in curves for end in (*(curve.low if curve.low is not None else curve.y), *curve.y)]
    ends += [end for curve in curves if curve.high is not None for end in curve.high]
    low, high = min(*ends, *reference.y), max(*ends, *reference.y)
    return high - low <= FAR * (max(ends) - min(ends))


def _conditions(plan: StudyPlan) -> list[str]:
    """Return sentences on what the seeds change, and what they do not."""
    study = plan.file.study
    texts = []
    axis = study.stages[plan.file.measured].x
    if axis and axis.setting == LIMIT:
        texts.append(
            "A training set of N rows is the first N rows of the data: the same rows with every seed, and part of every larger set."
            " So the deviation has what weights, order and dropout change, and not what another choice of rows would."
        )
    for name, stage in list(study.stages.items())[:-1]:
        if stage.every_seed:
            texts.append(f"{name} was trained with every seed, and each run goes on from the one with its seed.")
        elif len(plan.seeds) > 1:
            texts.append(
                f"{name} was trained once, with seed {plan.seeds[0]}: the deviation has nothing of what another training of it"
                " would change."
            )
    return texts


def _settings_table(plan: StudyPlan) -> Table:
    """Return the settings beside those of the recipes."""
    rows = []
    for name, stage in plan.file.study.stages.items():
        rows.append([name, "", "recipe", stage.recipe])
        last = {one.key: one.value for one in plan.settings[name]}
        rows += [[name, "", key, dump_yaml_line(value)] for key, value in last.items()]
        for series in stage.series:
            changed = plan.file.settings("stages", name, "series", series)
            rows += [[name, series, one.key, dump_yaml_line(one.value)] for one in changed]
        if stage.x:
            rows.append([name, "x", stage.x.setting, ", ".join(plan.labels)])
            rows += [[name, "x", key, ", ".join(map(dump_yaml_line, values))] for key, values in stage.x.together.items()]
    return Table(["stage", "series", "setting", "value"], rows, numbers=False)


def _again(content: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    written = datetime.now().astimezone().strftime("%Y-%m-%d")
    seeds = content["seeds"]
    return [
        content["command"],
        f"Seeds {seeds[0]}" + (f" to {seeds[-1]}" if len(seeds) > 1 else "") + f"; written {written}.",
        *([f"Device: {', '.join(content['devices'])}. Versions: {versions}."] if versions else []),
    ]


def _run_tables(plan: StudyPlan, content: dict[str, Any]) -> list[Table]:
    """Return all runs with their scores, times and reports: those of each stage in a table.

    A stage that prepares has metrics of its own, which are not those that the study is about.
    """
    tables = []
    for stage in plan.file.study.stages:
        runs = [run for run in content["runs"] if run["stage"] == stage]
        keys, split = content["metrics"], content["split"]
        if stage != plan.file.measured:
            keys = list(dict.fromkeys(run["best"]["metric"] for run in runs if run.get("best")))
            split = "validation"
        columns = ["run", *(f"{split} {find_metric(key).title}" for key in keys), "time", "report"]
        tables.append(Table(columns, [_run_row(plan, run, keys, split) for run in runs], title=stage))
    return tables


def _run_row(plan: StudyPlan, run: dict[str, Any], keys: list[str], split: str) -> list[str]:
    """Return the row of a run. The link to its report is relative to the study's folder."""
    name = ", ".join(str(part) for part in (run["series"], run["x"], f"seed {run['seed']}") if part)
    if run["status"] != "finished":
        return [name, *[DASH] * (len(keys) + 1), run["status"]]
    scores = run["metrics"].get(split) or {}
    path = Path(run["run"]).relative_to(plan.folder).as_posix()
    cells = [format_score(key, scores.get(key)) for key in keys]
    return [name, *cells, format_seconds(run["seconds"]), Link("report", quote(f"{path}/report.html"))]
