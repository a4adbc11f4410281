"""data.source saved_dataset: a folder that the `datasets` package has written with save_to_disk.

    FOLDER, or saved_dataset:FOLDER    the folder of a DatasetDict, whose splits are used by name, or of a Dataset, which is the
                                       training split
    saved_dataset                      folders of a Dataset each, named in data.train, data.validation and data.test

Without data.source, data.train and the others can name folders of a Dataset as well, like files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from paddle_ft.data.files import expand, open_files
from paddle_ft.data.readers import find_reader, is_saved_dataset, is_saved_dict
from paddle_ft.data.readers.saved_dataset import read_json
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records
from paddle_ft.data.sources.base import Source
from paddle_ft.data.splits import choose_splits
from paddle_ft.system.errors import UserError


class SavedDataset(Source):
    """Data sets on disk in the format of `datasets`."""

    name = "saved_dataset"

    def claims(self, value: str | None) -> bool:
        if value is None:
            return False
        folder = os.path.expanduser(value)
        return value.partition(":")[0] == self.name or is_saved_dict(folder) or is_saved_dataset(folder)

    def files(self, data, split: str) -> list[str] | None:
        if data.source == self.name:
            value = getattr(data, split)
            return None if value is None else expand(value)
        return self._folders(data, split) or None

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        if data.source == self.name:
            if data.train is None:
                raise UserError("data.source: name the folder, as data.source=saved_dataset:FOLDER")
            value = getattr(data, split)
            return None if value is None else open_files(value, fields)
        folders = self._folders(data, split)
        return [(path, find_reader(path).read(DataFile(path, fields.reading), fields)) for path in folders] or None

    def _folders(self, data, split: str) -> list[str]:
        folder = os.path.expanduser(data.source.removeprefix(f"{self.name}:"))
        names = choose_splits(data, split, _split_names(folder))
        for name in names:
            if "[" in name:
                raise UserError(f"data.{split}: {name}: parts of a split cannot be named here; use data.limit_{split}")
        return [_split_folder(folder, name) for name in names]


def _split_folder(folder: str, name: str) -> str:
    path = os.path.join(folder, name) if is_saved_dict(folder) else folder
    if not is_saved_dataset(path):
        raise UserError(f"data.source: {folder}: dataset_dict.json lists the split {name!r}, but {path} has no state.json")
    return path


def _split_names(folder: str) -> list[str]:
    if is_saved_dict(folder):
        splits = read_json(folder, "dataset_dict.json").get("splits")
        return [str(name) for name in splits] if isinstance(splits, list) else []
    if is_saved_dataset(folder):
        return ["train"]
    raise UserError(f"data.source: {folder}: no folder of save_to_disk, which has a file dataset_dict.json or state.json")


SOURCE = SavedDataset()
