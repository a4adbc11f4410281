"""Write a configuration as YAML: with the meaning of each field for --print-config, and without for the run directory."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from paddle_ft.config.schema import BaseConfig
from paddle_ft.config.yaml_text import dump_yaml, dump_yaml_line


def to_yaml(config: BaseConfig) -> str:
    """Return the configuration as plain YAML, which is saved with a run."""
    return dump_yaml(config.model_dump())


def describe(config: BaseConfig) -> str:
    """Return the configuration as YAML with the meaning of each field above it. It can be loaded as a recipe."""
    return "\n".join(_describe_section(config, "")) + "\n"


def _describe_section(section: BaseModel, indent: str) -> list[str]:
    lines = []
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            doc = (type(value).__doc__ or "").strip().splitlines()[0]
            lines += ["", f"{indent}# {doc}", f"{indent}{name}:", *_describe_section(value, indent + "  ")]
            continue
        lines.append(f"{indent}# {info.description}{describe_limits(info)}")
        lines.append(f"{indent}{name}: {dump_yaml_line(value)}")
    return lines


def describe_limits(info: FieldInfo) -> str:
    """Return the allowed values: " [a | b]" for a choice, " [>= 1]" for a range, "" if every value is allowed."""
    if get_origin(info.annotation) is Literal:
        choices = get_args(info.annotation)
        return f" [{' | '.join(map(str, choices))}]" if len(choices) > 1 else ""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    limits = [
        f"{sign} {getattr(constraint, name)}"
        for constraint in info.metadata
        for name, sign in signs.items()
        if hasattr(constraint, name)
    ]
    return f" [{', '.join(limits)}]" if limits else ""
