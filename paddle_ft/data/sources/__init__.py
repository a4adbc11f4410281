"""One module a kind of source. A module here with the three functions below is found without being listed.

    claims(source) -> bool            whether data.source means this kind; asked in the order of the modules' ORDER
    wanted(data) -> list[Wanted]      files that must be there before rows can be read
    read(data, split, fields)         (file, records) pairs as an iterable, None if the split is not configured
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType


@cache
def sources() -> list[ModuleType]:
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return sorted((module for module in modules if hasattr(module, "claims")), key=lambda module: module.ORDER)


def source_for(source: str | None) -> ModuleType:
    """The module that knows this source."""
    return next(module for module in sources() if module.claims(source))
