"""The same training with several seeds: each in a run directory of its own, mean and deviation of all figures in one table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paddle_ft.config.schema import BaseConfig
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import to_json, write_atomically
from paddle_ft.system.progress import say

VARIANT = "variant"


@dataclass
class Plan:
    """One recipe with its seeds. title: what the table calls it; folder: where the seeds' runs lie."""

    title: str
    folder: Path
    configs: list[BaseConfig]


def plans(load: Callable[[list[str]], BaseConfig], options) -> list[Plan]:
    """What is to be trained: the recipe, and with options.against a variant of it, in the subfolder `variant`.

    Args:
        load: overrides -> configuration.
        options: overrides, seeds (their number), against.
    """
    first = load(options.overrides)
    folder = Path(first.output_dir)
    if not any(given.startswith("output_dir=") for given in options.overrides):
        folder = folder.with_name(f"{folder.name}_seeds")  # beside the recipe's single run
    if RunDirectory(folder).is_run():
        raise UserError(f"output_dir: {folder} is a run itself; name a folder for all seeds with output_dir=ANOTHER.")
    found = []
    for more, place in ([[], folder], [options.against, folder / VARIANT])[: 2 if options.against else 1]:
        configs = [
            load([*options.overrides, *more, f"seed={seed}", f"output_dir={place / f'seed-{seed}'}"])
            for seed in range(first.seed, first.seed + options.seeds)
        ]
        found.append(Plan(" ".join(more) or configs[0].recipe, place, configs))
    return found


def run(plans: list[Plan]) -> str:
    """Trains what is not finished yet, a seed of each plan in turn, writes the tables after each, returns the last as text."""
    from paddle_ft.training import resume
    from paddle_ft.training import run as session

    text = ""
    for place in range(len(plans[0].configs)):
        for plan in plans:
            config = plan.configs[place]
            directory = RunDirectory(config.output_dir)
            say(f"seed {config.seed} ({place + 1} of {len(plan.configs)}) of {plan.title}: {directory.path}")
            if directory.is_run():
                resume.refuse_other_config(config, directory)
            if directory.results().get("status") == "finished":
                say("finished before")
            else:
                session.train(config, resume=directory.is_run())
        text = write_tables(plans)
    return text


# ---------------------------------------------------------------------------------------------------- tables
def write_tables(plans: list[Plan]) -> str:
    """Writes repeat.json and repeat.md beside the seeds' folders. Returns the latter."""
    finished = [{config.seed: RunDirectory(config.output_dir).results() for config in plan.configs} for plan in plans]
    finished = [{seed: one for seed, one in results.items() if one.get("status") == "finished"} for results in finished]
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


def summarize(results: list[dict]) -> dict[str, dict[str, dict]]:
    """Split -> figure -> {"mean", "deviation" (of a sample: n - 1; null for one run), "lowest", "highest", "values",
    "baseline" (its mean)} over finished runs' results.json."""
    summary: dict[str, dict[str, dict]] = {}
    for split, metrics in results[0]["metrics"].items():
        for name in _figures(metrics):
            values = [one["metrics"][split][name] for one in results]
            summary.setdefault(split, {})[name] = {**_spread(values), "baseline": _baseline(results, split, name)}
    return summary


def differences(pairs: list[tuple[dict, dict]]) -> dict[str, dict[str, dict]]:
    """Split -> figure -> spread of (second - first) over runs with the same seed, and how many of them are better."""
    from paddle_ft.training.loop import LOWER_IS_BETTER

    found: dict[str, dict[str, dict]] = {}
    for split, metrics in pairs[0][0]["metrics"].items():
        for name in _figures(metrics):
            values = [second["metrics"][split][name] - first["metrics"][split][name] for first, second in pairs]
            sign = -1 if name in LOWER_IS_BETTER else 1
            better = sum(sign * value > 0 for value in values)
            found.setdefault(split, {})[name] = {**_spread(values), "better": better}
    return found


def _figures(metrics: dict) -> list[str]:
    return [name for name, value in metrics.items() if isinstance(value, (int, float)) and not isinstance(value, bool)]


def _baseline(results: list[dict], split: str, name: str) -> float | None:
    values = [one.get("baseline", {}).get(split, {}).get(name) for one in results]
    return None if None in values else statistics.fmean(values)


def _spread(values: list[float]) -> dict:
    return {
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "lowest": min(values),
        "highest": max(values),
        "values": values,
    }


def _table(title: str, summary: dict, runs: int) -> str:
    lines = [f"{title}: {runs} run{'s' if runs > 1 else ''}", ""]
    for split, figures in summary.items():
        lines += [f"| {split:<20} | {'mean':>9} | {'deviation':>9} | {'lowest':>9} | {'highest':>9} | {'baseline':>9} |",
                  f"| {'-' * 20} |" + f" {'-' * 8}: |" * 5]  # fmt: skip
        lines += [_row(name, [one[key] for key in ("mean", "deviation", "lowest", "highest", "baseline")])
                  for name, one in figures.items()]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def _difference_table(found: dict, runs: int) -> str:
    lines = [f"difference, second minus first, over {runs} pair{'s' if runs > 1 else ''} of runs with the same seed", ""]
    for split, figures in found.items():
        lines += [f"| {split:<20} | {'mean':>9} | {'deviation':>9} | {'error':>9} | {'better':>9} |",
                  f"| {'-' * 20} |" + f" {'-' * 8}: |" * 4]  # fmt: skip
        for name, one in figures.items():
            error = None if one["deviation"] is None else one["deviation"] / math.sqrt(runs)
            lines.append(_row(name, [one["mean"], one["deviation"], error, f"{one['better']} of {runs}"]))
        lines.append("")
    return "\n".join(lines)


def _row(name: str, values: list[float | str | None]) -> str:
    cells = [f"{value:>9}" if isinstance(value, str) else f"{'-':>9}" if value is None else f"{value:>9.3f}" for value in values]
    return f"| {name:<20} | {' | '.join(cells)} |"
