"""Compare runs on the rows that all of them were scored on: which difference is real, and where it comes from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from paddle_ft.config.load import load_config
from paddle_ft.metrics.paired import LEVEL, SAMPLES, Difference, RowCounts, compare_rows, holm
from paddle_ft.metrics.perplexity import loss_counts
from paddle_ft.metrics.registry import find_metric
from paddle_ft.reporting.records import Run, read_losses, read_run, score_keys
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import flatten
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import is_number, join_some
from paddle_ft.system.progress import Progress
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Task

SPLITS = ("test", "validation")  # which split is compared, if none is named
CONTENT = ("source", "target", "text", "text_pair", "label")  # fields of a prediction that belong to the row
FREE = ("output_dir", "recipe", "device", "tracking.", "data.cache", "train.logging_steps", "train.save_steps")
OF_LOSSES = ("loss", "perplexity", "accuracy")  # metrics that may come from the losses of the rows
TOLERANCE = 0.02  # how far a metric computed from the files may be from that in results.json, relative if it is above 1


@dataclass
class Side:
    """One of the runs.

    Attributes:
        name: what it is called in the tables.
        run: its files.
        metrics: its scores on the split.
        predictions: its predictions for the rows, in the reference's order.
        losses: the losses of the rows, [] if the run has not written them.
        counts: what each row adds to the metrics.
        differences: metric -> difference from the reference; {} for the reference itself.
        untested: metric -> why there is no test.
    """

    name: str
    run: Run
    metrics: dict[str, Any]
    predictions: list[dict[str, Any]]
    losses: list[dict[str, Any]]
    counts: list[RowCounts] = field(default_factory=list)
    differences: dict[str, Difference] = field(default_factory=dict)
    untested: dict[str, str] = field(default_factory=dict)


@dataclass
class Comparison:
    """The comparison of runs that were scored on the same rows.

    Attributes:
        split: the split that they are compared on.
        metric: the metric that chooses the best checkpoint.
        keys: the metrics of the tables.
        sides: the runs, the reference first.
        settings: (setting, its value in each run) of all settings that differ.
        warnings: what limits the comparison.
    """

    split: str
    metric: str
    keys: list[str]
    sides: list[Side]
    settings: list[tuple[str, list[Any]]]
    warnings: list[str]


def compare(paths: Sequence[str], split: str | None = None, samples: int = SAMPLES) -> Comparison:
    """Compare runs with the first of them.

    Args:
        paths: the directories of at least two runs.
        split: the split to compare on; None: test if all runs have it, else validation.
        samples: number of swaps and of resamples of the test.

    Raises:
        UserError: a directory has no finished run, or the runs were not scored on the same rows.
    """
    if len(paths) < 2:
        raise UserError("compare needs at least two runs; the others are compared with the first one.")
    if double := next((path for path in paths if paths.count(path) > 1), None):
        raise UserError(f"{double}: this run is named twice.")
    runs = [_read(path) for path in paths]
    task = _common_task(runs)
    split = _common_split(runs, split)
    names = _names([run.path for run in runs])
    sides = [_side(name, run, split) for name, run in zip(names, runs, strict=True)]
    reference, *others = sides
    warnings: list[str] = []
    for side in others:
        warnings += _match_rows(reference, side, split)
        _drop_other_losses(reference, side)
    facts = reference.run.results.get("data") or {}
    with Progress(len(sides), "score the rows", unit="run") as bar:
        for side in sides:
            side.counts = [*([loss_counts(side.losses)] if side.losses else []), *_row_counts(task, side, facts)]
            bar.update()
    keys = [key for key in score_keys(reference.metrics) if find_metric(key).direction != "none"]
    for side in others:
        _test(reference, side, keys, samples)
    _adjust(others)
    metric = str((reference.run.results.get("best") or {}).get("metric") or task.config.eval.best_metric or task.best_metric)
    return Comparison(split, metric, keys, sides, differing_settings(runs), list(dict.fromkeys(warnings)))


def verdict(key: str, difference: Difference) -> str:
    """Return whether a difference is real: "yes, better", "yes, worse" or "no difference"."""
    if difference.p >= LEVEL or not difference.difference:
        return "no difference"
    return "yes, better" if find_metric(key).is_better(difference.second, difference.first) else "yes, worse"


# ---------------------------------------------------------------------------------------------------- which runs
def _read(path: str) -> Run:
    run = read_run(RunDirectory.open_existing(path).path)
    if run.results.get("status") != "finished" or not run.results.get("metrics"):
        state = "has no scores" if run.results.get("status") == "finished" else "has not finished"
        raise UserError(f"{path}: this run {state}, so it cannot be compared. Finished runs with data.validation or data.test can.")
    return run


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each directory: as many of its last parts as tell them all apart."""
    parts = [path.resolve().parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def _common_task(runs: Sequence[Run]) -> Task:
    """Return the task of all runs, with the configuration of the first one and without a model."""
    other = next((run for run in runs if run.task != runs[0].task), None)
    if other:
        raise UserError(
            f"{runs[0].path} is a run of {runs[0].task} and {other.path} one of {other.task}: only runs of the same task can be"
            " compared."
        )
    config = load_config(str(runs[0].path / "config.yaml"))
    return find_task(config.task.name)(config)


def _common_split(runs: Sequence[Run], split: str | None) -> str:
    for name in [split] if split else SPLITS:
        if all(name in run.results["metrics"] and run.predictions.get(name) for run in runs):
            return name
    found = "; ".join(f"{run.path}: {', '.join(run.results['metrics'])}" for run in runs)
    raise UserError(f"there is no {split or 'test or validation'} split that all runs have scores and predictions of ({found}).")


def _side(name: str, run: Run, split: str) -> Side:
    file = f"predictions-{split}.jsonl"
    if problem := next((problem for problem in run.problems if problem.startswith(file)), None):
        raise UserError(f"{run.path / file}: this file is damaged, so the rows cannot be matched: {problem}")
    return Side(name, run, run.results["metrics"][split], run.predictions[split], read_losses(run, split))


# ---------------------------------------------------------------------------------------------------- the same rows
def _content(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in CONTENT)


def _match_rows(reference: Side, side: Side, split: str) -> list[str]:
    """Bring the rows of a run into the order of the reference, and return warnings. Raise UserError if the rows differ."""
    wanted, found = [_content(row) for row in reference.predictions], [_content(row) for row in side.predictions]
    prints = [_facts(run, split).get("fingerprint") for run in (reference.run, side.run)]
    if Counter(wanted) != Counter(found) or (_is_part(reference, split) and None not in prints and prints[0] != prints[1]):
        raise UserError(_describe_other_rows(reference, side, split, wanted, found, prints))
    if wanted != found:
        places = defaultdict(list)
        for place, content in enumerate(found):
            places[content].append(place)
        order = [places[content].pop(0) for content in wanted]
        if len(side.losses) == len(order):
            side.losses = [side.losses[place] for place in order]
        side.predictions = [side.predictions[place] for place in order]
    if _is_part(reference, split) and None in prints:
        return [f"a run does not say which rows of {split} it was scored on, so only those with predictions were checked"]
    return []


def _facts(run: Run, split: str) -> dict[str, Any]:
    """Return what results.json says about the rows of a split, {} if that is damaged."""
    facts = (run.results.get("data") or {}).get(split)
    return facts if isinstance(facts, dict) else {}


def _is_part(side: Side, split: str) -> bool:
    """Return whether there are predictions for a part of the rows only."""
    rows = _facts(side.run, split).get("rows")
    return not is_number(rows) or rows != len(side.predictions)


def _describe_other_rows(reference: Side, side: Side, split: str, wanted: list, found: list, prints: list) -> str:
    common = sum((Counter(wanted) & Counter(found)).values())
    known = f", fingerprints {prints[0]} and {prints[1]}" if None not in prints else ""
    prefixes = ("data.", "task.", "model.pretrained", "model.tokenizer")
    settings = [name for name, _ in differing_settings([reference.run, side.run]) if name.startswith(prefixes)]
    decided = f" Settings that differ and can decide it: {join_some(settings)}." if settings else ""
    return (
        f"{reference.run.path} and {side.run.path} were not scored on the same rows of {split}: {len(wanted):,} and {len(found):,}"
        f" predictions, of which {common:,} are for the same row{known}.{decided} Train both with the same {split} data."
    )


# ---------------------------------------------------------------------------------------------------- the test
def _row_counts(task: Task, side: Side, facts: dict[str, Any]) -> list[RowCounts]:
    try:
        return task.row_counts(side.predictions, facts)
    except (KeyError, TypeError, ValueError) as error:
        file = side.run.path / "predictions-*.jsonl"
        raise UserError(f"{file}: a prediction lacks what {task.name} needs, or has something else there: {error!r}.") from None


def _test(reference: Side, side: Side, keys: Sequence[str], samples: int) -> None:
    """Fill `differences` and `untested` of a side."""
    others = {tuple(counts.totals()): counts for counts in side.counts}
    found: dict[str, Difference] = {}
    without = [one.name for one in (reference, side) if not one.losses]
    for counts in reference.counts:
        other = others.get(tuple(counts.totals()))
        if other is not None and other.counts.shape == counts.counts.shape:
            found |= compare_rows(counts, other, n=samples)
    for key in keys:
        if key not in found:
            lacks_losses = f"{' and '.join(without)}: no losses-<split>.jsonl, which earlier versions did not write"
            side.untested.setdefault(key, lacks_losses if without and key in OF_LOSSES else "it is no sum over the rows")
        elif problem := _contradiction(key, found[key], reference, side):
            side.untested[key] = problem
        else:
            side.differences[key] = found[key]


def _drop_other_losses(reference: Side, side: Side) -> None:
    """Leave out losses that are not over the same targets: per token they say nothing about which model is better."""
    targets = [[row.get("targets") for row in one.losses] for one in (reference, side)]
    if targets[0] and targets[1] and targets[0] != targets[1]:
        side.losses = []
        reason = "not the same targets in each row: another tokenizer, or other lengths or masks"
        side.untested |= dict.fromkeys(("loss", "perplexity"), reason)


def _contradiction(key: str, difference: Difference, reference: Side, side: Side) -> str:
    """Return that results.json of a run has another value than its rows give, or "" if all fit."""
    for one, value in ((reference, difference.first), (side, difference.second)):
        reported = one.metrics.get(key)
        if not is_number(reported) or abs(reported - value) > TOLERANCE * max(1.0, abs(value)):
            return f"results.json of {one.name} has {reported}, but its rows give {value:.4g}"
    return ""


def _adjust(sides: Sequence[Side]) -> None:
    """Adjust the p of each metric for the number of runs that are compared with the reference."""
    for key in {key for side in sides for key in side.differences}:
        tested = [side for side in sides if key in side.differences]
        for side, p in zip(tested, holm([side.differences[key].p for side in tested]), strict=True):
            side.differences[key] = replace(side.differences[key], p=p)


# ---------------------------------------------------------------------------------------------------- settings
def differing_settings(runs: Sequence[Run]) -> list[tuple[str, list[Any]]]:
    """Return (name, value in each run) of the settings, versions and training rows that differ.

    Settings that change no result, such as where the run is, are left out. A run of an older version lacks those that did not exist
    yet; their value is None.
    """
    facts = []
    for run in runs:
        train, versions = _facts(run, "train"), run.results.get("versions") or {}
        facts.append({
            **flatten(run.config),
            "training rows": train.get("rows"),
            "fingerprint of the training rows": train.get("fingerprint"),
            **{f"version of {name}": version for name, version in versions.items()},
        })  # fmt: skip
    names = dict.fromkeys(name for fact in facts for name in fact)
    table = [(name, [fact.get(name) for fact in facts]) for name in names if not name.startswith(FREE)]
    return [(name, values) for name, values in table if any(value != values[0] for value in values)]
