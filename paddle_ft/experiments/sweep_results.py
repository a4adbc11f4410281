"""The results of a sweep: what each trial reached on validation, which one is chosen, and which settings matter."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paddle_ft.experiments.sweep_plan import Plan
from paddle_ft.experiments.sweep_study import Trials
from paddle_ft.metrics.registry import find_metric
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.formatting import is_number, join_some

FINISHED, PRUNED, FAILED, UNFINISHED, WAITING = "finished", "pruned", "failed", "not finished", "waiting"


@dataclass(frozen=True)
class Trial:
    """A trial and what it has reached so far.

    Attributes:
        number: its number, from 1.
        settings: key -> value of the settings that differ, in YAML; {} if a search has not chosen them yet.
        run: its directory.
        state: one of "finished", "pruned", "failed", "not finished" and "waiting".
        value: the metric of its best checkpoint on validation, None if it has not ended.
        interval: the 95 % interval of the value over the rows, [low, high], None if the metric has none.
        loss: the loss of the same checkpoint.
        best_step, steps: the step of its best checkpoint, and its last step.
        seconds: time spent in training steps.
        reason: why it failed.
    """

    number: int
    settings: dict[str, str]
    run: Path
    state: str
    value: float | None = None
    interval: list[float] | None = None
    loss: float | None = None
    best_step: int | None = None
    steps: int | None = None
    seconds: float | None = None
    reason: str = ""


def read_trials(plan: Plan, trials: Trials) -> list[Trial]:
    """Return all trials of a sweep, in the order of their numbers."""
    known = trials.known()
    return [
        _read_trial(plan, trials, number) if number <= known else Trial(number, {}, plan.path(number), WAITING)
        for number in range(1, plan.count + 1)
    ]


def _read_trial(plan: Plan, trials: Trials, number: int) -> Trial:
    run, settings = RunDirectory(plan.path(number)), trials.settings(number)
    if number in plan.failed:
        return Trial(number, settings, run.path, FAILED, reason=plan.failed[number])
    results = run.results()
    if results.get("status") != "finished":
        return Trial(number, settings, run.path, UNFINISHED if run.is_run() else WAITING)
    scores, best, train = validation_scores(results), results.get("best") or {}, results.get("train") or {}
    state = FINISHED if trials.pruned_at(number) is None else PRUNED
    return Trial(
        number, settings, run.path, state, scores.get(plan.metric), scores.get(f"{plan.metric}_ci"), scores.get("loss"),
        best.get("step"), train.get("steps"), train.get("seconds"),
    )  # fmt: skip


def validation_scores(results: dict[str, Any]) -> dict[str, Any]:
    """Return the scores on validation in the results.json of a run, {} if there are none."""
    return (results.get("metrics") or {}).get("validation") or {}


def ranked(key: str, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials with a value, the best first, and then the others. The loss decides ties, and then the number.

    Only those that were trained to their end come first: the value of a pruned one is that of a shorter training.

    Args:
        key: the metric.
        trials: what read_trials returned.
    """
    sign = 1 if find_metric(key).lower_is_better else -1

    def place(trial: Trial) -> tuple:
        value = math.inf if trial.value is None else sign * trial.value
        loss = math.inf if trial.loss is None else trial.loss
        return ([FINISHED, PRUNED].index(trial.state) if trial.state in (FINISHED, PRUNED) else 2, value, loss, trial.number)

    return sorted(trials, key=place)


def choose(key: str, trials: Sequence[Trial]) -> Trial | None:
    """Return the best trial by the metric on validation, None if no trial was trained to its end."""
    best = ranked(key, trials)[0]
    return best if best.state == FINISHED and best.value is not None else None


def tied(chosen: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """Return the other trials that were trained to their end and have the same value as the chosen one."""
    return [one for one in trials if one.state == FINISHED and one.value == chosen.value and one.number != chosen.number]


def describe_tie(key: str, chosen: Trial, trials: Sequence[Trial]) -> str:
    """Return which other trials are as good as the chosen one, and why it was taken; "" if none is. See ranked.

    Args:
        key: the metric.
        chosen: the trial that `choose` returned.
        trials: what read_trials returned.
    """
    others = tied(chosen, trials)
    if not others:
        return ""
    names = join_some([str(one.number) for one in others])
    subject = f"Trials {names} have" if len(others) > 1 else f"Trial {names} has"
    same_loss = [one for one in others if one.loss == chosen.loss]
    first = "the first is taken" if same_loss == others else "the first of those with the lowest loss is taken"
    reason = first if same_loss else "the one with the lowest loss is taken"
    return f"{subject} the same {find_metric(key).title} as trial {chosen.number}: a tie, in which {reason}."


def not_told_apart(chosen: Trial, trials: Sequence[Trial]) -> int | None:
    """Return how many other finished trials have a value inside the interval of the chosen one, None if it has no interval."""
    if chosen.interval is None:
        return None
    low, high = chosen.interval
    others = [trial.value for trial in trials if trial.state == FINISHED and trial.number != chosen.number]
    return sum(value is not None and low <= value <= high for value in others)


def explained(trials: Sequence[Trial]) -> dict[str, float]:
    """Return for each setting of a grid the share of the variance between trials that the means of its values explain.

    This is eta squared of a one-way analysis of variance. In a full grid the shares add up to at most 1, and what is missing comes
    from combinations of settings and from chance.

    Args:
        trials: the trials that were trained to their end.

    Returns:
        Key -> share from 0 to 1; {} if all values are the same, or there are fewer than three.
    """
    values = [trial.value for trial in trials if trial.value is not None]
    total = statistics.pvariance(values) if len(values) > 2 else 0.0
    if total <= 0:
        return {}
    mean, shares = statistics.fmean(values), {}
    for key in trials[0].settings:
        groups = defaultdict(list)
        for trial in trials:
            if trial.value is not None:
                groups[trial.settings[key]].append(trial.value)
        between = sum(len(group) * (statistics.fmean(group) - mean) ** 2 for group in groups.values()) / len(values)
        shares[key] = between / total
    return shares


def summarize_sweep(plan: Plan, trials: Sequence[Trial], importance: dict[str, float]) -> dict[str, Any]:
    """Return the content of results.json of a sweep.

    Args:
        plan: the sweep.
        trials: its trials.
        importance: key -> how much of the differences between trials the setting explains.

    Returns:
        "recipe"; "status" ("finished" once the chosen settings were trained again, else "training"); "metric" and "direction" of
        the choice; "space": key -> values; "trials": the attributes of each trial; "chosen": the number of the winner, of how many
        trials, and the numbers of those with the same value; "best": the run of its settings with another seed, with its scores;
        "importance".
    """
    best = RunDirectory(plan.folder / "best")
    results = best.results() if plan.winner is not None else {}
    is_finished = results.get("status") == "finished"
    return {
        "recipe": plan.base.recipe,
        "status": "finished" if is_finished else "training",
        "metric": plan.metric,
        "direction": find_metric(plan.metric).direction,
        "space": {parameter.key: str(parameter) for parameter in plan.space.parameters},
        "trials": [{**asdict(trial), "run": str(trial.run)} for trial in trials],
        "chosen": _chosen(plan, trials),
        "best": {"run": str(best.path), "seed": results.get("seed"), "metrics": _numbers(results)} if is_finished else None,
        "importance": importance,
    }


def _chosen(plan: Plan, trials: Sequence[Trial]) -> dict[str, Any] | None:
    if plan.winner is None:
        return None
    return {"trial": plan.winner, "of": plan.count, "tied": [one.number for one in tied(trials[plan.winner - 1], trials)]}


def _numbers(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return split -> metric -> number, and the intervals."""
    return {
        split: {key: value for key, value in metrics.items() if is_number(value) or key.endswith("_ci")}
        for split, metrics in (results.get("metrics") or {}).items()
    }
