"""Read Parquet files with pyarrow. Line numbers in messages are numbers of rows, from 1."""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (number, row or reason) for each row. Raise UserError if the file is not Parquet or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file.open() as stream:
        try:
            # pyarrow needs to seek, which is slow in a gzipped file, so that is unpacked in memory.
            table = pq.ParquetFile(pa.BufferReader(stream.read()) if file.path.lower().endswith(".gz") else stream)
        except pa.ArrowInvalid as error:
            raise UserError(f"{file.path}: not a Parquet file, or a damaged one: {error}") from None
        columns = fields.available_columns(file.path, table.schema_arrow.names)
        with Progress(table.metadata.num_rows, f"read {file.path}", unit="row") as progress:
            number = 0
            for batch in table.iter_batches(columns=list(columns.values())):
                values = [batch.column(column).to_pylist() for column in columns.values()]
                for cells in zip(*values, strict=True):
                    number += 1
                    yield number, make_row(dict(zip(columns, cells, strict=True)), fields)
                progress.update(batch.num_rows)


READER = Reader((".parquet",), read)
