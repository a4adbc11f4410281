"""Texts for `--sample` runs, generated from our own templates. Each module is one sample and is found by its name.

The rows of a sample are always the same. They depend on the order of the random draws, so that order must not change.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Sequence
from types import ModuleType
from typing import TypeVar

from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import module_names

T = TypeVar("T")

NUM_SHARES = 100
SHARES = {"validation": range(0, 8), "test": range(8, 16), "train": range(16, NUM_SHARES)}


def find_sample(source: str) -> ModuleType:
    """Return the module of a sample. Its function rows(split, seed=2022) returns the rows.

    Args:
        source: the value of data.source, "sample:NAME".

    Raises:
        UserError: there is no such sample.
    """
    name = source.removeprefix("sample:")
    names = module_names(__name__)
    if name not in names:
        raise UserError(f"data.source: there is no sample {name!r}; the samples are {', '.join(names)}")
    return importlib.import_module(f"{__name__}.{name}")


def split_by_checksum(text: str) -> str:
    """Return the split that a text belongs to, by its checksum: 84 % of all texts are in train, 8 % in validation, 8 % in test."""
    share = zlib.crc32(text.encode()) % NUM_SHARES
    return next(split for split, shares in SHARES.items() if share in shares)


def split_by_position(items: Sequence[T], split: str) -> list[T]:
    """Return the items of a split: of each ten, the first eight are in train, the ninth in validation and the tenth in test."""
    positions = {"train": range(8), "validation": range(8, 9), "test": range(9, 10)}[split]
    return [item for number, item in enumerate(items) if number % 10 in positions]


def words(text: str) -> list[str]:
    """Split a text at spaces. The templates write long lists of words as one text."""
    return text.split()
