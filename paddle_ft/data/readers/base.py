"""The interface of a reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records


@dataclass(frozen=True)
class Reader:
    """How to read files of one format. A module defines one as READER.

    Attributes:
        extensions: extensions in lower case, each with its dot. They also apply with .gz appended.
        read: takes a file and the task's fields, and yields (line, row) or (line, reason) for each record. `make_row` and
            `make_row_from_columns` in paddle_ft.data.rows return the row or the reason.
    """

    extensions: tuple[str, ...]
    read: Callable[[DataFile, Fields], Records]
