"""From the configuration's data section to rows. The kinds of source are in sources/, one module each."""

from __future__ import annotations

import os

from paddle_ft.data.download import Wanted
from paddle_ft.data.files import expand
from paddle_ft.data.rows import Fields, Rows, collect
from paddle_ft.data.sources import source_for
from paddle_ft.data.splits import NONE, names_files
from paddle_ft.system.errors import UserError

SPLITS = ("train", "validation", "test")


def load_split(
    data, split: str, required: tuple[str, ...] = ("source", "target"), optional: tuple[str, ...] = ()
) -> Rows | None:
    """The rows of one split, None if the source has none and none was asked for.

    Args:
        data: the data section: source, name, data_files, train, validation, test, columns, on_bad_row, limit_<split>.
        split: train, validation or test.
        required, optional: the task's fields.

    Raises: UserError for whatever is missing, cannot be fetched or is wrong in the data.
    """
    if getattr(data, split) == NONE and split != "train":
        return None
    fields = Fields(dict(data.columns or {}), tuple(required), tuple(optional))
    module = source_for(data.source)
    if names_files(getattr(data, split)) and not getattr(module, "READS_FILES", False):
        module = source_for(None)  # files of one's own stand in for any source's split
    parts = module.read(data, split, fields)
    return None if parts is None else collect(parts, data.on_bad_row, getattr(data, f"limit_{split}"))


def check_local(data) -> None:
    """Looks whether the user's own files are there, before anything is fetched or loaded. Raises UserError for the first that
    is not."""
    module = source_for(data.source)
    own = data.source is None or getattr(module, "READS_FILES", False)
    for split in SPLITS:
        asked = getattr(data, split)
        if (asked != NONE or split == "train") and (own or names_files(asked)):
            _check(f"data.{split}", asked, folders=data.source is not None)
    for split, path in (data.data_files or {}).items():
        _check(f"data.data_files.{split}", path)


def _check(key: str, pattern, folders: bool = False) -> None:
    """pattern: a path, a glob, several of them as a list or by field, or None. folders: they may be meant too."""
    patterns = pattern.values() if isinstance(pattern, dict) else [pattern] if isinstance(pattern, str) else pattern or []
    for one in patterns:
        if folders and os.path.isdir(os.path.expanduser(str(one))):
            continue
        try:
            expand(one)
        except UserError as error:
            raise UserError(f"{key}: {error}") from None


def wanted_files(data) -> list[Wanted]:
    """The files that the data section needs from the network, there already or not (see download.ensure)."""
    return source_for(data.source).wanted(data)
