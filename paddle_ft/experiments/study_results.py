"""Summarize the finished runs of a study: mean and deviation of each point over the seeds, and the differences between series."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from paddle_ft.experiments.repeat_results import differences, summarize
from paddle_ft.experiments.study_plan import StudyPlan, StudyRun
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.formatting import did_you_mean, is_number

LIMIT = "data.limit_train"
Results = dict[str, Any]
"""The content of a run's results.json."""


def summarize_study(plan: StudyPlan) -> dict[str, Any]:
    """Return the content of results.json of a study, from the runs that are finished.

    Returns:
        "study", "title", "question", "recipe", "command"; "status" ("finished", or "training" as long as runs are missing);
        "seeds"; "split" and "metrics" that are shown; "x": setting, label, values, and the text and the place on the axis of each;
        "series"; "points" (see _point); "differences" (see _difference); "settings": stage -> setting -> value; "versions" and
        "devices" of the runs; "warnings"; "runs": stage, series, x, seed, directory, scores and time of every run.
    """
    study = plan.file.study
    axis = study.stages[plan.file.measured].x
    finished = {run: results for run in plan.runs if (results := RunDirectory(run.path).results()).get("status") == "finished"}
    by_point: dict[tuple[str, int], dict[int, Results]] = {
        (series, x): {run.seed: finished[run] for run in plan.measured if (run.series, run.x) == (series, x) and run in finished}
        for series in plan.series
        for x in range(len(plan.labels))
    }
    points = [_point(plan, *key, results) for key, results in by_point.items()]
    split = study.split or _common_split([finished[run] for run in plan.measured if run in finished])
    return {
        "study": plan.file.name,
        "title": study.title,
        "question": study.question,
        "recipe": study.stages[plan.file.measured].recipe,
        "command": plan.command,
        "status": "finished" if len(finished) == len(plan.runs) else "training",
        "seeds": plan.seeds,
        "split": split,
        "metrics": list(study.metrics),
        "x": axis
        and {
            "setting": axis.setting,
            "label": axis.label or axis.setting,
            "values": axis.values,
            "texts": plan.labels,
            "places": _places(plan, by_point),
        },
        "series": plan.series,
        "points": points,
        "differences": [
            _difference(plan, series, x, by_point[plan.series[0], x], by_point[series, x])
            for series in plan.series[1:]
            for x in range(len(plan.labels))
        ],
        "settings": {stage: {one.key: one.value for one in settings} for stage, settings in plan.settings.items()},
        "versions": _collect(results.get("versions") or {} for results in finished.values()),
        "devices": sorted({str((results.get("train") or {}).get("device")) for results in finished.values()}),
        "warnings": _warnings(plan, by_point, split),
        "runs": [_run(plan, run, finished.get(run)) for run in plan.runs],
    }


def _common_split(results: list[Results]) -> str:
    """Return test if all runs have scores on it, else validation."""
    return "test" if results and all("test" in (one.get("metrics") or {}) for one in results) else "validation"


def _places(plan: StudyPlan, by_point: dict[tuple[str, int], dict[int, Results]]) -> list[float]:
    """Return where the values of x are on the axis: at their numbers, or side by side if one is no number.

    Where data.limit_train is null, the place is the number of rows that were trained on.
    """
    axis = plan.file.study.stages[plan.file.measured].x
    places: list[float] = []
    for x, value in enumerate(axis.values if axis else [None]):
        if axis and axis.setting == LIMIT and value is None:
            value = max(_training_rows(by_point, x), default=None)
        if not is_number(value):
            return [float(place) for place in range(len(plan.labels))]
        places.append(float(value))
    return places if len(set(places)) == len(places) else [float(place) for place in range(len(places))]


def _training_rows(by_point: dict[tuple[str, int], dict[int, Results]], x: int) -> set[float]:
    """Return the numbers of training rows of the finished runs with a value of x."""
    rows = (
        ((one.get("data") or {}).get("train") or {}).get("rows")
        for (_, place), results in by_point.items() if place == x
        for one in results.values()
    )  # fmt: skip
    return {number for number in rows if is_number(number)}


def _warnings(plan: StudyPlan, by_point: dict[tuple[str, int], dict[int, Results]], split: str) -> list[str]:
    """Return sentences on points that are not what they are called, and on runs that cannot be compared without a doubt."""
    warnings = []
    axis = plan.file.study.stages[plan.file.measured].x
    for x, value in enumerate(axis.values if axis and axis.setting == LIMIT else []):
        if is_number(value) and (rows := max(_training_rows(by_point, x), default=value)) < value:
            warnings.append(f"{plan.labels[x]} training rows were asked for, but the data has only {rows:,.0f}.")
    every = [one for results in by_point.values() for one in results.values()]
    scored = [(one.get("data") or {}).get(split) or {} for one in every]
    if len({facts.get("fingerprint") for facts in scored}) > 1:
        numbers = sorted({facts["rows"] for facts in scored if is_number(facts.get("rows"))})
        counts = f" ({numbers[0]:,} to {numbers[-1]:,})" if len(numbers) > 1 else ""
        warnings.append(f"Not all runs were scored on the same rows of {split}{counts}: a part of a difference may be the rows'.")
    reported = sorted({name for one in every for name in (one.get("metrics") or {}).get(split) or {}})
    for name in plan.file.study.metrics if every else []:
        if name not in reported:
            warnings.append(f"No run has the metric {name} on {split}.{did_you_mean(name, reported)}")
    mixed = [f"{name} {found}" for name, found in _collect(one.get("versions") or {} for one in every).items() if ", " in found]
    return [*warnings, *([f"The runs had different versions: {'; '.join(mixed)}."] if mixed else [])]


def _collect(versions: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return package -> its version, or all versions that the runs had."""
    found: dict[str, set[str]] = {}
    for one in versions:
        for name, version in one.items():
            found.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _point(plan: StudyPlan, series: str, x: int, results: dict[int, Results]) -> dict[str, Any]:
    """Return the statistics of a series at a value of x.

    Returns:
        "series"; "x": index of the value; "seeds" of the finished runs; "metrics": split -> metric -> statistics (see
        repeat_results.summarize); "before_training": split -> metric -> mean over the runs.
    """
    before = [one.get("before_training") or {} for one in results.values()]
    means: dict[str, dict[str, float]] = {}
    for split, metrics in before[0].items() if before else ():
        for name in metrics:
            values = [(one.get(split) or {}).get(name) for one in before]
            numbers = [value for value in values if is_number(value)]
            if numbers and len(numbers) == len(values):
                means.setdefault(split, {})[name] = fmean(numbers)
    return {
        "series": series,
        "x": x,
        "seeds": sorted(results),
        "metrics": summarize([results[seed] for seed in sorted(results)]),
        "before_training": means,
    }


def _difference(plan: StudyPlan, series: str, x: int, first: dict[int, Results], second: dict[int, Results]) -> dict[str, Any]:
    """Return how a series differs from the reference at a value of x, over the seeds that both have (differences)."""
    pairs = [(first[seed], second[seed]) for seed in sorted(first) if seed in second]
    return {"series": series, "against": plan.series[0], "x": x, "pairs": len(pairs), "metrics": differences(pairs)}


def _run(plan: StudyPlan, run: StudyRun, results: Results | None) -> dict[str, Any]:
    place = {"stage": run.stage, "series": run.series, "x": plan.labels[run.x] if run.series else "", "seed": run.seed}
    entry: dict[str, Any] = {**place, "run": str(run.path), "status": "missing"}
    if results is None:
        return entry
    metrics = {split: {k: v for k, v in one.items() if is_number(v)} for split, one in results["metrics"].items()}
    seconds = (results.get("train") or {}).get("seconds")
    return {**entry, "status": "finished", "metrics": metrics, "best": results.get("best"), "seconds": seconds}
