"""Parquet files, read with pyarrow. Line numbers in messages are row numbers from 1."""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (row number, row or reason). Raise UserError if the file is not Parquet or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = fields.column_names(file.path)
    with file.open() as stream:
        try:
            # Reading Parquet needs to seek, so a gzipped file is unpacked in memory.
            table = pq.ParquetFile(pa.BufferReader(stream.read()) if file.path.lower().endswith(".gz") else stream)
        except pa.ArrowInvalid as error:
            raise UserError(f"{file.path}: not a Parquet file, or a damaged one: {error}") from None
        present = table.schema_arrow.names
        for name, column in columns.items():
            if column not in present and (name in fields.required or name in fields.mapped):
                raise UserError(
                    f"{file.path}: no column {column!r}; it has {', '.join(map(repr, present))}; "
                    f"map them, e.g. data.columns.{name}={present[0] if present else 'NAME'}"
                )
        present_columns = {name: column for name, column in columns.items() if column in present}
        with Progress(table.metadata.num_rows, f"read {file.path}", unit="row") as progress:
            number = 0
            for batch in table.iter_batches(columns=list(present_columns.values())):
                values = [batch.column(column).to_pylist() for column in present_columns.values()]
                for cells in zip(*values, strict=True):
                    number += 1
                    yield number, make_row(dict(zip(present_columns, cells, strict=True)), fields)
                progress.update(batch.num_rows)


READER = Reader((".parquet",), read)
