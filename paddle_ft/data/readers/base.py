"""The interface of a file format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records


@dataclass(frozen=True)
class Reader:
    """How files of one format are read. A module publishes it as READER.

    Attributes:
        extensions: file endings in small letters, each with its dot. Each also stands for the same ending with .gz.
        read: takes a file and the task's fields, and yields (line, row) or (line, reason) for each record. `make_row` and
            `make_row_from_columns` in paddle_ft.data.rows give either.
    """

    extensions: tuple[str, ...]
    read: Callable[[DataFile, Fields], Records]
