"""Show a comparison of runs: tables of scores and differences, curves over each other, and the rows that they disagree on."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure

from paddle_ft.experiments.compare import CONTENT, Comparison, Side, verdict
from paddle_ft.metrics.registry import find_metric
from paddle_ft.reporting.curves import STEP_LABEL, Curve, draw_curves, smooth
from paddle_ft.reporting.document import Document, Section, Table
from paddle_ft.reporting.formats import DASH, format_p, format_score
from paddle_ft.reporting.page import ranking_key, shorten
from paddle_ft.reporting.plots import metric_figure, series
from paddle_ft.system.formatting import counted, is_number

MAX_VALUE = 60  # characters of a setting's value
METHOD = (
    "A difference is called real if p is below 0.05. p is how often a difference of at least this size appears if the results of"
    " the two runs are swapped, row by row and at random (paired permutation test). The interval is a paired bootstrap over the"
    " rows. Both are about other rows of the same kind, and not about other seeds: the command repeat is for those."
)
ADJUSTED = " p is adjusted for the number of runs (Holm)."


def comparison_document(comparison: Comparison, num_rows: int = 5) -> Document:
    """Return the page of a comparison.

    Args:
        comparison: the runs.
        num_rows: how many rows to show for each pair.
    """
    reference, *others = comparison.sides
    facts = [reference.run.task, f"split {comparison.split}", f"reference: {reference.name}"]
    sample = [
        f"{side.name} is a sample run: its scores only show that everything works." for side in comparison.sides if side.run.sample
    ]
    sections = [
        Section("Is the difference real?", [_answer(comparison, side) for side in others]),
        _scores(comparison),
        *(_differences(comparison, side) for side in others),
        Section("How it was tested", [METHOD + (ADJUSTED if len(others) > 1 else "")]),
        _settings(comparison),
        Section("Curves", plots=_curves(comparison)),
        *(_disagreements(reference, side, num_rows) for side in others),
    ]
    title = " and ".join([", ".join(side.name for side in comparison.sides[:-1]), comparison.sides[-1].name])
    return Document(f"Comparison of {title}", facts, [*comparison.warnings, *sample], sections)


def _answer(comparison: Comparison, side: Side) -> str:
    """Return the sentence about the main metric of a run."""
    key, name = comparison.metric, find_metric(comparison.metric).title
    difference = side.differences.get(key)
    if difference is None:
        return f"{side.name}: {name} cannot be tested: {side.untested.get(key, 'the runs do not have it')}."
    signed = [_signed(key, value) for value in (difference.difference, *difference.interval)]
    words = {"no difference": "no difference", "yes, better": "yes, it is better", "yes, worse": "yes, it is worse"}
    return (
        f"{side.name}: {words[verdict(key, difference)]}. {name} is {signed[0]} against {comparison.sides[0].name} (95 % interval"
        f" {signed[1]} to {signed[2]}, p {format_p(difference.p)}, {counted(difference.rows, 'rows')})."
    )


def _scores(comparison: Comparison) -> Section:
    rows = []
    for key in comparison.keys:
        cells = []
        for side in comparison.sides:
            ends = side.metrics.get(f"{key}_ci") or _paired_interval(comparison, side, key)
            cells.append(f"{format_score(key, side.metrics.get(key))} {_interval(key, ends)}".strip())
        rows.append([_label(key), *cells])
    table = Table(["", *(side.name for side in comparison.sides)], rows)
    return Section(f"Scores on {comparison.split}", ["The brackets show 95 % intervals over the rows."], [table])


def _interval(key: str, ends: Any) -> str:
    """Return "[0.41, 0.45]" with the decimal places of the metric, or "" without an interval."""
    if not (isinstance(ends, list) and len(ends) == 2 and all(map(is_number, ends))):
        return ""
    return f"[{format_score(key, ends[0])}, {format_score(key, ends[1])}]"


def _paired_interval(comparison: Comparison, side: Side, key: str) -> list[float] | None:
    """Return the interval of a score that results.json has none for, such as the loss."""
    if side is comparison.sides[0]:
        tested = [other.differences[key].first_interval for other in comparison.sides if key in other.differences]
        return list(tested[0]) if tested else None
    return list(side.differences[key].second_interval) if key in side.differences else None


def _differences(comparison: Comparison, side: Side) -> Section:
    rows = []
    for key in comparison.keys:
        difference = side.differences.get(key)
        if difference is None:
            rows.append([_label(key), DASH, DASH, DASH, "not tested"])
            continue
        low, high = (_signed(key, end) for end in difference.interval)
        rows.append(
            [
                _label(key),
                _signed(key, difference.difference),
                f"[{low}, {high}]",
                format_p(difference.p),
                verdict(key, difference),
            ]
        )
    reasons: dict[str, list[str]] = {}
    for key, reason in side.untested.items():
        if key in comparison.keys:
            reasons.setdefault(reason, []).append(find_metric(key).title)
    notes = [f"Not tested: {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    table = Table(["", "difference", "95 % interval", "p", "real?"], rows)
    return Section(f"{side.name} against {comparison.sides[0].name}", notes, [table])


def _label(key: str) -> str:
    metric = find_metric(key)
    return metric.title + (" (lower is better)" if metric.lower_is_better else "")


def _signed(key: str, value: float) -> str:
    text = format_score(key, abs(float(value)))
    return f"{'-' if value < 0 and text.strip('0.,') else '+'}{text}"


def _settings(comparison: Comparison) -> Section:
    rows = [[name, *(_setting(value) for value in values)] for name, values in comparison.settings]
    names = [side.name for side in comparison.sides]
    if not rows:
        return Section("Settings that differ", ["None that changes a result."])
    return Section("Settings that differ", tables=[Table(["", *names], rows, numbers=False)])


def _setting(value: Any) -> str:
    text = DASH if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def _curves(comparison: Comparison) -> dict[str, Figure]:
    """Return the training loss, and the loss and the main metric of the evaluations, of all runs over each other."""
    figures = {}
    training = {side.name: series(side.run.train, "loss") for side in comparison.sides}
    curves = [Curve(name, x, smooth(y)) for name, (x, y) in training.items() if len(x)]
    if len(curves) > 1:
        figures["training loss"] = draw_curves("Training loss (smoothed)", STEP_LABEL, "loss (nats)", curves)
    splits = [split for side in comparison.sides for split in side.run.evaluations]
    split = "validation" if "validation" in splits else comparison.split
    for key in dict.fromkeys(["loss", comparison.metric]):
        evaluated = {side.name: series(side.run.evaluations.get(split, []), key) for side in comparison.sides}
        curves = [Curve(name, x, y) for name, (x, y) in evaluated.items() if len(x)]
        if len(curves) > 1:
            figures[f"{key} on {split}"] = metric_figure(key, f"{find_metric(key).title} on {split}", curves)
    return figures


def _disagreements(reference: Side, side: Side, num_rows: int) -> Section:
    """Return the rows whose scores differ most, by the score by which the report ranks predictions."""
    title = f"Where {side.name} and {reference.name} disagree most"
    pairs = list(zip(reference.predictions, side.predictions, strict=True))
    key = ranking_key(reference.predictions[0]) if reference.predictions else None
    if key is None or not num_rows:
        return Section(title)
    scored = [pair for pair in pairs if all(is_number(row.get(key)) for row in pair)]
    ranked = sorted(scored, key=lambda pair: -abs(_gap(key, *pair)))[:num_rows]
    different = sum("prediction" in a and a["prediction"] != b.get("prediction") for a, b in pairs)
    about = [f"Of {len(pairs):,} predictions, {different:,} differ."] if "prediction" in reference.predictions[0] else []
    cards = [_card(key, reference, side, *pair) for pair in ranked if _gap(key, *pair)]
    return Section(title, about, groups=[(f"By {find_metric(key).title}", cards)])


def _gap(key: str, first: dict[str, Any], second: dict[str, Any]) -> float:
    """Return by how much the score of a row differs. Perplexities are compared by their ratio."""
    if key == "perplexity" and first[key] > 0 and second[key] > 0:
        return math.log(second[key] / first[key])
    return second[key] - first[key]


def _card(key: str, reference: Side, side: Side, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return a row for the page: what both were given, and what each made of it."""
    fields = [(name.replace("_", " "), shorten(first[name])) for name in CONTENT if name in first]
    for one, row in ((reference, first), (side, second)):
        if "prediction" in row:
            fields.append((one.name, shorten(row["prediction"])))
    scores = " and ".join(f"{format_score(key, row[key])} ({one.name})" for one, row in ((reference, first), (side, second)))
    return {"headline": f"{find_metric(key).title} {scores}", "fields": fields}
