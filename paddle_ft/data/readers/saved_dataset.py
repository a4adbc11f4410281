"""Read a folder that the `datasets` package has written with save_to_disk of a Dataset: Arrow files, and JSON about them.

The columns of class numbers (ClassLabel) become the names of the classes. Nothing of `datasets` is needed for that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from paddle_ft.data.readers.arrow import choose_class_names, class_names_of, read_batches
from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record
from paddle_ft.system.errors import UserError


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (number, row or reason) for each row. Raise UserError if a file is missing or damaged, or a column is missing."""
    import pyarrow as pa

    paths = _arrow_files(file.path)
    known = class_names_of(read_json(file.path, "dataset_info.json").get("features"))
    schema = _open(file, paths[0]).schema
    columns = fields.available_columns(file.path, schema.names)
    classes = choose_class_names(known, schema, columns, fields, file.path)
    wanted = schema.names if fields.complete else list(dict.fromkeys(columns.values()))

    def read_files() -> Iterator[Any]:
        for path in paths:
            try:
                for batch in _open(file, path):
                    batch = batch.select(wanted)
                    batch.validate(full=True)  # what a damaged file has must not be followed
                    yield batch
            except (pa.ArrowException, OSError, KeyError) as error:
                raise _damaged(file, error) from None

    yield from read_batches(read_files(), None, f"read {file.path}", columns, fields, classes)


READER = Reader((), read)


def read_json(folder: str, name: str) -> dict[str, Any]:
    """Return the content of one of the folder's JSON files. Raise UserError if it is not there or no object."""
    path = os.path.join(folder, name)
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: a file of save_to_disk that cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a file of save_to_disk that is {type(content).__name__}, not an object")
    return content


def _arrow_files(folder: str) -> list[str]:
    state = read_json(folder, "state.json")
    try:
        names = [str(entry["filename"]) for entry in state["_data_files"]]
    except (KeyError, TypeError):
        names = []
    if not names or any(os.path.basename(name) != name for name in names) or state.get("_indices_data_files"):
        raise UserError(f"{os.path.join(folder, 'state.json')}: it does not list the files of the folder as save_to_disk does")
    return [os.path.join(folder, name) for name in names]


def _open(file: DataFile, path: str):
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.memory_map(path))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from None


def _damaged(file: DataFile, error: Exception) -> UserError:
    return UserError(f"{file.path}: the data set cannot be read: {error}")
