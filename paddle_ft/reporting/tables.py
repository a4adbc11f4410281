"""Format tables for the terminal: the scores of a run, and the guesses for masked words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from paddle_ft.reporting.formats import format_interval, format_score, of_rows, sample_texts
from paddle_ft.reporting.records import NO_SPLITS, read_run
from paddle_ft.runs.fill_mask import TextGuesses
from paddle_ft.system.formatting import is_number


def summary(run: Path, samples: int = 3) -> str:
    """Return the summary that `train` prints at the end: scores, a few predictions, and the paths of model and report.

    Args:
        run: directory of a finished run.
        samples: number of predictions to show.
    """
    record = read_run(run)
    results = record.results
    lines = [""]
    if record.sample:
        lines += [_describe_sample(record.config), ""]
    for split, metrics in results.get("metrics", {}).items():
        lines += split_table(split, metrics, results)
    if results.get("metrics"):
        lines += ["predictions:"]
        for row in record.predictions.get(split, [])[:samples]:
            lines += [""] + [f"  {name:<10} {value if str(value).strip() else '(empty)'}" for name, value in row.items()]
    else:
        lines += [f"{NO_SPLITS} To measure it: python -m paddle_ft evaluate {run} data.test=FILE"]
    lines += ["", f"model    {run / 'best'}", f"report   {run / 'report.html'}"]
    return "\n".join(lines)


def _describe_sample(config: dict) -> str:
    """Return the line about a sample run: what it was trained on, and that its scores say little."""
    pretrained = (config.get("model") or {}).get("pretrained")
    model = f"the sample's settings for {pretrained}" if pretrained else "a small model from scratch"
    return f"sample run: {sample_texts(config)} and {model}; the scores only show that everything works"


def split_table(split: str, metrics: dict, results: dict) -> list[str]:
    """Return the lines of the table for a split, with one row per metric.

    Args:
        split: name of the split.
        metrics: scores of the trained model, with intervals under "<key>_ci".
        results: the content of results.json. "before_training", "baseline" and "other_baselines" become further columns.
    """
    names = [name for name, value in metrics.items() if is_number(value)]
    before_training = results.get("before_training", {}).get(split, {})
    baseline = results.get("baseline", {})
    before = f"before{of_rows(before_training)}"
    scores = {"trained": metrics, before: before_training, baseline.get("name", "baseline"): baseline.get(split, {})}
    scores |= {name: by_split.get(split, {}) for name, by_split in results.get("other_baselines", {}).items()}
    columns = [_align([split, *(f"  {name}" for name in names)], str.ljust)]
    for title, values in scores.items():
        if not values:
            continue
        columns.append(_align([title, *(_cell(name, values.get(name)) for name in names)], str.rjust))
        if title == "trained":
            intervals = ["", *(format_interval(metrics.get(f"{name}_ci")) for name in names)]
            columns[-1] = _append_notes(columns[-1], intervals)
    return [*("  ".join(line).rstrip() for line in zip(*columns, strict=True)), ""]


def _align(texts: list[str], align: Callable[[str, int], str]) -> list[str]:
    """Pad all texts to the width of the longest one, with str.ljust or str.rjust."""
    width = max(map(len, texts))
    return [align(text, width) for text in texts]


def _append_notes(texts: list[str], notes: list[str]) -> list[str]:
    """Append a note to each text, all padded to the same width. If all notes are empty, the texts stay unchanged."""
    return [f"{text} {note}" for text, note in zip(texts, _align(notes, str.ljust), strict=True)] if any(notes) else texts


def _cell(name: str, value) -> str:
    return format_score(name, value) if is_number(value) else "-"


def guess_table(guesses: TextGuesses, mask_token: str) -> str:
    """Return a table of the guesses for each mask of a text, with columns for the model before and after training."""
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
