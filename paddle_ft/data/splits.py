"""Find out which split of a source data.train, data.validation and data.test mean."""

from __future__ import annotations

import os

from paddle_ft.data.readers import extension, is_saved_dataset, readers
from paddle_ft.system.errors import UserError

SPLITS = ("train", "validation", "test")
NO_SPLIT = "none"  # value of data.validation or data.test for a run without this split
USUAL_NAMES = {"train": ("train",), "validation": ("validation", "dev", "valid", "val"), "test": ("test",)}


def names_files(value) -> bool:
    """Return whether a value of data.<split> names files. Otherwise it names a split of the source, or nothing."""
    if isinstance(value, str):
        path = os.path.expanduser(value)
        is_file = os.path.isfile(path) or is_saved_dataset(path)
        return is_file or extension(value) in readers() or any(mark in value for mark in "*?")
    return value is not None


def choose_split(data, split: str, available: list[str]) -> str | None:
    """Return the source's name for a split: the value of data.<split>, or the first of the usual names that the source has.

    Args:
        data: the data section.
        split: train, validation or test.
        available: the splits that the source has.

    Returns:
        The name. None if the source has no such split, if data.<split> is "none", or if data.<split> names files.

    Raises:
        UserError: the split named in data.<split> does not exist, or the source has no training split.
    """
    value = getattr(data, split)
    if names_files(value) or (value == NO_SPLIT and split != "train"):
        return None
    if value is None:
        name = next((name for name in USUAL_NAMES[split] if name in available), None)
        if name is None and split == "train":
            raise UserError(f"data.train: {data.source} has no split named train; it has {', '.join(available)}")
        return name
    if not isinstance(value, str):
        raise UserError(f"data.{split}: with data.source={data.source} this is the name of a split, not {value!r}")
    return _check_available(data, split, value, available)


def choose_splits(data, split: str, available: list[str]) -> list[str]:
    """Return the source's names for a split, for sources where several splits can be joined with + (train+unsupervised).

    Arguments and errors are those of `choose_split`. The list is empty if `choose_split` returns None.
    """
    value = getattr(data, split)
    if isinstance(value, str) and "+" in value and not names_files(value):
        return [_check_available(data, split, part, available) for part in value.split("+")]
    name = choose_split(data, split, available)
    return [name] if name else []


def _check_available(data, split: str, name: str, available: list[str]) -> str:
    if name.partition("[")[0] not in available:  # the name may be a slice, as in Hugging Face's train[:100]
        raise UserError(f"data.{split}: {data.source} has no split {name!r}; it has {', '.join(available)}")
    return name
