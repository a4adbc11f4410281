"""Turn pydantic's validation errors into one line each, and suggest the name that the user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
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

# Type of a value that is empty -> what it is called, and what to do; {} is the last part of its key.
_EMPTY: dict[type, tuple[str, str]] = {
    list: ("list", "write at least one value, such as {}: [A, B]"),
    dict: ("mapping", "write at least one entry, such as {}: {{NAME: VALUE}}"),
    str: ("text", "write one, such as {}: TEXT"),
}


def describe_errors(error: ValidationError, schema: type[BaseModel], origins: dict[str, str]) -> list[str]:
    """Return one line for each wrong key: the key, its value, where it was set, and what is allowed.

    Args:
        error: pydantic's exception.
        schema: the schema that the configuration was checked against.
        origins: dotted key -> where it was set (file:line or command line).
    """
    errors_by_key: dict[str, list[Mapping[str, Any]]] = {}
    for details in error.errors():
        errors_by_key.setdefault(_dotted_key(details["loc"], schema), []).append(details)
    lines = []
    for key, items in errors_by_key.items():
        item: Mapping[str, Any] = items[0]
        origin = f" ({origins[key]})" if key in origins else ""
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: there is no such key{origin}.{_suggest_key(key, schema)}")
        elif item["type"] == "missing":
            lines.append(f"{key}: is missing{origin}.")
        elif item["type"] == "value_error":
            lines.append(f"{key}: {item['ctx']['error']}{origin}.")
        elif (empty := _EMPTY.get(type(item["input"]))) and not item["input"] and item["type"].endswith("too_short"):
            what, remedy = empty
            lines.append(f"{key}: the {what} is empty{origin}; {remedy.format(key.rpartition('.')[2])}.")
        else:
            allowed = " or ".join(dict.fromkeys(_describe_allowed(item) for item in items))
            lines.append(f"{key}: {_shorten(repr(item['input']))} is not allowed{origin}: {allowed}.")
    return lines


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text):,} characters)"


def _describe_allowed(item: Mapping[str, Any]) -> str:
    """Return what is allowed instead of a wrong value, from one of pydantic's error items: "must be a whole number"."""
    if item["type"] in _TYPE_MESSAGES:
        return _TYPE_MESSAGES[item["type"]]
    message = item["msg"]
    return message.replace("Input should be", "must be").replace("'", "").replace("String should have", "must have")


def _dotted_key(location: tuple, schema: type[BaseModel]) -> str:
    """Return the dotted key for pydantic's error location, which may end with names of union members that are not keys."""
    parts: list[str] = []
    current: Any = schema
    for part in location:
        fields = getattr(current, "model_fields", None)
        if fields is None:
            if get_origin(current) is dict:  # a key inside a mapping such as data.columns
                parts.append(str(part))
            break
        parts.append(str(part))
        current = _section_type(fields[part].annotation) if part in fields else None
    return ".".join(parts)


def _section_type(annotation: Any) -> Any:
    """Return the section class in an annotation such as `LoRASection | None`, or the annotation itself if it has none."""
    members = get_args(annotation)
    return next((member for member in members if isinstance(member, type) and issubclass(member, BaseModel)), annotation)


def _all_keys(schema: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted keys of all fields, those of nested sections included."""
    keys = []
    for name, info in schema.model_fields.items():
        field_type = _section_type(info.annotation)
        if isinstance(field_type, type) and issubclass(field_type, BaseModel):
            keys += _all_keys(field_type, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _suggest_key(key: str, schema: type[BaseModel]) -> str:
    """Suggest the same name in another section, else the most similar dotted key, else the most similar name in any section."""
    known_keys = _all_keys(schema) + list(schema.model_fields)
    leaf = key.rsplit(".", 1)[-1]
    matches = [known for known in known_keys if known.rsplit(".", 1)[-1] == leaf]
    matches = matches or difflib.get_close_matches(key, known_keys, n=1, cutoff=0.6)
    if not matches:
        key_of_leaf = {known.rsplit(".", 1)[-1]: known for known in known_keys}
        matches = [key_of_leaf[name] for name in difflib.get_close_matches(leaf, list(key_of_leaf), n=1, cutoff=0.6)]
    return f" Did you mean {matches[0]}?" if matches else " --print-config lists the keys."
