"""Turn pydantic's validation errors into one plain line each, and suggest the name that was probably meant."""

from __future__ import annotations

import difflib
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

_TYPE_MESSAGES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be a mapping {key: value}",
    "model_type": "must be a section {key: value}",
    "model_attributes_type": "must be a section {key: value}",
    "list_type": "must be a list",
    "missing": "is missing",
}


def did_you_mean(word: str, names: list[str]) -> str:
    """Return " Did you mean NAME?" for the nearest name, or an empty string if none is near."""
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def describe_errors(error: ValidationError, schema: type[BaseModel], origins: dict[str, str]) -> list[str]:
    """Return one line for each key with an error: the key, its value, what is allowed, and where it was set.

    Args:
        error: what pydantic raised.
        schema: the schema that was checked against.
        origins: dotted key -> file:line or command line.
    """
    errors_by_key: dict[str, list[dict]] = {}
    for item in error.errors():
        errors_by_key.setdefault(_dotted_key(item["loc"], schema), []).append(item)
    lines = []
    for key, items in errors_by_key.items():
        item = items[0]
        where = f" ({origins[key]})" if key in origins else ""
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: there is no such key{where}.{_suggest_key(key, schema)}")
        elif item["type"] == "missing":
            lines.append(f"{key}: is missing{where}.")
        elif item["type"] == "value_error":
            lines.append(f"{key}: {item['ctx']['error']}{where}.")
        else:
            allowed = " or ".join(dict.fromkeys(_describe_allowed(i) for i in items))
            lines.append(f"{key}: {item['input']!r} is not allowed{where}: {allowed}.")
    return lines


def _describe_allowed(item: dict) -> str:
    if item["type"] in _TYPE_MESSAGES:
        return _TYPE_MESSAGES[item["type"]]
    message = item["msg"]
    return message.replace("Input should be", "must be").replace("'", "").replace("String should have", "must have")


def _dotted_key(location: tuple, schema: type[BaseModel]) -> str:
    """Return the key of an error, without the names of union members that pydantic appends."""
    parts, current = [], schema
    for part in location:
        fields = getattr(current, "model_fields", None)
        if fields is None:
            if get_origin(current) is dict:  # the key inside a mapping such as data.columns
                parts.append(str(part))
            break
        parts.append(str(part))
        current = _section_type(fields[part].annotation) if part in fields else None
    return ".".join(parts)


def _section_type(annotation: Any) -> Any:
    """Return the section in the annotation of an optional section, else the annotation itself."""
    return next((kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)), annotation)


def _all_keys(schema: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, info in schema.model_fields.items():
        kind = _section_type(info.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += _all_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _suggest_key(key: str, schema: type[BaseModel]) -> str:
    """Suggest the same name in another section, else the nearest dotted key, else the nearest name in any section."""
    known = _all_keys(schema) + list(schema.model_fields)
    leaf = key.rsplit(".", 1)[-1]
    near = [k for k in known if k.rsplit(".", 1)[-1] == leaf] or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if not near:
        leaves = {k.rsplit(".", 1)[-1]: k for k in known}
        near = [leaves[k] for k in difflib.get_close_matches(leaf, list(leaves), n=1, cutoff=0.6)]
    return f" Did you mean {near[0]}?" if near else " --print-config lists the keys."
