"""Say which settings of the user's own recipe are replaced by the sample block of the recipe that it extends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paddle_ft.config.load import read_files, read_overrides
from paddle_ft.config.recipes import find_recipe
from paddle_ft.config.yaml_text import dump_yaml_line


def describe_replaced(name: str, overrides: Sequence[str] | Mapping[str, Any] = ()) -> str | None:
    """Return a line on the settings that --sample replaces: "--sample replaces train.warmup_steps: 50 -> 0".

    A sample block is applied after the settings of all files and before the overrides. So it replaces what a recipe of the user's
    own sets, if the block is inherited. A file's own sample block is meant for its own settings, and is not reported.

    Args:
        name: a recipe in configs/, or the path of a YAML file, that can be loaded with its sample.
        overrides: the overrides of load_config.

    Returns:
        The line, or None if no setting is replaced by another value.
    """
    settings: dict[str, Any] = {}  # of the files before the one that is looked at
    sampled = {key for key, *_ in read_overrides(overrides)}
    replaced = []
    for data, _ in read_files(find_recipe(name)):
        block = data.pop("sample", None)
        for key, value in block.items() if isinstance(block, dict) else ():
            if key in settings and key not in sampled and settings[key] != value:
                replaced.append(f"{key}: {dump_yaml_line(settings[key])} -> {dump_yaml_line(value)}")
            sampled.add(key)
        settings = _dotted(data) | settings
    return f"--sample replaces {', '.join(replaced)}" if replaced else None


def _dotted(data: dict, prefix: str = "") -> dict[str, Any]:
    """Return the value of every dotted key, of sections too."""
    values: dict[str, Any] = {}
    for key, value in data.items():
        values[f"{prefix}{key}"] = value
        if isinstance(value, dict):
            values |= _dotted(value, f"{prefix}{key}.")
    return values
