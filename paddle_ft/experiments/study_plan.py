"""Plan a study: the run of every stage, series, value of x and seed, with its settings and its directory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddle_ft.config.load import Setting, load_config, read_overrides
from paddle_ft.config.recipes import CONFIG_FOLDER, name_in
from paddle_ft.config.schema import BaseConfig
from paddle_ft.config.yaml_text import dump_yaml_line
from paddle_ft.experiments.study_file import RESERVED, StudyFile, check_reference
from paddle_ft.runs.settings import refuse_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.system.installation import train_program


@dataclass(frozen=True)
class StudyRun:
    """A run of a study.

    Attributes:
        stage: its stage.
        series: its series, "" in a stage that is not measured.
        x: index of its value of x, 0 without x.
        seed: its seed.
        recipe: its recipe, as a command names it.
        overrides: its settings, as a command gives them.
        config: its configuration.
        label: what it is called in messages.
        needs: the runs whose checkpoints it starts from.
    """

    stage: str
    series: str
    x: int
    seed: int
    recipe: str
    overrides: tuple[str, ...]
    config: BaseConfig = field(compare=False)
    label: str
    needs: tuple[Path, ...] = ()

    @property
    def path(self) -> Path:
        """The directory of the run."""
        return Path(self.config.output_dir)

    def command(self, sample: bool) -> str:
        """Return the command that trains it alone."""
        flags = ["--sample"] if sample else []
        return f"{train_program()} {shlex.join(['--config', self.recipe, *flags, *self.overrides])}"


@dataclass
class StudyPlan:
    """All runs of a study, in the order in which they are trained.

    Attributes:
        file: the study.
        folder: the folder of its runs and of its page.
        seeds: the seeds of the measured stage.
        series: the names of its series, the reference first.
        labels: the values of x as texts, [""] without x.
        command: the command of the study.
        settings: the settings of all runs of a stage, of the file and of the command line.
        runs: the runs.
    """

    file: StudyFile
    folder: Path
    seeds: list[int]
    series: list[str]
    labels: list[str]
    command: str = ""
    settings: dict[str, list[Setting]] = field(default_factory=dict)
    runs: list[StudyRun] = field(default_factory=list)

    @property
    def measured(self) -> list[StudyRun]:
        """The runs of the stage that is measured."""
        return [run for run in self.runs if run.stage == self.file.measured]


def make_plan(file: StudyFile, overrides: Sequence[str] = (), num_seeds: int | None = None, command: str = "") -> StudyPlan:
    """Return the plan of a study.

    Args:
        file: the study.
        overrides: settings of all runs as section.key=value, or of those of a stage as STAGE.section.key=value.
        num_seeds: number of seeds; None: the study's own.
        command: the command of the study, for its page.

    Raises:
        UserError: a setting is wrong, or the folder is that of a run.
    """
    folder, general, by_stage = _read_overrides(file, overrides)
    refuse_run(folder, "all runs of the study")
    measured = file.study.stages[file.measured]
    values = measured.x.values if measured.x else [None]
    labels = [value_label(value) for value in values] if measured.x else [""]
    plan = StudyPlan(file, folder, [], list(measured.series) or [file.recipe(file.measured).stem], labels, command)
    plan.settings = {
        name: [*file.settings("stages", name, "settings"), *general, *by_stage.get(name, [])] for name in file.study.stages
    }
    for setting in [*general, *by_stage.get(file.measured, [])]:
        _refuse_varied(file, setting)
    first = _load(plan, file.measured, plan.settings[file.measured]).seed
    plan.seeds = list(range(first, first + (num_seeds or file.study.seeds)))
    prepared: dict[str, dict[int, Path]] = {}
    for name, stage in file.study.stages.items():
        seeds = plan.seeds if stage.every_seed or name == file.measured else plan.seeds[:1]
        new = _stage_runs(plan, name, seeds, prepared)
        if len({run.path for run in new}) < len(new):
            raise UserError(f"{file.origin(f'stages.{name}')}: two of its series or values of x have the same name for a folder.")
        plan.runs += new
        prepared[name] = {run.seed: run.path for run in new}
    return plan


def value_label(value: Any) -> str:
    """Return a value of x as text: "2,000", "0.25", "2e-05", "all" for null."""
    if value is None:
        return "all"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else dump_yaml_line(value)


def _read_overrides(file: StudyFile, overrides: Sequence[str]) -> tuple[Path, list[Setting], dict[str, list[Setting]]]:
    """Return the folder, the settings of all runs, and those of each stage."""
    folder = f"runs/study_{file.name}{'_sample' if file.sample else ''}"
    general: list[Setting] = []
    by_stage: dict[str, list[Setting]] = {}
    for setting in read_overrides(overrides):
        stage, _, key = setting.key.partition(".")
        if setting.key == "output_dir":
            folder = str(setting.value)
        elif stage in file.study.stages and key in ("seed", "output_dir"):
            raise UserError(f"{setting.origin}: it cannot be set for one stage; set {key} for the whole study.")
        elif stage in file.study.stages and key:
            by_stage.setdefault(stage, []).append(Setting(key, setting.value, setting.origin))
        elif key and stage not in RESERVED:
            hint = did_you_mean(stage, [*file.study.stages, *RESERVED])
            raise UserError(
                f"{setting.origin}: there is no stage or section {stage}.{hint} Stages: {', '.join(file.study.stages)}."
            )
        else:
            general.append(setting)
    return Path(folder).expanduser(), general, by_stage


def _refuse_varied(file: StudyFile, setting: Setting) -> None:
    """Raise UserError for a setting that would be without effect, because the study sets it in all runs that it is for."""
    stage = file.study.stages[file.measured]
    in_all_series = bool(stage.series) and all(setting.key in series for series in stage.series.values())
    if in_all_series or (stage.x and setting.key in stage.x.varied()):
        what = "series" if in_all_series else "x"
        raise UserError(
            f"{setting.origin}: this study varies {setting.key} itself ({file.origin(f'stages.{file.measured}.{what}')})."
        )


def _stage_runs(plan: StudyPlan, name: str, seeds: list[int], prepared: dict[str, dict[int, Path]]) -> list[StudyRun]:
    """Return the runs of a stage: for each seed all values of x, for each of these all series."""
    file, runs = plan.file, []
    stage = file.study.stages[name]
    series_settings = {one: file.settings("stages", name, "series", one) for one in stage.series}
    values = stage.x.values if stage.x else [None]
    loaded: dict[tuple, BaseConfig] = {}
    for seed in seeds:
        for x, value in enumerate(values):
            for series in series_settings or [file.recipe(name).stem]:
                settings = [*plan.settings[name], *series_settings.get(series, [])]
                if stage.x:
                    settings.append(Setting(stage.x.setting, value, file.origin(f"stages.{name}.x.values")))
                    together = file.settings("stages", name, "x", "together")
                    settings += [Setting(one.key, one.value[x], one.origin) for one in together]
                settings, needs = _resolve(settings, prepared, seed)
                parts = [series] if series_settings else []
                parts += [value_label(value)] if stage.x else []
                folder = plan.folder.joinpath(name, *map(_slug, parts), f"seed-{seed}")
                key = (series, x, needs)
                if key not in loaded:
                    loaded[key] = _load(plan, name, settings)
                config = loaded[key].model_copy(update={"seed": seed, "output_dir": str(folder)})
                texts = [f"{one.key}={dump_yaml_line(one.value)}" for one in _last_of_each(settings) if one.key != "seed"]
                overrides = (*texts, f"seed={seed}", f"output_dir={folder}")
                label = ", ".join([name, *parts, f"seed {seed}"])
                measured = series if name == file.measured else ""
                runs.append(StudyRun(name, measured, x, seed, recipe_name(file, name), overrides, config, label, needs))
    return runs


def _last_of_each(settings: list[Setting]) -> list[Setting]:
    """Return the settings that count: of several with the same key, the last one."""
    return [one for i, one in enumerate(settings) if all(later.key != one.key for later in settings[i + 1 :])]


def _resolve(settings: list[Setting], prepared: dict[str, dict[int, Path]], seed: int) -> tuple[list[Setting], tuple[Path, ...]]:
    """Return the settings with paths in place of references, and the runs that they refer to.

    A reference means the run with the same seed, or the only run of a stage that was trained once.
    """
    resolved, needs = [], []
    for setting in _last_of_each(settings):
        stage = check_reference(setting, list(prepared))
        if stage is not None:
            run = prepared[stage].get(seed) or next(iter(prepared[stage].values()))
            needs.append(run)
            setting = Setting(setting.key, str(run / "best"), setting.origin)
        resolved.append(setting)
    return resolved, tuple(needs)


def _load(plan: StudyPlan, stage: str, settings: list[Setting]) -> BaseConfig:
    """Return the configuration of a run, with the folder of its recipe."""
    return load_config(str(plan.file.recipe(stage)), settings, plan.file.sample)


def recipe_name(file: StudyFile, stage: str) -> str:
    """Return the recipe of a stage as a command names it: the name of a recipe of ours, or the path of a file."""
    path = file.recipe(stage)
    return name_in(CONFIG_FOLDER, path) if CONFIG_FOLDER in path.parents else str(path)


def _slug(text: str) -> str:
    """Return a text as the name of a folder: "3 lines" becomes 3-lines, "2,000" becomes 2000."""
    return re.sub(r"[^\w.-]+", "-", text.replace(",", ""))[:60].strip("-.") or "value"
