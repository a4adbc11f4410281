"""Texts written by us, generated from templates, for `--sample` runs. One module a sample, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from paddle_ft.system.errors import UserError


def sample(source: str) -> ModuleType:
    """The module for "sample:NAME"; its rows(split, seed=2022) are the data. Raises UserError for an unknown name."""
    name = source.removeprefix("sample:")
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if name not in names:
        raise UserError(f"data.source: there is no sample {name!r}; there is {', '.join(names)}")
    return importlib.import_module(f"{__name__}.{name}")
