"""Check the arguments of the Python API, as the command line checks its flags."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from paddle_ft.data.inputs import Text
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import did_you_mean
from paddle_ft.system.installation import install_hint

# The command line has checked these types when it parsed the flags.
SEARCH_TYPES: dict[str, type] = {
    "num_return": int, "beams": int, "top_k": int, "top_p": float, "temperature": float, "repetition_penalty": float,
    "no_repeat_ngram": int, "seed": int,
}  # fmt: skip
_TYPE_NAMES = {int: "a whole number", float: "a number", str: "text"}


def check_overrides(overrides: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the overrides, {} for None. Raise UserError if they are no mapping."""
    if overrides is not None and not isinstance(overrides, Mapping):
        raise UserError(f'overrides: {overrides!r} is no mapping; write {{"section.key": value}}.')
    return overrides or {}


def list_texts(texts: Text | Iterable[Text]) -> list[Text]:
    """Return one text, or several, as a list. Raise UserError if an entry is neither a text nor a pair of texts."""
    listed = [texts] if isinstance(texts, str | tuple) else list(texts)
    for number, text in enumerate(listed, start=1):
        is_pair = isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text)
        if not (isinstance(text, str) or is_pair):
            raise UserError(f"text {number} is {text!r}: give a text, or a tuple (text, text_pair) for a task on pairs.")
    return listed


def check_options(values: Mapping[str, Any], types: Mapping[str, type]) -> None:
    """Raise UserError for an option that no task has, or whose value has another type. None means that an option is not set."""
    for name, value in values.items():
        if name not in types:
            raise UserError(f"generate: there is no option {name}.{did_you_mean(name, list(types))}")
        allowed = (int, float) if types[name] is float else types[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, allowed)):
            raise UserError(f"{name} is {value!r}: it must be {_TYPE_NAMES.get(types[name], types[name].__name__)}.")


def require_paddle() -> None:
    """Raise UserError if Paddle is not installed: an installation of paddle_ft leaves the choice of its build to the user."""
    if importlib.util.find_spec("paddle") is None:
        raise UserError(f"the package paddle is not installed in {sys.executable}. What to do: {install_hint('paddle')}")
