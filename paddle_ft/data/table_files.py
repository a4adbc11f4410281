"""Keep tables of rows in files, with what tells whether a file is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paddle_ft.data.arrays import check_file
from paddle_ft.data.row_table import RowTable, RowWriter, open_table


def describe_table(writer: RowWriter) -> dict[str, Any]:
    """Wait until the disk has the table of a RowWriter, and return what `load_table` needs to read it again.

    Raises:
        OSError: it cannot be written.
    """
    assert writer.file is not None
    writer.file.flush()
    return {"size": writer.file.size, "crc32": writer.file.crc32, "rows": len(writer), "digest": writer.digest}


def load_table(path: Path, description: dict[str, Any]) -> RowTable:
    """Return the table in a file.

    Args:
        path: the file.
        description: what `describe_table` has returned.

    Raises:
        OSError, ValueError, KeyError: the file is missing or damaged, or is not the one that was described.
    """
    check_file(path, description["size"], description["crc32"])
    with open(path, "rb") as file:
        table = open_table(file, description["digest"])
    if len(table) != description["rows"]:
        raise ValueError(f"{path.name} has {len(table):,} rows instead of {description['rows']:,}")
    return table
