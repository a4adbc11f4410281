"""Show runs over several seeds: validation and test by model, every seed's curve with the band, and all statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from paddle_ft.experiments.repeat_results import Group
from paddle_ft.metrics.paired import EXACT_ROWS
from paddle_ft.metrics.registry import find_metric
from paddle_ft.reporting.curves import mean_curve
from paddle_ft.reporting.document import Document, Section, Table, write_document
from paddle_ft.reporting.formats import DASH, format_p, format_score, format_seconds
from paddle_ft.reporting.plots import metric_figure, series
from paddle_ft.reporting.records import read_run
from paddle_ft.system.formatting import counted

STATISTICS = ("mean", "deviation", "lowest", "highest", "baseline")


def write_pages(folder: Path, content: dict[str, Any], groups: list[Group]) -> str:
    """Write results.json, repeat.md and report.html, and return the tables as text.

    Args:
        folder: where they go.
        content: what summarize_groups returned.
        groups: the runs.
    """
    return write_document(folder, "repeat", repeat_document(content, groups), content)


def repeat_document(content: dict[str, Any], groups: list[Group]) -> Document:
    """Return the page of a repetition. The arguments are those of write_pages."""
    counts = [f"{group.title}: {len(group.results)} of {counted(group.planned, 'runs')}" for group in groups]
    warnings = ["Not all runs are finished; the same command goes on."] if content["status"] != "finished" else []
    if any(results.get("sample") for group in groups for results in group.results.values()):
        warnings.append("A sample: a small model and little data. It shows that everything works, and nothing else.")
    sections = [
        Section(
            "Validation and test by model", ["Mean and sample standard deviation over the seeds."], [_main_table(groups, content)]
        )
    ]
    sections += [
        Section(f"{title}, over {counted(len(content['by_seed'][title]), 'runs')}", tables=_statistics_tables(summary))
        for title, summary in content["runs"].items()
    ]
    sections += [_difference(title, groups[0].title, summary) for title, summary in content["differences"].items() if summary]
    sections += [Section("Curves", plots=_curves(groups)), Section("Every seed", tables=[_seed_table(content, groups)])]
    return Document(f"{content['recipe']} over {counted(groups[0].planned, 'seeds')}", counts, warnings, sections)


def _main_table(groups: list[Group], content: dict[str, Any]) -> Table:
    """Return the layout of the tutorials: a row for each model, with the main metric on validation and on test."""
    key, title, splits = _main_metric(groups, content)
    rows = []
    for name, summary in content["runs"].items():
        cells = [(summary.get(split) or {}).get(key) for split in splits]
        rows.append([name, *(DASH if cell is None else mean_and_deviation(str(key), cell) for cell in cells)])
    return Table(["model", *(f"{split} {title}" for split in splits)], rows)


def _main_metric(groups: list[Group], content: dict[str, Any]) -> tuple[str | None, str, list[str]]:
    """Return the metric that the models are compared by, its title, and the splits that any of them was scored on."""
    key = next((metric for group in groups if (metric := group.metric())), None)
    splits = list(dict.fromkeys(split for summary in content["runs"].values() for split in summary))
    return key, find_metric(key).title if key else "", splits


def mean_and_deviation(key: str, figures: dict[str, Any]) -> str:
    """Return the statistics of a metric (repeat_results.summarize) as text: "64.30 ± 1.20"."""
    mean = format_score(key, float(figures["mean"]))
    return mean if figures["deviation"] is None else f"{mean} ± {format_score(key, figures['deviation'])}"


def _statistics_tables(summary: dict) -> list[Table]:
    tables = []
    for split, metrics in summary.items():
        rows = [[find_metric(key).title, *(_cell(key, figures[name]) for name in STATISTICS)] for key, figures in metrics.items()]
        tables.append(Table([split, *STATISTICS], rows))
    return tables


def _difference(title: str, first: str, summary: dict) -> Section:
    tables, pairs = [], 0
    for split, metrics in summary.items():
        rows = []
        for key, figures in metrics.items():
            pairs = figures["pairs"]
            cells = [_cell(key, figures[name]) for name in ("mean", "deviation", "error")]
            rows.append([find_metric(key).title, *cells, f"{figures['better']} of {pairs}", format_p(figures["p"])])
        tables.append(Table([split, "mean", "deviation", "error", "better", "p"], rows))
    about = (
        f"{title} minus {first}, over {pairs} pair{'s' if pairs != 1 else ''} of runs with the same seed. p is that of a paired"
        f" permutation test over the seeds{lowest_p(pairs)}."
    )
    return Section(f"Difference: {title}", [about], tables)


def lowest_p(pairs: int) -> str:
    """Return what the p of a permutation test over some pairs of runs can be at least, as the end of a sentence."""
    return f"; with {pairs} it cannot be below {2 / 2**pairs:.2g}" if 0 < pairs <= EXACT_ROWS else ""


def _cell(key: str, value: float | None) -> str:
    return DASH if value is None else format_score(key, float(value))


def _seed_table(content: dict[str, Any], groups: list[Group]) -> Table:
    key, name, splits = _main_metric(groups, content)
    rows = []
    for title, by_seed in content["by_seed"].items():
        for seed, figures in by_seed.items():
            scores = [_cell(str(key), (figures["metrics"].get(split) or {}).get(key)) for split in splits]
            step = (figures["best"] or {}).get("step")
            rows.append(
                [f"{title}, seed {seed}", *scores, DASH if step is None else f"{step:,}", format_seconds(figures["seconds"])]
            )
    return Table(["run", *(f"{split} {name}" for split in splits), "best step", "time"], rows)


def _curves(groups: list[Group]) -> dict[str, Figure]:
    """Return the plots of the loss and of the main metric on validation: the mean of each group, its band and its seeds."""
    runs = {group.title: [read_run(group.paths[seed]) for seed in group.results] for group in groups}
    figures = {}
    for key in dict.fromkeys(["loss", *filter(None, (group.metric() for group in groups))]):
        curves = []
        for title, members in runs.items():
            lines = [series(run.evaluations.get("validation", []), key) for run in members]
            lines = [(x, y) for x, y in lines if len(x)]
            if lines:
                curves.append(mean_curve(title, lines))
        if curves:
            title = f"{find_metric(key).title} on validation, ± one deviation over the seeds"
            figures[f"{key} on validation"] = metric_figure(key, title, curves)
    return figures
