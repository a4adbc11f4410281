"""Train a recipe with several seeds, alone or beside others, one run after the other or several at once.

Every run has a directory of its own. A run that is finished is not trained again, and one that was stopped goes on, so that the
same command continues the whole wherever it was stopped or killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paddle_ft.config.schema import BaseConfig
from paddle_ft.experiments.parallel import Job, refuse_failed, run_jobs
from paddle_ft.experiments.repeat_results import Group, summarize_groups
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import refuse_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info

VARIANT = "variant"  # subfolder for the runs with the settings of --against

Load = Callable[[str, list[str]], BaseConfig]
"""Return the configuration of a recipe with overrides."""


@dataclass
class Plan:
    """The runs of a recipe, or of its variant, over all seeds.

    Attributes:
        title: what it is called in the tables.
        folder: the folder with the run directories.
        recipe: name of the recipe.
        settings: its settings besides those of all plans.
        configs: one configuration for each seed.
        overrides: the settings of each run, with which its configuration was loaded.
    """

    title: str
    folder: Path
    recipe: str
    settings: list[str] = field(default_factory=list)
    configs: list[BaseConfig] = field(default_factory=list)
    overrides: list[list[str]] = field(default_factory=list)


def make_plans(
    load: Load, recipes: Sequence[str], overrides: Sequence[str], num_seeds: int, against: Sequence[str] = ()
) -> list[Plan]:
    """Return a plan for each recipe, and after the first one a plan for its variant if `against` is not empty.

    Args:
        load: loads a configuration.
        recipes: names of recipes. The first one's folder has the tables.
        overrides: settings of all runs.
        num_seeds: number of seeds. The first is the first recipe's own, and the others count up from it.
        against: additional settings of the variant.

    Raises:
        UserError: the folder for the seeds is itself the directory of a run, a recipe is named twice, or the variant sets a seed.
    """
    if len(set(recipes)) < len(recipes):
        raise UserError(f"--config, --beside: {', '.join(recipes)}: a recipe is named twice.")
    if wrong := next((text for text in against if text.partition("=")[0] in ("seed", "output_dir")), None):
        raise UserError(f"--against {wrong}: the command sets it for each run itself; a variant has the same seeds.")
    configs = [load(recipe, list(overrides)) for recipe in recipes]
    seeds = range(configs[0].seed, configs[0].seed + num_seeds)
    plans: list[Plan] = []
    for recipe, config in zip(recipes, configs, strict=True):
        folder = Path(config.output_dir)
        if not any(override.startswith("output_dir=") for override in overrides):
            folder = folder.with_name(f"{folder.name}_seeds")  # next to the single run of the recipe
        elif plans:
            folder = folder / config.recipe
        refuse_run(folder, "all seeds")
        plans.append(Plan(config.recipe, folder, recipe))
        if against and len(plans) == 1:
            plans.append(Plan(" ".join(against), folder / VARIANT, recipe, settings=list(against)))
    titles = [plan.title for plan in plans]
    if double := next((title for title in titles if titles.count(title) > 1), None):
        raise UserError(f"--config, --beside: two recipes are called {double}; give one another name with recipe: in its file.")
    for plan in plans:
        for seed in seeds:
            plan.overrides.append([*overrides, *plan.settings, f"seed={seed}", f"output_dir={plan.folder / f'seed-{seed}'}"])
            plan.configs.append(load(plan.recipe, plan.overrides[-1]))
    return plans


def run_plans(
    plans: list[Plan],
    train: Callable[[BaseConfig, bool], object],
    refuse_other_config: Callable[[BaseConfig, RunDirectory], bool],
) -> str:
    """Train all runs that are not finished yet, one after the other, and write the tables after each seed.

    The plans take turns: each trains the first seed, then each trains the second, and so on.

    Args:
        plans: what make_plans returned.
        train: trains a run, called with its configuration and whether to resume.
        refuse_other_config: raises UserError if a run directory was made with other settings than the configuration, and returns
            whether the configuration makes the run longer.

    Returns:
        The tables after the last seed, as text.
    """
    pending = _pending(plans, refuse_other_config)
    count = len(plans[0].configs)
    for index in range(count):
        for plan in plans:
            config = plan.configs[index]
            done = (plan.title, config.seed) not in pending
            state = "already finished" if done else config.output_dir
            print_info(f"seed {config.seed} ({index + 1} of {count}) of {plan.title}: {state}")
            if not done:
                train(config, RunDirectory(config.output_dir).is_run())
        if any((plan.title, plan.configs[index].seed) in pending for plan in plans):
            write_tables(plans)
    return write_tables(plans)


def run_plans_in_parallel(
    plans: list[Plan],
    devices: str,
    command: Sequence[str],
    refuse_other_config: Callable[[BaseConfig, RunDirectory], bool],
) -> str:
    """Do the same with a run on each device at a time, each in a process of its own. Its output goes to logs/ in the folder.

    Args:
        plans: what make_plans returned.
        devices: the value of --devices.
        command: the command that trains a run, without its recipe, settings and device.
        refuse_other_config: see run_plans.

    Raises:
        UserError: a device is not available, or a run has failed; those that have not are in the tables.
    """
    pending = _pending(plans, refuse_other_config)
    logs = plans[0].folder / "logs"
    jobs = []
    for index in range(len(plans[0].configs)):
        for plan in plans:
            config = plan.configs[index]
            if (plan.title, config.seed) not in pending:
                print_info(f"seed {config.seed} of {plan.title}: already finished")
                continue
            flags = ["--resume"] if RunDirectory(config.output_dir).is_run() else []
            arguments = [*command, "--config", plan.recipe, *flags, *plan.overrides[index]]
            jobs.append(Job(f"seed {config.seed} of {plan.title}", arguments, logs / f"{plan.folder.name}-{config.seed}.log"))
    failed = run_jobs(jobs, devices, lambda: write_tables(plans)) if jobs else []
    text = write_tables(plans)
    refuse_failed(failed, len(jobs))
    return text


def _pending(plans: list[Plan], refuse_other_config: Callable[[BaseConfig, RunDirectory], bool]) -> set[tuple[str, int]]:
    """Return (title, seed) of the runs that are to be trained. Settings that differ are refused before the first one is."""
    return {(plan.title, config.seed) for plan in plans for config in plan.configs if is_pending(config, refuse_other_config)}


def is_pending(config: BaseConfig, refuse_other_config: Callable[[BaseConfig, RunDirectory], bool]) -> bool:
    """Return whether a run is to be trained. If it is finished, see to it that it has a report.

    Args:
        config: its configuration.
        refuse_other_config: see run_plans.

    Raises:
        UserError: the run in the directory has other settings.
    """
    run = RunDirectory(config.output_dir)
    if (run.is_run() and refuse_other_config(config, run)) or not run.is_finished():
        return True
    if not (run / "report.html").exists():  # the process was killed just before the end
        from paddle_ft.reporting.page import write_report  # here, because Matplotlib is imported with it

        write_report(run.path)
    return False


def write_tables(plans: list[Plan]) -> str:
    """Write results.json, repeat.md and report.html into the folder of the first plan, and return the tables as text.

    Args:
        plans: what make_plans returned. Only finished runs are in the tables.
    """
    from paddle_ft.experiments.repeat_page import write_pages  # here, because Matplotlib is imported with it

    groups = []
    for plan in plans:
        results = {config.seed: RunDirectory(config.output_dir).results() for config in plan.configs}
        finished = {seed: result for seed, result in results.items() if result.get("status") == "finished"}
        paths = {config.seed: Path(config.output_dir) for config in plan.configs}
        groups.append(Group(plan.title, finished, paths, len(plan.configs)))
    plans[0].folder.mkdir(parents=True, exist_ok=True)
    return write_pages(plans[0].folder, summarize_groups(plans[0].configs[0].recipe, groups), groups)
