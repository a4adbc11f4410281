"""Summarize runs over their seeds: mean and deviation of each metric, and the difference of groups of runs seed by seed."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_ft.metrics.paired import compare_rows, row_means
from paddle_ft.metrics.registry import find_metric
from paddle_ft.system.formatting import is_number


@dataclass(frozen=True)
class Group:
    """The finished runs of a recipe or a variant.

    Attributes:
        title: what it is called in the tables.
        results: seed -> the results.json of its run.
        paths: seed -> the directory of its run, also of those that are not finished.
        planned: number of seeds.
    """

    title: str
    results: dict[int, dict[str, Any]]
    paths: dict[int, Path]
    planned: int

    def metric(self) -> str | None:
        """Return the metric that chose the best checkpoint of the first run, or else the first one that it has."""
        for result in self.results.values():
            metrics: dict[str, Any] = next(iter(result["metrics"].values()), {})
            return (result.get("best") or {}).get("metric") or next(iter(_numeric_metrics(metrics)), None)
        return None


def summarize_groups(recipe: str, groups: list[Group]) -> dict[str, Any]:
    """Return the content of results.json of a repetition.

    Args:
        recipe: name of the first recipe.
        groups: the runs. The first group is the one that the others are compared with.

    Returns:
        "recipe"; "status" ("finished", or "training" as long as runs are missing); "seeds" of the first group; "runs": title ->
        statistics (see summarize); "differences": title -> those of the difference from the first group (see differences);
        "by_seed": title -> seed -> {"run", "metrics", "best", "seconds"}.
    """
    first, *others = groups
    content: dict[str, Any] = {
        "recipe": recipe,
        "status": "finished" if all(len(group.results) == group.planned for group in groups) else "training",
        "seeds": sorted(first.results),
        "runs": {group.title: summarize(list(group.results.values())) for group in groups},
        "differences": {},
        "by_seed": {group.title: _by_seed(group) for group in groups},
    }
    for group in others:
        pairs = [(first.results[seed], group.results[seed]) for seed in first.results if seed in group.results]
        content["differences"][group.title] = differences(pairs)
    return content


def _by_seed(group: Group) -> dict[str, dict[str, Any]]:
    return {
        str(seed): {
            "run": str(group.paths[seed]),
            "metrics": {split: _numeric_metrics(metrics) for split, metrics in result["metrics"].items()},
            "best": result.get("best"),
            "seconds": (result.get("train") or {}).get("seconds"),
        }
        for seed, result in group.results.items()
    }


def summarize(results: list[dict]) -> dict[str, dict[str, dict]]:
    """Return statistics of each metric over several runs.

    Args:
        results: the results.json of each finished run.

    Returns:
        Split -> metric -> {"mean", "deviation", "lowest", "highest", "values", "baseline"}. The deviation is the sample standard
        deviation (divided by n - 1), or None for a single run. The baseline is the mean over the runs. A metric that is no number
        in one of the runs is left out.
    """
    summary: dict[str, dict[str, dict]] = {}
    for split, metrics in results[0]["metrics"].items() if results else ():
        for name in _numeric_metrics(metrics):
            values = [result["metrics"].get(split, {}).get(name) for result in results]
            if not all(map(is_number, values)):
                continue
            summary.setdefault(split, {})[name] = {**_statistics(values), "baseline": _mean_baseline(results, split, name)}
    return summary


def differences(pairs: list[tuple[dict, dict]]) -> dict[str, dict[str, dict]]:
    """Return statistics of the difference (second - first) of each metric over pairs of runs with the same seed.

    Args:
        pairs: the results.json of a run of the recipe (first) and of a run of its variant (second).

    Returns:
        Split -> metric -> {"mean", "deviation", "error", "lowest", "highest", "values", "better", "pairs", "p"}: "error" is the
        standard error of the mean, "better" the number of pairs whose second run is better, and "p" that of the paired permutation
        test over the seeds (metrics.paired). Metrics that the second runs do not have are left out.
    """
    summary: dict[str, dict[str, dict]] = {}
    for split, metrics in pairs[0][0]["metrics"].items() if pairs else ():
        for name in _numeric_metrics(metrics):
            both = [[run["metrics"].get(split, {}).get(name) for run in pair] for pair in pairs]
            if not all(is_number(value) for pair in both for value in pair):
                continue
            values = [second - first for first, second in both]
            test = compare_rows(*(row_means({name: column}) for column in zip(*both, strict=True)))[name]
            figures = _statistics(values)
            error = None if figures["deviation"] is None else figures["deviation"] / math.sqrt(len(values))
            better = sum(find_metric(name).is_better(value, 0) for value in values)
            summary.setdefault(split, {})[name] = {**figures, "error": error, "better": better, "pairs": len(values), "p": test.p}
    return summary


def _numeric_metrics(metrics: dict) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if is_number(value)}


def _mean_baseline(results: list[dict], split: str, name: str) -> float | None:
    values = [result.get("baseline", {}).get(split, {}).get(name) for result in results]
    return None if None in values else statistics.fmean(values)


def _statistics(values: list[float]) -> dict:
    return {
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "lowest": min(values),
        "highest": max(values),
        "values": values,
    }
