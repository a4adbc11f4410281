"""Check the values of a model's configuration, before PaddleNLP builds layers of them and fails somewhere inside."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

from paddle_ft.system.formatting import is_number


def wrong_values(values: Mapping[str, Any], config_class: type) -> Iterator[tuple[str, Any, str]]:
    """Yield (key, value, what it must be) for each value that no model can be built of.

    Args:
        values: settings of a model by their names in config.json. Those that the class does not name are not looked at.
        config_class: PaddleNLP's configuration class. What its default is says what a value must be.
    """
    parameters = inspect.signature(config_class.__init__).parameters
    for key, value in values.items():
        name = config_class.attribute_map.get(key, key)
        default = parameters[name].default if name in parameters else None
        if problem := _problem(name, value, default):
            yield key, value, problem


def _problem(name: str, value: Any, default: Any) -> str | None:
    if name.endswith("_token_id"):
        ids = value if isinstance(value, list) else [value]
        return None if all(item is None or _is_whole(item) for item in ids) else "must be the number of a token"
    if isinstance(default, str):
        return None if isinstance(value, str) else "must be text"
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "must be true or false"
    if not is_number(default):  # such as classifier_dropout, which is null unless it is set
        default = 0.0 if "dropout" in name and value is not None else None
    if default is None:
        return None
    if isinstance(default, int) and not _is_whole(value):
        return "must be a whole number"
    if not is_number(value) or not math.isfinite(value):
        return "must be a number"
    if value < 0:
        return "must not be negative"
    return "must be a probability, 0 to 1" if "dropout" in name and value > 1 else None


def _is_whole(value: Any) -> bool:
    return is_number(value) and isinstance(value, int)
