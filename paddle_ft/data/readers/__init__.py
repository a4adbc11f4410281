"""One module a file format. A module that defines EXTENSIONS and `read(file, fields)` is found without being listed.

`read` yields (line, row) with the row as task field -> text, or (line, reason) where there is no usable row.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from paddle_ft.system.errors import UserError


@cache
def readers() -> dict[str, ModuleType]:
    """Extension with its dot -> module that reads it."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return {extension: module for module in modules for extension in getattr(module, "EXTENSIONS", ())}


def extension(path: str) -> str:
    """The extension that tells the format, in small letters and without a final .gz."""
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def reader_for(path: str) -> ModuleType:
    """The module that reads this file. Raises UserError naming the formats there are."""
    found = readers().get(extension(path))
    if found is None:
        raise UserError(
            f"{path}: unknown extension {extension(path) or '(none)'}; "
            f"supported: {', '.join(sorted(readers()))}, each also with .gz"
        )
    return found
