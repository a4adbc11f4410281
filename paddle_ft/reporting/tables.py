"""Tables for the terminal: the scores of a run, and guesses of masked words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from paddle_ft.reporting.formats import format_interval, format_score
from paddle_ft.reporting.records import is_number
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.fill_mask import TextGuesses


def summary(run: Path, samples: int = 3) -> str:
    """Return what `train` prints at the end: final scores, a few predictions, the paths of model and report.

    Args:
        run: directory of a finished run.
        samples: number of predictions.
    """
    results = RunDirectory(run).results()
    lines = [""]
    if results.get("sample"):
        lines += ["sample run: generated text, small model from scratch; the figures only show that everything works", ""]
    for split, metrics in results.get("metrics", {}).items():
        lines += split_table(split, metrics, results)
        last = run / f"predictions-{split}.jsonl"
    if results.get("metrics"):
        with open(last, encoding="utf-8") as file:
            rows = [json.loads(line) for _, line in zip(range(samples), file, strict=False)]
        lines += ["predictions:"]
        for row in rows:
            lines += [""] + [f"  {name:<10} {value}" for name, value in row.items()]
    lines += ["", f"model    {run / 'best'}", f"report   {run / 'report.html'}"]
    return "\n".join(lines)


def split_table(split: str, metrics: dict, results: dict) -> list[str]:
    """Return the lines of one split's table, a row a metric.

    Args:
        metrics: the trained model's, with intervals under "<key>_ci".
        results: as results.json; "before_training", "baseline" and "other_baselines" give further columns.
    """
    names = [name for name, value in metrics.items() if is_number(value)]
    before = results.get("before_training", {}).get(split, {})
    baseline = results.get("baseline", {})
    columns = {"trained": metrics, "before": before, baseline.get("name", "baseline"): baseline.get(split, {})}
    columns |= {name: scores.get(split, {}) for name, scores in results.get("other_baselines", {}).items()}
    columns = {title: values for title, values in columns.items() if values}
    parts = [_column([split, *(f"  {name}" for name in names)], str.ljust)]
    for title, values in columns.items():
        parts.append(_column([title, *(_cell(name, values.get(name)) for name in names)], str.rjust))
        if title == "trained":
            parts[-1] = _beside(parts[-1], ["", *(format_interval(metrics.get(f"{name}_ci")) for name in names)])
    return [*("  ".join(line).rstrip() for line in zip(*parts, strict=True)), ""]


def _column(texts: list[str], align: Callable[[str, int], str]) -> list[str]:
    """Pad all texts to the widest."""
    width = max(map(len, texts))
    return [align(text, width) for text in texts]


def _beside(texts: list[str], notes: list[str]) -> list[str]:
    """Append its note to each text. Without any note the texts stay as they are."""
    return [f"{text} {note}" for text, note in zip(texts, _column(notes, str.ljust), strict=True)] if any(notes) else texts


def _cell(name: str, value) -> str:
    return format_score(name, value) if is_number(value) else "-"


def guess_table(guesses: TextGuesses, mask_token: str) -> str:
    """Return the guesses for a text's masks, a row a guess, before and after training side by side."""
    titles = {"before": "before training", "after": "after training"}
    lines = [guesses.text]
    if "before" not in guesses.by_model:
        lines.append("(trained from scratch: there is no model to compare with)")
    for number in range(len(guesses.by_model["after"])):
        lines.append("")
        lines.append(f"{mask_token} {number + 1:<5}" + "".join(f"{titles[model]:<30}" for model in guesses.by_model).rstrip())
        for row in zip(*(masks[number] for masks in guesses.by_model.values()), strict=True):
            cells = "".join(f"{token:<20} {100 * p:5.1f} %  " for token, p in row)
            lines.append(" " * (len(mask_token) + 6) + cells.rstrip())
    return "\n".join(lines)
