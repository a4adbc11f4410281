"""The same training with several seeds: a run directory each, and one table with mean and deviation of all figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddle_ft.config.schema import BaseConfig
from paddle_ft.metrics.registry import find_metric
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json, write_atomically
from paddle_ft.system.progress import print_info

VARIANT = "variant"  # subfolder for the runs of --against


@dataclass
class Plan:
    """The runs of one recipe.

    Attributes:
        title: name of the recipe in the tables.
        folder: where the seeds' run directories are.
        configs: one configuration a seed.
    """

    title: str
    folder: Path
    configs: list[BaseConfig]


def make_plans(
    load_overrides: Callable[[list[str]], BaseConfig], overrides: Sequence[str], num_seeds: int, against: Sequence[str] = ()
) -> list[Plan]:
    """Return what is to be trained: the recipe, and a variant of it where `against` is not empty.

    Args:
        load_overrides: overrides -> configuration.
        overrides: settings of all runs.
        num_seeds: number of seeds, counted up from the recipe's own.
        against: the variant's further settings.

    Raises:
        UserError: the folder for the seeds is itself a run.
    """
    first = load_overrides(list(overrides))
    folder = Path(first.output_dir)
    if not any(override.startswith("output_dir=") for override in overrides):
        folder = folder.with_name(f"{folder.name}_seeds")  # beside the recipe's single run
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
    plans: list[Plan], train: Callable[[BaseConfig, bool], object], refuse_other_config: Callable[[BaseConfig, RunDirectory], None]
) -> str:
    """Train what is not finished yet, one seed of each plan in turn, and write the tables after each seed.

    Args:
        plans: as make_plans returns them.
        train: (configuration, resume) -> trains a run.
        refuse_other_config: raises UserError if a run directory was made with other settings than the configuration's.

    Returns:
        The last tables as text.
    """
    text = ""
    for index in range(len(plans[0].configs)):
        for plan in plans:
            config = plan.configs[index]
            run = RunDirectory(config.output_dir)
            print_info(f"seed {config.seed} ({index + 1} of {len(plan.configs)}) of {plan.title}: {run.path}")
            if run.is_run():
                refuse_other_config(config, run)
            if run.results().get("status") == "finished":
                print_info("finished before")
            else:
                train(config, run.is_run())
        text = write_tables(plans)
    return text


# ---------------------------------------------------------------------------------------------------- figures
def summarize(results: list[dict]) -> dict[str, dict[str, dict]]:
    """Return the spread of each figure over runs.

    Args:
        results: results.json of finished runs.

    Returns:
        Split -> figure -> {"mean", "deviation", "lowest", "highest", "values", "baseline"}. The deviation is that of a sample
        (divided by n - 1), null for one run; the baseline is a mean too.
    """
    summary: dict[str, dict[str, dict]] = {}
    for split, metrics in results[0]["metrics"].items():
        for name in _figures(metrics):
            values = [result["metrics"][split][name] for result in results]
            summary.setdefault(split, {})[name] = {**_spread(values), "baseline": _baseline(results, split, name)}
    return summary


def differences(pairs: list[tuple[dict, dict]]) -> dict[str, dict[str, dict]]:
    """Return the spread of (second - first) over pairs of runs with the same seed, and how often the second is better.

    Args:
        pairs: results.json of a run of the recipe and of one of the variant.

    Returns:
        Split -> figure -> {"mean", "deviation", "lowest", "highest", "values", "better"}.
    """
    spreads: dict[str, dict[str, dict]] = {}
    for split, metrics in pairs[0][0]["metrics"].items():
        for name in _figures(metrics):
            values = [second["metrics"][split][name] - first["metrics"][split][name] for first, second in pairs]
            better = sum(find_metric(name).is_better(value, 0) for value in values)
            spreads.setdefault(split, {})[name] = {**_spread(values), "better": better}
    return spreads


def _figures(metrics: dict) -> list[str]:
    return [name for name, value in metrics.items() if isinstance(value, (int, float)) and not isinstance(value, bool)]


def _baseline(results: list[dict], split: str, name: str) -> float | None:
    values = [result.get("baseline", {}).get(split, {}).get(name) for result in results]
    return None if None in values else statistics.fmean(values)


def _spread(values: list[float]) -> dict:
    return {
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "lowest": min(values),
        "highest": max(values),
        "values": values,
    }


# ---------------------------------------------------------------------------------------------------- tables
def write_tables(plans: list[Plan]) -> str:
    """Write repeat.json and repeat.md beside the seeds' folders, and return the text of repeat.md."""
    finished = []
    for plan in plans:
        results = {config.seed: RunDirectory(config.output_dir).results() for config in plan.configs}
        finished.append({seed: result for seed, result in results.items() if result.get("status") == "finished"})
    content = {"recipe": plans[0].configs[0].recipe, "seeds": sorted(finished[0]), "runs": {}}
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
    for split, figures in summary.items():
        lines += _header(split, columns)
        lines += [_row(name, [figure[column] for column in columns]) for name, figure in figures.items()]
        lines.append("")
    return "\n".join(lines)


def _difference_table(spreads: dict, num_pairs: int) -> str:
    of_pairs = f"over {num_pairs} pair{'s' if num_pairs > 1 else ''} of runs with the same seed"
    lines = [f"difference, second minus first, {of_pairs}", ""]
    for split, figures in spreads.items():
        lines += _header(split, ("mean", "deviation", "error", "better"))
        for name, figure in figures.items():
            error = None if figure["deviation"] is None else figure["deviation"] / math.sqrt(num_pairs)
            lines.append(_row(name, [figure["mean"], figure["deviation"], error, f"{figure['better']} of {num_pairs}"]))
        lines.append("")
    return "\n".join(lines)


def _header(title: str, columns: Sequence[str]) -> list[str]:
    cells = " | ".join(f"{column:>9}" for column in columns)
    return [f"| {title:<20} | {cells} |", f"| {'-' * 20} |" + f" {'-' * 8}: |" * len(columns)]


def _row(name: str, values: list[float | str | None]) -> str:
    cells = [f"{value:>9}" if isinstance(value, str) else f"{'-':>9}" if value is None else f"{value:>9.3f}" for value in values]
    return f"| {name:<20} | {' | '.join(cells)} |"
