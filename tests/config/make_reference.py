"""Write the tables of docs/configuration.md from the schema of the settings: `python -m tests.config.make_reference`.

The descriptions are those that --print-config shows.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from paddle_ft.config.describe import describe_limits
from paddle_ft.config.load import NO_TASKS, TASK_PACKAGE
from paddle_ft.config.schema import BaseConfig, LoRASection, ModelSection
from paddle_ft.config.yaml_text import dump_yaml_line
from paddle_ft.system.plugins import find_plugin, plugin_names
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "configuration.md"
START, END = "<!-- tables: made by python -m tests.config.make_reference -->", "<!-- end of tables -->"
TYPES = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", type(None): "`null`", Any: "any value"}
HEADER = "| key | values | default | meaning |\n| --- | --- | --- | --- |"


def first_line(section: type[BaseModel]) -> str:
    """Return the first line of a section's docstring."""
    return (section.__doc__ or "").strip().splitlines()[0]


def describe_type(annotation: Any, info: FieldInfo) -> str:
    """Return the values that a type allows, in words."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(annotation) in (Union, types.UnionType):
        return ", or ".join(describe_type(argument, info) for argument in arguments)
    if get_origin(annotation) is Annotated:
        return describe_type(*arguments)
    if get_origin(annotation) is list:
        return f"list of {describe_type(arguments[0], info)}"
    if get_origin(annotation) is dict:
        key, value = (describe_type(argument, info) for argument in arguments)
        return f"mapping of {key} to {value}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    limits = describe_limits(info).strip(" []")
    return f"{TYPES[annotation]} {limits}" if limits and annotation in (int, float) else TYPES[annotation]


def escape(text: str) -> str:
    """Return a sentence in which Markdown sees no mark and no tag."""
    return re.sub(r"([*|])", r"\\\1", re.sub(r"<(?=\w)", "&lt;", text))


def row(prefix: str, name: str, info: FieldInfo) -> str:
    """Return a setting's row of the table."""
    if info.is_required():
        default = "must be set"
    else:
        value = info.get_default(call_default_factory=True)
        default = f"`{dump_yaml_line(value)}`"
    return f"| `{prefix}{name}` | {escape(describe_type(info.annotation, info))} | {default} | {escape(info.description)} |"


def table(section: type[BaseModel], prefix: str, without: tuple[str, ...] = ()) -> str:
    """Return the table of a section's settings. The sections inside it have tables of their own."""
    rows = [row(prefix, name, info) for name, info in section.model_fields.items() if name not in without and info.description]
    return "\n".join([HEADER, *rows])


def tasks() -> dict[str, type]:
    """Return name -> class of every task."""
    return {name: find_plugin(TASK_PACKAGE, "TASK", name) for name in plugin_names(TASK_PACKAGE, "TASK", without=NO_TASKS)}


def sections() -> Iterator[tuple[str, str, str]]:
    """Yield (heading, sentence, table) for each section."""
    yield "Top level", "Settings that are in no section.", table(BaseConfig, "")
    for name, info in BaseConfig.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield f"`{name}`", first_line(info.annotation), table(info.annotation, f"{name}.")
        if info.annotation is ModelSection:
            yield "`model.lora`", first_line(LoRASection), table(LoRASection, "model.lora.")
    added: dict[tuple[str, type], list[str]] = {}
    for name, task in tasks().items():
        yield f"`task` for {name}", first_line(task.Options), table(task.Options, "task.")
        if task.Model is not ModelSection:
            text = f"{first_line(task.Model)} These settings stand beside those of `model` above."
            yield f"`model` for {name}", text, table(task.Model, "model.", tuple(ModelSection.model_fields))
        for section_name, section in task.sections.items():
            added.setdefault((section_name, section), []).append(name)
    for (name, section), users in added.items():
        yield f"`{name}`", f"{first_line(section)} Only for {' and '.join(users)}.", table(section, f"{name}.")


def tables() -> str:
    """Return all tables with their headings."""
    return "\n\n".join(f"### {heading}\n\n{escape(sentence)}\n\n{text}" for heading, sentence, text in sections())


def with_tables(page: str) -> str:
    """Return the page with new tables."""
    before, rest = page.split(START)
    return f"{before}{START}\n\n{tables()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
