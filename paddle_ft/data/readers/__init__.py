"""Readers for file formats, one module for each. A module that defines READER is found automatically.

A user can add a format with a module that defines READER and is named with --import. It takes precedence over ours.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import import_hint, module_names, user_plugins

if TYPE_CHECKING:
    from paddle_ft.data.readers.base import Reader


@cache
def _built_in_readers() -> dict[str, Reader]:
    modules = [importlib.import_module(f"{__name__}.{name}") for name in module_names(__name__)]
    built_in = [module.READER for module in modules if hasattr(module, "READER")]
    return {extension: reader for reader in built_in for extension in reader.extensions}


def readers() -> dict[str, Reader]:
    """Return extension (with its dot) -> reader, for all formats."""
    users = {extension: reader for reader in reversed(user_plugins("READER")) for extension in reader.extensions}
    return _built_in_readers() | users


def extension(path: str) -> str:
    """Return the extension of a file in lower case, without a final .gz: ".csv" for "A.CSV.gz"."""
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def find_reader(path: str) -> Reader:
    """Return the reader for a file. Raise UserError if its extension is unknown; the message lists the known ones."""
    reader = readers().get(extension(path))
    if reader is None:
        raise UserError(
            f"{path}: unknown extension {extension(path) or '(none)'}; "
            f"supported: {', '.join(sorted(readers()))}, each also with .gz.{import_hint('a format')}"
        )
    return reader
