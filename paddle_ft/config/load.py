"""Load a recipe: combine its YAML file with the overrides of the command line, and check the result."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError, create_model

from paddle_ft.config.messages import describe_errors
from paddle_ft.config.recipes import find_recipe
from paddle_ft.config.schema import BaseConfig
from paddle_ft.config.yaml_text import parse_yaml
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.system.plugins import find_plugin, import_hint, plugin_names

# The tasks import config.schema, so this package must not import them. It looks them up by the name of their package.
TASK_PACKAGE = "paddle_ft.tasks"
NO_TASKS = ("base", "shared")  # modules of that package that are not tasks
OWN_KEYS = ("recipe", "output_dir")  # not taken over from a recipe that is extended: two recipes must not share a directory


class Setting(NamedTuple):
    """An override with the place where it was set, for messages: a file and line, or the command line."""

    key: str
    value: Any
    origin: str


Overrides = Sequence[str | Setting] | Mapping[str, Any]

_KEY = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")


def load_config(name: str, overrides: Overrides = (), sample: bool = False) -> BaseConfig:
    """Load a recipe, apply its sample block (if `sample` is set) and then the overrides, and check the result.

    Args:
        name: a recipe in configs/, or the path of a YAML file.
        overrides: strings of the form section.key=value, with the value in YAML, and Settings; or a mapping of section.key ->
            Python value.
        sample: apply the recipe's `sample:` block (generated text and a small model).

    Raises:
        UserError: the recipe or an override is wrong. One message lists all errors.
    """
    path = find_recipe(name)
    shown_path = relative_path(path)
    data, origins = _read_recipe(path)
    _apply_sample(data, origins, sample, shown_path)
    data.setdefault("recipe", path.stem)
    data.setdefault("output_dir", f"runs/{path.stem}")
    if sample:
        data["output_dir"] = f"{data['output_dir']}_sample"
    for key, value, origin in read_overrides(overrides):
        _set_key(data, key, value)
        origins[key] = origin
    return check_config(data, origins, shown_path)


def _read_recipe(path: Path) -> tuple[dict, dict[str, str]]:
    """Return the sections and keys of a recipe and those that it extends, and for each dotted key where it was set (file:line)."""
    (data, origins), *bases = read_files(path)
    for base, base_origins in bases:
        for key in OWN_KEYS:
            base.pop(key, None)
        data, origins = _extend(base, data), base_origins | origins
    return data, origins


def read_files(path: Path, extended_by: tuple[Path, ...] = ()) -> list[tuple[dict, dict[str, str]]]:
    """Read the file of a recipe and those that it extends, each without its `extends`.

    Args:
        path: the YAML file.
        extended_by: the files that led here by their `extends`, for the check that none extends itself.

    Returns:
        For each file, the first one first: its sections and keys, and for each dotted key where it is set (file:line).

    Raises:
        UserError: a file cannot be read, is not a recipe, or extends something that does not exist or itself.
    """
    data, origins = read_mapping(path, "a recipe is a mapping of sections")
    if "extends" not in data:
        return [(data, origins)]
    base_name, origin = data.pop("extends"), origins.pop("extends")
    if not isinstance(base_name, str):
        needed = "the name of a recipe or the path of a YAML file"
        raise UserError(f"extends: {base_name!r} is not allowed ({origin}): must be {needed}.")
    base_path = find_recipe(base_name, folder=path.parent, shown_key=f"{origin}: extends")
    chain = (*extended_by, path)
    if base_path.resolve() in {file.resolve() for file in chain}:
        raise UserError(f"{origin}: extends {base_name}: this recipe extends itself.")
    return [(data, origins), *read_files(base_path, chain)]


def read_mapping(path: Path, meaning: str) -> tuple[dict, dict[str, str]]:
    """Return the content of a YAML file, and for each dotted key where it is set (file:line).

    Args:
        path: the file.
        meaning: what its content is, for the message about another content: "a recipe is a mapping of sections".

    Raises:
        UserError: the file cannot be read, is not valid YAML, or is no mapping.
    """
    shown_path = relative_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{shown_path}:{line}: this is not UTF-8: save the file as UTF-8.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    data, lines = parse_yaml(text, shown_path)
    if not isinstance(data, dict):
        raise UserError(f"{shown_path}: {meaning}, but this file contains a {type(data).__name__}.")
    return data, {key: f"{shown_path}:{line}" for key, line in lines.items()}


def _extend(base: dict, data: dict) -> dict:
    """Return a recipe with the keys of `data` in place of those of `base`. Sections are merged key by key, their values are not."""
    merged = dict(base)
    for name, section in data.items():
        both_sections = isinstance(section, dict) and isinstance(base.get(name), dict)
        merged[name] = base[name] | section if both_sections else section
    return merged


def relative_path(path: Path) -> str:
    """Return a path relative to the working directory if it is in it, for messages."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _apply_sample(data: dict, origins: dict[str, str], sample: bool, shown_path: str) -> None:
    """Remove the sample block from the recipe, and apply its keys if `sample` is set.

    The saved configuration of a run has true or false instead of a block.
    """
    block = data.pop("sample", None)
    if isinstance(block, bool):
        data["sample"], block = block, None
    if not sample:
        return
    if not isinstance(block, dict):
        raise UserError(f"{shown_path}: this recipe has no sample block, so --sample cannot be used with it.")
    for key, value in block.items():
        if not isinstance(key, str):
            raise UserError(f"{shown_path}: sample: {key!r} is not a key; a sample block consists of section.key: value.")
        _set_key(data, key, value)
        origins[key] = origins.get(f"sample.{key}", shown_path)
    data["sample"] = True


def read_overrides(overrides: Overrides) -> Iterator[Setting]:
    """Yield each override with the place where it was set."""
    if not isinstance(overrides, Mapping):
        for item in overrides:
            yield item if isinstance(item, Setting) else Setting(*parse_override(item), f"command line: {item}")
        return
    for key, value in overrides.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise UserError(f"overrides: {key!r} is not a key; a key looks like section.key, for example train.learning_rate.")
        yield Setting(key, _to_plain(value), f"overrides: {{{key!r}: {value!r}}}")


def _to_plain(value: Any) -> Any:
    """Return a Python value as YAML would give it: paths as text, tuples as lists, NumPy's scalars as numbers."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def parse_override(text: str) -> tuple[str, Any]:
    """Split an override such as "train.learning_rate=3e-5" into the key and the value, which is parsed as YAML.

    Raises:
        UserError: the text does not have this form, or the value is not valid YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not _KEY.fullmatch(key):
        raise UserError(f"{text!r}: an override looks like section.key=value, for example train.learning_rate=3e-5.")
    return key, parse_yaml(value, f"command line: {key}")[0] if value.strip() else None


def _set_key(data: dict, key: str, value: Any) -> None:
    """Set a dotted key in nested dictionaries. If the value is a mapping, it replaces the earlier one and is not merged with it.

    The value is copied, because a later override may set a key in it, and the same Setting may be used for other runs.
    """
    *parents, last = key.split(".")
    for part in parents:
        if not isinstance(data.get(part), dict):
            data[part] = {}
        data = data[part]
    data[last] = copy.deepcopy(value)


def check_config(data: dict, origins: dict[str, str], shown_path: str) -> BaseConfig:
    """Check a recipe against the schema of its task.

    Args:
        data: the recipe's sections and keys.
        origins: dotted key -> where it was set (file:line or command line), for messages.
        shown_path: the recipe's file, for messages.

    Raises:
        UserError: a key or value is wrong. One message lists all errors.
    """
    task = data.get("task")
    name = task.get("name") if isinstance(task, dict) else task
    names = plugin_names(TASK_PACKAGE, "TASK", without=NO_TASKS)
    if name not in names:
        origin = origins.get("task.name") or origins.get("task") or shown_path
        hint = did_you_mean(str(name), names)
        raise UserError(f"task.name: {name!r} is not a task ({origin}).{hint} Tasks: {', '.join(names)}.{import_hint('a task')}")
    schema = build_schema(name)
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        problems = describe_errors(error, schema, origins)
        count = f"{len(problems)} errors" if len(problems) > 1 else "an error"
        raise UserError(f"{shown_path}: {count} in the configuration:\n" + "\n".join(f"  {p}" for p in problems)) from None


def build_schema(task_name: str) -> type[BaseConfig]:
    """Return the schema for recipes of a task: the common sections, the task's options, and the sections that the task adds."""
    task = find_plugin(TASK_PACKAGE, "TASK", task_name)
    fields: dict[str, Any] = {"task": (task.Options, ...), "model": (task.Model, ...)}
    fields.update({name: (section, section()) for name, section in task.sections.items()})
    schema: type[BaseConfig] = create_model("Config", __base__=BaseConfig, **fields)
    return schema
