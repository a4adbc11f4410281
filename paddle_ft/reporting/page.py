"""Write the report of a run: a single, self-contained HTML file.

It shows the scores next to their baselines, curves, predictions and the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from paddle_ft.metrics.registry import find_metric, known_metrics
from paddle_ft.reporting.details import frequency_tables, mistake_table
from paddle_ft.reporting.formats import DASH, format_fact, format_interval, format_number, format_score, of_rows, sample_texts
from paddle_ft.reporting.pictures import Picture
from paddle_ft.reporting.plots import plot_run
from paddle_ft.reporting.records import Run, read_run, score_keys
from paddle_ft.system.files import write_atomically
from paddle_ft.system.formatting import is_number

NUM_EXAMPLES = 10  # number of best and of worst predictions that are shown for each split
NUM_FIRST_EXAMPLES = 3  # number of predictions that are shown at the top, in the order of the data
MAX_TEXT_LENGTH = 600  # characters of a source, target or prediction; longer texts are cut


def write_report(run_dir: str | Path) -> Path:
    """Draw the plots and write the report. For an unfinished run the report says what is missing.

    Args:
        run_dir: the run's directory. The report is its file report.html.

    Returns:
        The path of the report.

    Raises:
        UserError: the directory has no run.
    """
    run = read_run(run_dir)
    plots = plot_run(run)
    tables = score_tables(run)
    images = {path.stem: (path.stem.replace("_", " "), picture) for path, picture in plots.items()}
    html = render(
        "page.html",
        title=run.title,
        task=run.task,
        sample=run.sample,
        finished=run.finished,
        written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        directory=str(run.path),
        problems=[*run.problems, *_missing(run, plots)],
        headline=_headline(run, tables),
        curves=[image for name, image in images.items() if name != "learning_rate"],
        schedule=[image for name, image in images.items() if name == "learning_rate"],
        examples=_first_examples(run),
        tables=tables,
        best=best_checkpoint(run),
        training=[format_fact(*item) for item in (run.results.get("train") or {}).items()],
        data=data_table(run),
        decisions=run.decisions,
        mistakes=[table for split, rows in run.predictions.items() if (table := mistake_table(split, rows))],
        frequencies=frequency_tables(run),
        predictions=[_examples(split, rows) for split, rows in run.predictions.items() if rows],
        config=run.config_text,
        sample_texts=sample_texts(run.config),
        versions=list((run.results.get("versions") or {}).items()),
    )
    target = run.path / "report.html"
    write_atomically(target, html)
    return target


def render(template: str, **values: object) -> str:
    """Return the HTML of a template of this folder. Its values are escaped."""
    html = _environment().get_template(template).render(**values)
    return html.encode("utf-8", "replace").decode("utf-8")  # broken texts may have lone surrogates


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _missing(run: Run, plots: Mapping[Path, Picture]) -> list[str]:
    missing = []
    if not any(run.predictions.values()) and not (run.finished and not run.results.get("metrics")):
        missing.append("There are no predictions (predictions-<split>.jsonl): they are written at the end of the training.")
    if not plots:
        missing.append("There are no curves: nothing has been logged yet.")
    return missing


def best_checkpoint(run: Run) -> str:
    """Return the score and step of the best checkpoint, or "" if there is none yet."""
    best = run.results.get("best") or {}
    if not is_number(best.get("value")):
        return ""
    name = str(best.get("metric"))
    return f"{find_metric(name).title} {format_score(name, best['value'])} at step {format_number(best.get('step'))}"


def _headline(run: Run, tables: list[dict]) -> dict | None:
    """Return the row that stands at the top of the page, or None before the run has finished.

    It is the score that chose the best checkpoint, or else the first one. Its split is the last, which is test if there is one.
    """
    if not run.results.get("metrics") or not tables or not tables[-1]["rows"]:
        return None
    table = tables[-1]
    best = (run.results.get("best") or {}).get("metric")
    row = next((row for row in table["rows"] if row["key"] == best), table["rows"][0])
    cells = [(column, *cell) for column, cell in zip(table["columns"], row["cells"], strict=True)]
    return {"split": table["split"], "score": row["label"], "cells": cells}


def score_tables(run: Run) -> list[dict]:
    """Return one table per split. A table has a row per metric and columns for model, model before training and baselines."""
    final = run.results.get("metrics") or {}
    before_training, baseline = run.results.get("before_training") or {}, run.results.get("baseline") or {}
    other_baselines = run.results.get("other_baselines") or {}
    tables = []
    for split in final or run.evaluations:
        events = run.evaluations.get(split, [])
        first_events = [event for event in events if event["step"] == 0]
        before = before_training.get(split) or (first_events[0] if first_events else {})
        columns = {
            **({"model": final[split]} if final else _latest_column(events)),
            f"before training{of_rows(before)}": before,
            f"{baseline.get('name', '')} baseline".strip(): baseline.get(split) or {},
        }
        columns |= {f"{name} baseline": scores.get(split) or {} for name, scores in other_baselines.items()}
        tables.append(score_table(split, columns))
    return tables


def _latest_column(events: list[dict]) -> dict[str, dict]:
    """Return the model's column for an unfinished run, which is its latest evaluation."""
    latest = events[-1]
    if latest["step"] == 0:
        return {"model": {}}
    return {f"model at step {format_number(latest['step'])}": latest}


def score_table(split: str, columns: dict[str, dict]) -> dict:
    """Return the table of a split for the template. `columns` is the title of each column -> its metrics."""
    keys = score_keys({name: value for metrics in reversed(columns.values()) for name, value in metrics.items()})
    rows = []
    for key in keys:
        cells = [(format_score(key, metrics.get(key)), format_interval(metrics.get(f"{key}_ci"))) for metrics in columns.values()]
        metric = find_metric(key)
        rows.append({"key": key, "label": metric.title, "lower": metric.lower_is_better, "cells": cells})
    notes = {name: value for metrics in columns.values() for name, value in metrics.items() if _is_note(name, value)}
    return {"split": split, "columns": list(columns), "rows": rows, "notes": [format_fact(*note) for note in notes.items()]}


def _is_note(name: str, value: object) -> bool:
    """Return whether an entry describes how a score was computed, such as the name of a tokenizer."""
    return isinstance(value, str) and name not in ("event", "split")


def data_table(run: Run) -> dict:
    """Return "data" of results.json as a table with one column per split, and a list of the facts that belong to no split."""
    data = run.results.get("data") or {}
    splits = {name: facts for name, facts in data.items() if isinstance(facts, dict)}
    names = list(dict.fromkeys(name for facts in splits.values() for name in facts))
    rows = []
    for name in names:
        cells = [format_fact(name, facts[name])[1] if name in facts else DASH for facts in splits.values()]
        rows.append((format_fact(name, None)[0], cells))
    without_split = [format_fact(name, value) for name, value in data.items() if name not in splits]
    return {"splits": list(splits), "rows": rows, "without_split": without_split}


def ranking_key(row: dict) -> str | None:
    """Return the key by which predictions are ranked: the first known metric, else the first number, else None."""
    numbers = [key for key, value in row.items() if is_number(value)]
    metrics = known_metrics()
    return next((key for key in numbers if key in metrics and metrics[key].in_report), next(iter(numbers), None))


def _first_examples(run: Run) -> dict | None:
    """Return the first predictions on the test split, or on another if there is none.

    Without a choice by score they show what the model usually writes. If there are so few predictions that the page shows them
    all further down, return None.
    """
    split = "test" if run.predictions.get("test") else next(iter(run.predictions), None)
    rows = run.predictions[split] if split else []
    if len(rows) <= 2 * NUM_EXAMPLES:
        return None
    cards = [prediction_card(row, ranking_key(row)) for row in rows[:NUM_FIRST_EXAMPLES]]
    return {"split": split, "count": f"{len(rows):,}", "cards": cards}


def _examples(split: str, rows: list[dict]) -> dict:
    """Return the best and the worst predictions by their score, or all of them, best first, if there are few."""
    key = ranking_key(rows[0])
    if key is None:
        groups = [(f"The first {min(len(rows), NUM_EXAMPLES)} of {len(rows):,}", rows[:NUM_EXAMPLES])]
    else:
        sign = 1 if find_metric(key).lower_is_better else -1
        ranked = sorted((row for row in rows if is_number(row.get(key))), key=lambda row: sign * row[key])
        if len(ranked) <= 2 * NUM_EXAMPLES:
            groups = [(f"All {len(ranked)}, best first", ranked)]
        else:
            groups = [(f"Best {NUM_EXAMPLES} of {len(ranked):,}", ranked[:NUM_EXAMPLES])]
            groups += [(f"Worst {NUM_EXAMPLES}, worst first", ranked[: -NUM_EXAMPLES - 1 : -1])]
    return {
        "split": split,
        "groups": [(title, [prediction_card(row, key) for row in group]) for title, group in groups],
    }


def prediction_card(row: dict, key: str | None) -> dict:
    """Return a prediction for the template: its score as the headline, and its other fields."""
    fields = [(name.replace("_", " "), shorten(value)) for name, value in row.items() if name != key]
    headline = f"{find_metric(key).title} {format_score(key, row[key])}" if key else ""
    return {"headline": headline, "fields": fields}


def shorten(value: object) -> str:
    """Return a value of a prediction as text, cut if it is very long."""
    text = format_number(value, 3) if is_number(value) else str(value)
    if len(text) <= MAX_TEXT_LENGTH:
        return text
    return f"{text[:MAX_TEXT_LENGTH]}… ({len(text):,} characters)"
