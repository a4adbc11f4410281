"""The plan of a sweep: its trials, its folder, and what sweep.json keeps of it, so that the same command goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from paddle_ft.config.schema import BaseConfig
from paddle_ft.data.splits import NO_SPLIT
from paddle_ft.experiments.sweep_space import Choices, Range, Space, parse_space
from paddle_ft.metrics.registry import find_metric
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import flatten, refuse_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import read_object, to_json, write_atomically
from paddle_ft.system.formatting import format_duration, is_number
from paddle_ft.tasks import find_task

NAME = "sweep.json"
MAX_TRIALS = 30  # combinations of a grid without --max-trials
# Settings that change no result of a trial.
FREE = ("output_dir", "recipe", "device", "tracking.", "data.cache", "train.logging_steps", "train.save_steps",
        "train.keep_checkpoints", "train.recompute")  # fmt: skip

Load = Callable[[list[str]], BaseConfig]
"""Return the configuration of the recipe with overrides."""


@dataclass
class Plan:
    """The trials of a sweep.

    Attributes:
        load: loads a configuration.
        space: what the trials have in common and in what they differ.
        count: number of trials.
        prune: whether trials that fall behind are stopped.
        base: the configuration of the first trial, for what all trials have in common.
        folder: where everything is.
        winner: number of the chosen trial, once it is chosen.
        failed: number of a trial -> why it failed.
    """

    load: Load
    space: Space
    count: int
    prune: bool
    base: BaseConfig
    folder: Path
    winner: int | None = None
    failed: dict[int, str] = field(default_factory=dict)

    @cached_property
    def metric(self) -> str:
        """The metric on validation that the trials are compared by."""
        return str(self.base.eval.best_metric or find_task(self.base.task.name).best_metric)

    @property
    def needs_study(self) -> bool:
        """Whether optuna chooses the settings, or which trials are stopped."""
        return self.prune or not self.space.is_grid

    def path(self, number: int) -> Path:
        """Return the directory of a trial. Trials count from 1."""
        return self.folder / f"trial-{number}"

    def log(self, number: int) -> Path:
        """Return the file with the output of a trial that runs in a process of its own, or with its error."""
        return self.folder / "logs" / f"trial-{number}.log"

    def config(self, number: int, settings: Mapping[str, str]) -> BaseConfig:
        """Return the configuration of a trial, without what chooses nothing: the test split, and the scores before training.

        Args:
            number: the trial's number.
            settings: key -> value of the settings that differ, in YAML.
        """
        before = [] if self._is_fixed("eval.before_training") else ["eval.before_training=false"]
        return self.load([*self.settings(settings), f"data.test={NO_SPLIT}", *before, f"output_dir={self.path(number)}"])

    def winner_config(self, settings: Mapping[str, str]) -> BaseConfig:
        """Return the configuration of the run that trains the chosen settings again, with the test split and the next seed."""
        return self.load([*self.settings(settings), f"seed={self.base.seed + 1}", f"output_dir={self.folder / 'best'}"])

    def settings(self, settings: Mapping[str, str]) -> list[str]:
        """Return the settings of all trials and those of one as overrides."""
        return [*self.space.fixed, *(f"{key}={value}" for key, value in settings.items())]

    def _is_fixed(self, key: str) -> bool:
        return any(override.partition("=")[0] == key for override in self.space.fixed)

    # -------------------------------------------------------------------------------- sweep.json
    def restore(self) -> None:
        """Take over what an earlier call has written. Raise UserError if that was another sweep."""
        file = self.folder / NAME
        if not file.exists():
            return
        then, now = read_object(file), self._content()
        self.winner = then.get("winner")
        self.failed = {int(number): str(reason) for number, reason in (then.get("failed") or {}).items()}
        lines = []
        for part in ("space", "settings"):
            before = then.get(part) or {}
            keys = [key for key in sorted({*before, *now[part]}) if before.get(key) != now[part].get(key)]
            lines += [f"  {key}: {_shown(before.get(key))} then, {_shown(now[part].get(key))} now" for key in keys]
        if then.get("prune") != self.prune:
            lines.append(f"  --prune: {_shown(then.get('prune'))} then, {self.prune} now")
        planned = then.get("trials") or 0
        if planned > self.count or (self.winner is not None and planned != self.count):  # a search may get more before its choice
            lines.append(f"  trials: {planned} then, {self.count} now")
        if lines:
            chosen = " and has chosen its winner" if self.winner is not None else ""
            raise UserError(
                f"{self.folder}: the sweep in this folder was started with other settings{chosen}:\n" + "\n".join(lines) + "\n"
                "Give the same command as then, or another folder with output_dir=ANOTHER."
            )

    def save(self) -> None:
        """Write sweep.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / NAME, to_json(self._content(), indent=2) + "\n")

    def _content(self) -> dict[str, Any]:
        swept = {parameter.key for parameter in self.space.parameters}
        settings = flatten(self.base.model_dump())
        return {
            "recipe": self.base.recipe,
            "metric": self.metric,
            "trials": self.count,
            "prune": self.prune,
            "winner": self.winner,
            "failed": {str(number): reason for number, reason in self.failed.items()},
            "space": {parameter.key: str(parameter) for parameter in self.space.parameters},
            "settings": {key: value for key, value in settings.items() if not key.startswith((*FREE, *swept))},
        }


def make_plan(
    load: Load, overrides: Sequence[str], trials: int | None = None, prune: bool = False, max_trials: int = MAX_TRIALS
) -> Plan:
    """Return the plan of a sweep.

    Args:
        load: loads a configuration.
        overrides: settings of all trials, lists of values, and ranges.
        trials: number of trials of a search; a grid has as many as there are combinations.
        prune: whether trials that fall behind are stopped.
        max_trials: the most combinations that a grid may have.

    Raises:
        UserError: the space is wrong, a value is not allowed, or there is no validation split to choose by.
    """
    space = parse_space(overrides)
    _check_count(space, trials)
    base = _load_first(load, space)
    folder = Path(base.output_dir).expanduser()
    if not any(override.startswith("output_dir=") for override in space.fixed):
        folder = folder.with_name(f"{folder.name}_sweep")
    refuse_run(folder, "all trials")
    plan = Plan(load, space, trials or 0, prune, base, folder)
    _check_choice(plan)
    if space.is_grid:
        plan.count = _count_combinations(plan, max_trials)
        for number, settings in enumerate(space.combinations(), start=1):
            plan.config(number, settings)  # values that are allowed alone may not go together
    return plan


def _check_count(space: Space, trials: int | None) -> None:
    ranges = [f"{parameter.key}={parameter}" for parameter in space.parameters if isinstance(parameter, Range)]
    if ranges and trials is None:
        raise UserError(f"--trials is missing: say how many values of {ranges[0]} are tried, as in --trials 20.")
    if trials is not None and not ranges:
        raise UserError("--trials is for ranges such as train.learning_rate=log(1e-5,1e-3); of lists, all combinations are tried.")
    if trials is not None and trials < 2:
        raise UserError(f"--trials {trials}: it must be at least 2.")


def _load_first(load: Load, space: Space) -> BaseConfig:
    """Return the configuration of the first trial, without its folder.

    Raises:
        UserError: the schema does not allow a value. This is found before anything is trained.
    """
    values = {p.key: p.values if isinstance(p, Choices) else p.probes() for p in space.parameters}
    first = {key: candidates[0] for key, candidates in values.items()}
    configs = []
    for parameter in space.parameters:
        for value in values[parameter.key]:
            settings = first | {parameter.key: value}
            try:
                configs.append(load([*space.fixed, *(f"{key}={value}" for key, value in settings.items())]))
            except UserError as error:
                if isinstance(parameter, Choices):
                    raise
                raise UserError(f"{parameter.key}={parameter}: the range has values that are not allowed: {error}") from None
    return configs[0]


def _check_choice(plan: Plan) -> None:
    """Raise UserError if there can be nothing to choose by."""
    data = plan.base.data
    draws_splits = hasattr(plan.base.task, "validation_share")  # of the training rows
    if not draws_splits and (data.validation == NO_SPLIT or (data.source is None and data.validation is None)):
        raise UserError(
            "data.validation: there is no validation split, by which the best trial could be chosen. Set it to a file, with rows"
            " that are not in the training file; the test split is never used for the choice."
        )
    if data.validation == data.test and data.test not in (None, NO_SPLIT):
        raise UserError(
            f"data.test: it is the same as data.validation ({data.test}), so the score on test would be one that was chosen. Set"
            " one of them to other rows, or data.test=none."
        )
    if find_metric(plan.metric).direction == "none":
        raise UserError(f"eval.best_metric: {plan.metric} is a count, of which no value is better than another.")


def _count_combinations(plan: Plan, max_trials: int) -> int:
    """Return how many trials a grid has. Raise UserError if that is more than `max_trials`."""
    sizes = [len(parameter.values) for parameter in plan.space.parameters if isinstance(parameter, Choices)]
    count = 1
    for size in sizes:
        count *= size
    if count > max_trials:
        product = f" ({' x '.join(map(str, sizes))})" if len(sizes) > 1 else ""
        raise UserError(
            f"{count:,} combinations{product} are more than --max-trials {max_trials}; {_estimate(plan, count)}. Leave values out,"
            f" try a part of the space with ranges and --trials N, or give --max-trials {count}."
        )
    return count


def _estimate(plan: Plan, count: int) -> str:
    """Return how long all trials take, by a finished trial or by the recipe's own run if there is one."""
    for path in (*sorted(plan.folder.glob("trial-*")), Path(plan.base.output_dir)):
        seconds = (RunDirectory(path).results().get("train") or {}).get("seconds")
        if is_number(seconds) and seconds > 0:
            return f"their training takes about {format_duration(count * seconds)}, by the {format_duration(seconds)} of {path}"
    return "how long one takes is not known yet (the command train with --check estimates it)"


def _shown(value: Any) -> str:
    return "not there" if value is None else str(value)
