"""Which split of a named source is meant by train, validation and test."""

from __future__ import annotations

import os

from paddle_ft.data.readers import extension, readers
from paddle_ft.system.errors import UserError

NONE = "none"
ALIASES = {"train": ("train",), "validation": ("validation", "dev", "valid", "val"), "test": ("test",)}


def names_files(asked) -> bool:
    """Whether data.<split> names files and not a split of the source."""
    if isinstance(asked, str):
        return extension(asked) in readers() or any(mark in asked for mark in "*?") or os.path.isfile(os.path.expanduser(asked))
    return asked is not None


def choose(data, split: str, available: list[str]) -> str | None:
    """The source's own name of the split: data.<split> if set, else the usual names; None if it has no such split, or
    data.<split> is "none": GLUE's test splits have no labels.

    Raises: UserError for a split that was asked for by name and is not there, and for a source without training rows.
    """
    asked = getattr(data, split)
    if names_files(asked):  # read from these files instead
        return None
    if asked == NONE and split != "train":
        return None
    if asked is None:
        found = next((name for name in ALIASES[split] if name in available), None)
        if found is None and split == "train":
            raise UserError(f"data.train: {data.source} has no split named train; it has {', '.join(available)}")
        return found
    if not isinstance(asked, str):
        raise UserError(f"data.{split}: with data.source={data.source} this is the name of a split, not {asked!r}")
    return _known(data, split, asked, available)


def _known(data, split: str, name: str, available: list[str]) -> str:
    if name.partition("[")[0] not in available:
        raise UserError(f"data.{split}: {data.source} has no split {name!r}; it has {', '.join(available)}")
    return name


def choose_several(data, split: str, available: list[str]) -> list[str]:
    """The same for sources that take several splits joined with +, as in train+unsupervised; empty for none."""
    asked = getattr(data, split)
    if isinstance(asked, str) and "+" in asked and not names_files(asked):
        return [_known(data, split, part, available) for part in asked.split("+")]
    found = choose(data, split, available)
    return [found] if found else []
