"""The kinds of data.source, one module for each. A module that defines SOURCE is found automatically.

A user can add a source with a module that defines SOURCE and is named with --import. It takes precedence over ours. base.py has
the base classes.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

from paddle_ft.system.plugins import module_names, user_plugins

if TYPE_CHECKING:
    from paddle_ft.data.sources.base import Source


@cache
def _built_in_sources() -> list[Source]:
    modules = [importlib.import_module(f"{__name__}.{name}") for name in module_names(__name__, without=("base",))]
    return sorted((module.SOURCE for module in modules), key=lambda source: source.order)


def find_source(value: str | None) -> Source:
    """Return the source for a value of data.source. There is always one, because huggingface claims all other values."""
    return next(source for source in [*user_plugins("SOURCE"), *_built_in_sources()] if source.claims(value))
