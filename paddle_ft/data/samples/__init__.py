"""Texts written by us, generated from templates, for `--sample` runs. One module a sample, found by its name.

The rows of a sample are always the same. They depend on the order of random draws, which must not change.
"""

from __future__ import annotations

import importlib
import zlib
from types import ModuleType

from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import module_names

NUM_SHARES = 100
SHARES = {"validation": range(0, 8), "test": range(8, 16), "train": range(16, NUM_SHARES)}


def find_sample(source: str) -> ModuleType:
    """Return the module for "sample:NAME"; its rows(split, seed=2022) gives the rows. Raise UserError for an unknown name."""
    name = source.removeprefix("sample:")
    names = module_names(__name__)
    if name not in names:
        raise UserError(f"data.source: there is no sample {name!r}; there is {', '.join(names)}")
    return importlib.import_module(f"{__name__}.{name}")


def split_by_checksum(text: str) -> str:
    """Return the one split that a text belongs to: 84 % of all texts to train, 8 % each to validation and test."""
    share = zlib.crc32(text.encode()) % NUM_SHARES
    return next(split for split, shares in SHARES.items() if share in shares)


def words(text: str) -> list[str]:
    """Return the words of a text, for long lists of words in templates."""
    return text.split()
