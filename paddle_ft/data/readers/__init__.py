"""Readers for file formats, one module for each. A module that defines READER is found automatically.

A folder that the `datasets` package has written with save_to_disk counts as a file.

A user can add a format with a module that defines READER and is named with --import. It takes precedence over ours.
"""

from __future__ import annotations

import importlib
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import import_hint, module_names, user_plugins

if TYPE_CHECKING:
    from paddle_ft.data.readers.base import Reader


_SHEET = re.compile(r"(.+\.xls[xm](?:\.gz)?):([^/\\:]+)", re.IGNORECASE)
_NOT_READ = (".xls", ".ods", ".numbers")  # other formats of spreadsheets


@cache
def _built_in_readers() -> dict[str, Reader]:
    modules = [importlib.import_module(f"{__name__}.{name}") for name in module_names(__name__)]
    built_in = [module.READER for module in modules if hasattr(module, "READER")]
    return {extension: reader for reader in built_in for extension in reader.extensions}


def readers() -> dict[str, Reader]:
    """Return extension (with its dot) -> reader, for all formats."""
    users = {extension: reader for reader in reversed(user_plugins("READER")) for extension in reader.extensions}
    return _built_in_readers() | users


def split_sheet(path: str) -> tuple[str, str | None]:
    """Return the path of a file, and the sheet of a workbook that is named after it: ("a.xlsx", "2024") for "a.xlsx:2024"."""
    match = _SHEET.fullmatch(path)
    return (match[1], match[2]) if match and not os.path.exists(path) else (path, None)


def extension(path: str) -> str:
    """Return the extension of a file in lower case, without a final .gz: ".csv" for "A.CSV.gz", ".xlsx" for "a.xlsx:2024"."""
    name = Path(split_sheet(path)[0]).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def is_saved_dataset(path: str) -> bool:
    """Return whether a path is a folder that save_to_disk of a Dataset has written."""
    return os.path.isfile(os.path.join(path, "state.json"))


def is_saved_dict(path: str) -> bool:
    """Return whether a path is a folder that save_to_disk of a DatasetDict has written, with a folder for each split."""
    return os.path.isfile(os.path.join(path, "dataset_dict.json"))


def find_reader(path: str) -> Reader:
    """Return the reader for a file. Raise UserError if its extension is unknown; the message lists the known ones."""
    if is_saved_dict(path):
        raise UserError(f"{path}: this folder has several splits: set data.source={path}, or name the folder of a split")
    if is_saved_dataset(path):
        return importlib.import_module(f"{__name__}.saved_dataset").READER
    reader = readers().get(extension(path))
    if reader is None:
        hint = " Save it as .xlsx." if extension(path) in _NOT_READ else import_hint("a format")
        raise UserError(
            f"{path}: unknown extension {extension(path) or '(none)'}; "
            f"supported: {', '.join(sorted(readers()))}, each also with .gz.{hint}"
        )
    return reader
