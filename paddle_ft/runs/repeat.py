"""Train a recipe with several seeds, and summarize the runs in one table with the mean and deviation of each metric."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_ft.config.schema import BaseConfig
from paddle_ft.metrics.registry import find_metric
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json, write_atomically
from paddle_ft.system.formatting import is_number
from paddle_ft.system.progress import print_info

VARIANT = "variant"  # subfolder for the runs with the settings of --against


@dataclass
class Plan:
    """The runs of a recipe, or of its variant, over all seeds.

    Attributes:
        title: the heading of its table.
        folder: the folder with the run directories.
        configs: one configuration for each seed.
    """

    title: str
    folder: Path
    configs: list[BaseConfig]


def make_plans(
    load_overrides: Callable[[list[str]], BaseConfig], overrides: Sequence[str], num_seeds: int, against: Sequence[str] = ()
) -> list[Plan]:
    """Return the plan for the recipe, and a second plan for its variant if `against` is not empty.

    Args:
        load_overrides: returns the configuration for a list of overrides.
        overrides: settings of all runs.
        num_seeds: number of seeds. The first is the recipe's own, and the others count up from it.
        against: additional settings of the variant.

    Raises:
        UserError: the folder for the seeds is itself the directory of a run.
    """
    first = load_overrides(list(overrides))
    folder = Path(first.output_dir)
    if not any(override.startswith("output_dir=") for override in overrides):
        folder = folder.with_name(f"{folder.name}_seeds")  # next to the single run of the recipe
    if RunDirectory(folder).is_run():
        raise UserError(f"output_dir: {folder} is a run itself; name a folder for all seeds with output_dir=ANOTHER.")
    plans = []
    for settings, subfolder in [([], folder), *([(against, folder / VARIANT)] if against else [])]:
        configs = [
            load_overrides([*overrides, *settings, f"seed={seed}", f"output_dir={subfolder / f'seed-{seed}'}"])
            for seed in range(first.seed, first.seed + num_seeds)
        ]
        plans.append(Plan(" ".join(settings) or configs[0].recipe, subfolder, configs))
    return plans


def run_plans(
    plans: list[Plan], train: Callable[[BaseConfig, bool], object], refuse_other_config: Callable[[BaseConfig, RunDirectory], bool]
) -> str:
    """Train all runs that are not finished yet, and write the tables after each seed.

    The plans take turns: each trains the first seed, then each trains the second, and so on.

    Args:
        plans: what make_plans returned.
        train: trains a run, called with its configuration and whether to resume.
        refuse_other_config: raises UserError if a run directory was made with other settings than the configuration, and returns
            whether the configuration makes the run longer.

    Returns:
        The tables after the last seed, as text.
    """
    text = ""
    for index in range(len(plans[0].configs)):
        for plan in plans:
            config = plan.configs[index]
            run = RunDirectory(config.output_dir)
            print_info(f"seed {config.seed} ({index + 1} of {len(plan.configs)}) of {plan.title}: {run.path}")
            longer = run.is_run() and refuse_other_config(config, run)
            if run.results().get("status") == "finished" and not longer:
                print_info("already finished")
            else:
                train(config, run.is_run())
        text = write_tables(plans)
    return text


# ---------------------------------------------------------------------------------------------------- statistics
def summarize(results: list[dict]) -> dict[str, dict[str, dict]]:
    """Return statistics of each metric over several runs.

    Args:
        results: the results.json of each finished run.

    Returns:
        Split -> metric -> {"mean", "deviation", "lowest", "highest", "values", "baseline"}. The deviation is the sample standard
        deviation (divided by n - 1), or None for a single run. The baseline is the mean over the runs.
    """
    summary: dict[str, dict[str, dict]] = {}
    for split, metrics in results[0]["metrics"].items():
        for name in _numeric_metrics(metrics):
            values = [result["metrics"][split][name] for result in results]
            summary.setdefault(split, {})[name] = {**_statistics(values), "baseline": _mean_baseline(results, split, name)}
    return summary


def differences(pairs: list[tuple[dict, dict]]) -> dict[str, dict[str, dict]]:
    """Return statistics of the difference (second - first) of each metric over pairs of runs with the same seed.

    Args:
        pairs: the results.json of a run of the recipe (first) and of a run of its variant (second).

    Returns:
        Split -> metric -> {"mean", "deviation", "lowest", "highest", "values", "better"}, where "better" is the number of pairs
        whose second run is better.
    """
    summary: dict[str, dict[str, dict]] = {}
    for split, metrics in pairs[0][0]["metrics"].items():
        for name in _numeric_metrics(metrics):
            values = [second["metrics"][split][name] - first["metrics"][split][name] for first, second in pairs]
            num_better = sum(find_metric(name).is_better(value, 0) for value in values)
            summary.setdefault(split, {})[name] = {**_statistics(values), "better": num_better}
    return summary


def _numeric_metrics(metrics: dict) -> list[str]:
    return [name for name, value in metrics.items() if is_number(value)]


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


# ---------------------------------------------------------------------------------------------------- tables
def write_tables(plans: list[Plan]) -> str:
    """Write repeat.json and repeat.md into the folder of the seeds, and return the text of repeat.md.

    Args:
        plans: what make_plans returned. Only finished runs are in the tables.
    """
    finished = []
    for plan in plans:
        results = {config.seed: RunDirectory(config.output_dir).results() for config in plan.configs}
        finished.append({seed: result for seed, result in results.items() if result.get("status") == "finished"})
    content: dict[str, Any] = {"recipe": plans[0].configs[0].recipe, "seeds": sorted(finished[0]), "runs": {}}
    blocks = []
    for plan, results in zip(plans, finished, strict=True):
        content["runs"][plan.title] = summarize(list(results.values()))
        blocks.append(_table(plan.title, content["runs"][plan.title], len(results)))
    if len(plans) == 2:
        pairs = [(finished[0][seed], finished[1][seed]) for seed in finished[0] if seed in finished[1]]
        content["difference"] = differences(pairs)
        blocks.append(_difference_table(content["difference"], len(pairs)))
    text = "\n".join(blocks)
    write_atomically(plans[0].folder / "repeat.json", to_json(content, indent=2) + "\n")
    write_atomically(plans[0].folder / "repeat.md", text)
    return text


def _table(title: str, summary: dict, num_runs: int) -> str:
    lines = [f"{title}: {num_runs} run{'s' if num_runs > 1 else ''}", ""]
    columns = ("mean", "deviation", "lowest", "highest", "baseline")
    for split, metrics in summary.items():
        lines += _header(split, columns)
        lines += [_row(name, [values[column] for column in columns]) for name, values in metrics.items()]
        lines.append("")
    return "\n".join(lines)


def _difference_table(summary: dict, num_pairs: int) -> str:
    of_pairs = f"over {num_pairs} pair{'s' if num_pairs > 1 else ''} of runs with the same seed"
    lines = [f"difference, second minus first, {of_pairs}", ""]
    for split, metrics in summary.items():
        lines += _header(split, ("mean", "deviation", "error", "better"))
        for name, values in metrics.items():
            error = None if values["deviation"] is None else values["deviation"] / math.sqrt(num_pairs)
            lines.append(_row(name, [values["mean"], values["deviation"], error, f"{values['better']} of {num_pairs}"]))
        lines.append("")
    return "\n".join(lines)


def _header(title: str, columns: Sequence[str]) -> list[str]:
    cells = " | ".join(f"{column:>9}" for column in columns)
    return [f"| {title:<20} | {cells} |", f"| {'-' * 20} |" + f" {'-' * 8}: |" * len(columns)]


def _row(name: str, values: list[float | str | None]) -> str:
    cells = [f"{value:>9}" if isinstance(value, str) else f"{'-':>9}" if value is None else f"{value:>9.3f}" for value in values]
    return f"| {name:<20} | {' | '.join(cells)} |"
