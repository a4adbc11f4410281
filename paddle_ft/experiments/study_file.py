"""Read a study: a YAML file that names recipes, what is varied in them, and what is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from paddle_ft.config.load import Setting, read_mapping, relative_path
from paddle_ft.config.messages import describe_errors
from paddle_ft.config.recipes import find_recipe, find_study
from paddle_ft.config.schema import Section
from paddle_ft.config.yaml_text import dump_yaml_line
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import counted, did_you_mean

# A stage may not be called like a part of a recipe, because STAGE.section.key=value sets a key in this stage alone.
RESERVED = ("task", "model", "data", "train", "eval", "tracking", "generation")
REPLACED = ("series", "together")  # mappings that a sample block replaces as a whole
REFERENCE = re.compile(r"\$\{(.*)\}")  # ${STAGE.best}
_STAGE = re.compile(r"[A-Za-z]\w*")


class Axis(Section):
    """What is varied along the axis of the figures."""

    setting: str = Field(min_length=1, description="the setting that is varied, such as data.limit_train")
    values: list[Any] = Field(min_length=1, description="its values; null is shown as all")
    label: str | None = Field(None, min_length=1, description="what the axis is called (null: the setting)")
    together: dict[str, list[Any]] = Field(
        default_factory=dict, description="settings that change with it: section.key: [a value for each of the values]"
    )

    @field_validator("values")
    @classmethod
    def _check_different(cls, values: list[Any]) -> list[Any]:
        doubled = [value for i, value in enumerate(values) if value in values[:i]]
        if doubled:
            raise ValueError(f"{dump_yaml_line(doubled[0])} is there twice")
        return values

    @model_validator(mode="after")
    def _check_together(self):
        for key, values in self.together.items():
            if len(values) != len(self.values):
                raise ValueError(f"together: {key} has {counted(len(values), 'values')}, but x has {len(self.values)}")
        return self

    def varied(self) -> list[str]:
        """Return the settings that are varied."""
        return [self.setting, *self.together]


class Stage(Section):
    """Trainings of one recipe."""

    recipe: str = Field(min_length=1, description="name of a recipe, or the path of a YAML file, from the folder of the study")
    settings: dict[str, Any] = Field(default_factory=dict, description="section.key: value, in all runs of the stage")
    every_seed: bool = Field(
        False, description="for a stage that prepares: train it with every seed, and go on from the one with the same seed"
    )
    series: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="what is compared, as name: {section.key: value}; the first is the reference"
    )
    x: Axis | None = Field(None, description="what is varied along the axis: {setting, values, label}")


class Study(Section):
    """A study. The last stage is the one that is measured; those before it prepare checkpoints."""

    title: str = Field(min_length=1, description="the heading of the page")
    question: str = Field(min_length=1, description="what the study asks")
    notes: list[str] = Field(default_factory=list, description="what a reader of the result has to know, one sentence each")
    seeds: int = Field(
        5, ge=1, le=1000, description="number of seeds; the first is the recipe's own, and the others count up from it"
    )
    stages: dict[str, Stage] = Field(min_length=1, description="name: stage, in the order in which they are trained")
    metrics: list[str] = Field(min_length=1, description="metrics that are shown, by their keys in results.json")
    split: Literal["validation", "test"] | None = Field(
        None, description="the split that the metrics are from (null: test, or validation for runs without one)"
    )
    sample: dict[str, Any] | None = Field(
        None, description="what is different with --sample, which also uses the recipes' samples; written like the study"
    )

    @field_validator("stages")
    @classmethod
    def _check_stages(cls, stages: dict[str, Stage]) -> dict[str, Stage]:
        *earlier, last = stages
        for name, stage in stages.items():
            if not _STAGE.fullmatch(name) or name in RESERVED:
                raise ValueError(f"{name!r} cannot be the name of a stage: use letters, and none of {', '.join(RESERVED)}")
            if name in earlier and (stage.series or stage.x):
                raise ValueError(f"{name} has series or x, but only the last stage, {last}, is measured")
        if stages[last].every_seed:
            raise ValueError(f"{last} has every_seed, but the last stage is trained with every seed anyway")
        return stages


class StudyFile:
    """A study with where it was read from.

    Attributes:
        name: its name, for the folder of its runs.
        path: its file.
        study: its content, the sample block applied.
        origins: dotted key -> where it was set (file:line).
        sample: whether this is a --sample study.
    """

    def __init__(self, name: str, path: Path, study: Study, origins: Mapping[str, str], sample: bool):
        self.name, self.path, self.study, self.origins, self.sample = name, path, study, origins, sample

    @property
    def measured(self) -> str:
        """The name of the stage that is measured, which is the last one."""
        return list(self.study.stages)[-1]

    def settings(self, *keys: str) -> list[Setting]:
        """Return the settings below a key of the file, such as ("stages", "classifier", "series", "adapted")."""
        place: Any = self.study
        for key in keys:
            place = getattr(place, key) if isinstance(place, BaseModel) else place[key]
        prefix = ".".join(keys)
        return [Setting(key, value, self.origin(f"{prefix}.{key}")) for key, value in place.items()]

    def origin(self, key: str) -> str:
        """Return the file and line of a key, or of the nearest key around it."""
        while key not in self.origins and "." in key:
            key = key.rpartition(".")[0]
        return self.origins.get(key, relative_path(self.path))

    def recipe(self, stage: str) -> Path:
        """Return the path of a stage's recipe. Raise UserError if there is none."""
        shown_key = f"{self.origin(f'stages.{stage}.recipe')}: recipe"
        return find_recipe(self.study.stages[stage].recipe, folder=self.path.parent, shown_key=shown_key)


def read_study(name: str, sample: bool = False) -> StudyFile:
    """Read a study, apply its sample block if `sample` is set, and check it.

    Args:
        name: a study in configs/studies/, or the path of a YAML file.
        sample: whether the study is to take minutes.

    Raises:
        UserError: the file is missing or wrong. One message lists all wrong keys.
    """
    path = find_study(name)
    shown_path = relative_path(path)
    data, origins = read_mapping(path, "a study is a mapping of keys")
    if sample:
        block = data.pop("sample", None)
        if not isinstance(block, dict):
            raise UserError(f"{shown_path}: this study has no sample block, so --sample cannot be used with it.")
        _check_sample(data, block, origins, shown_path)
        data = _merge(data, block)
        prefix = "sample."
        origins |= {key.removeprefix(prefix): place for key, place in origins.items() if key.startswith(prefix)}
    study = _check(data, origins, shown_path)
    file = StudyFile(path.stem, path, study, origins, sample)
    _check_settings(file)
    return file


def _check_sample(data: dict, block: dict, origins: Mapping[str, str], shown_path: str) -> None:
    """Raise UserError if a sample block changes a stage that the study does not have: it is most likely misspelled."""
    stages, changed = data.get("stages"), block.get("stages")
    if not isinstance(stages, dict) or not isinstance(changed, dict):
        return  # named with the other wrong keys
    for name in changed:
        if name not in stages:
            hint = did_you_mean(str(name), [str(stage) for stage in stages])
            raise UserError(f"{origins.get(f'sample.stages.{name}', shown_path)}: sample: there is no stage {name}.{hint}")


def _merge(data: dict, block: dict) -> dict:
    """Return a study with the keys of its sample block in place of its own."""
    merged = dict(data)
    for key, value in block.items():
        both = isinstance(value, dict) and isinstance(data.get(key), dict) and key not in REPLACED
        merged[key] = _merge(data[key], value) if both else value
    return merged


def _check(data: dict, origins: Mapping[str, str], shown_path: str) -> Study:
    """Check the content of a study. The stages are checked one by one, so that messages name the keys in them."""
    stages = data.get("stages")
    in_stages = []
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        prefix = f"stages.{name}."
        own = {key.removeprefix(prefix): place for key, place in origins.items() if key.startswith(prefix)}
        try:
            Stage.model_validate(stage)
        except ValidationError as error:
            lines = describe_errors(error, Stage, own)
            in_stages += [f"stages.{name}{line}" if line.startswith(":") else f"{prefix}{line}" for line in lines]
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        lines = describe_errors(error, Study, dict(origins))
    problems = [*(line for line in lines if not (in_stages and line.startswith("stages"))), *in_stages]
    count = f"{len(problems)} errors" if len(problems) > 1 else "an error"
    raise UserError(f"{shown_path}: {count} in the study:\n" + "\n".join(f"  {problem}" for problem in problems))


def _check_settings(file: StudyFile) -> None:
    """Check the references in the settings, and that no setting is set which the study sets itself."""
    earlier: list[str] = []
    for name, stage in file.study.stages.items():
        file.recipe(name)
        settings = file.settings("stages", name, "settings")
        for series in stage.series:
            settings += file.settings("stages", name, "series", series)
        for setting in settings:
            if setting.key in ("seed", "output_dir"):
                raise UserError(f"{setting.origin}: {setting.key}: a study sets it for each run itself; leave it out.")
            if setting.key in RESERVED and isinstance(setting.value, dict):
                raise UserError(
                    f"{setting.origin}: {setting.key}: this would replace the whole section of the recipe; write each key with its"
                    f" section, such as {setting.key}.KEY: VALUE."
                )
            if stage.x and setting.key in stage.x.varied():
                raise UserError(f"{setting.origin}: {setting.key}: it is what x varies; leave it out here.")
            check_reference(setting, earlier)
        earlier.append(name)


def check_reference(setting: Setting, stages: list[str]) -> str | None:
    """Return the stage that a setting refers to, or None if its value is no reference.

    Args:
        setting: a setting.
        stages: the stages whose checkpoints it may refer to.

    Raises:
        UserError: it refers to something else.
    """
    match = REFERENCE.fullmatch(setting.value) if isinstance(setting.value, str) else None
    if match is None:
        return None
    stage, _, what = match[1].partition(".")
    if what != "best":
        raise UserError(f"{setting.origin}: {setting.key}: {setting.value}: a reference looks like ${{STAGE.best}}.")
    if stage not in stages:
        known = f" Earlier stages: {', '.join(stages)}." if stages else " There is no earlier stage."
        hint = did_you_mean(stage, stages)
        raise UserError(f"{setting.origin}: {setting.key}: {setting.value}: there is no earlier stage {stage}.{hint}{known}")
    return stage
