"""The file formats, one module each. A module that defines READER is found without being listed.

A user's own format is a module that defines READER and is named with --import; it comes before ours.
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
    found = [module.READER for module in modules if hasattr(module, "READER")]
    return {extension: reader for reader in found for extension in reader.extensions}


def readers() -> dict[str, Reader]:
    """Return file extension with its dot -> reader."""
    own = {extension: reader for reader in reversed(user_plugins("READER")) for extension in reader.extensions}
    return _built_in_readers() | own


def extension(path: str) -> str:
    """Return the extension that tells the format, in small letters and without a final .gz."""
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def find_reader(path: str) -> Reader:
    """Return the reader of a file. Raise UserError, naming the known formats, if its extension is unknown."""
    reader = readers().get(extension(path))
    if reader is None:
        raise UserError(
            f"{path}: unknown extension {extension(path) or '(none)'}; "
            f"supported: {', '.join(sorted(readers()))}, each also with .gz.{import_hint('a format')}"
        )
    return reader
