"""Read Parquet files with pyarrow. Line numbers in messages are numbers of rows, from 1.

Numbers of classes become their names, if the `datasets` package has written these into the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.arrow import choose_class_names, class_names_in, read_batches
from paddle_ft.data.readers.base import Reader
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record
from paddle_ft.system.errors import UserError


def read(file: DataFile, fields: Fields) -> Iterator[Record]:
    """Yield (number, row or reason) for each row. Raise UserError if the file is not Parquet or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # pyarrow needs to seek, which is slow in a gzipped file, so that is unpacked in memory.
    content = pa.BufferReader(file.content()) if file.path.lower().endswith(".gz") else None
    with file.open() as stream:
        try:
            table = pq.ParquetFile(content or stream)
            names = table.schema_arrow.names
        except (pa.ArrowException, OSError) as error:
            raise _damaged(file, error) from None
        columns = fields.available_columns(file.path, names)
        wanted = list(dict.fromkeys(names if fields.complete else columns.values()))
        classes = choose_class_names(class_names_in(table.schema_arrow), table.schema_arrow, columns, fields, file.path)
        batches = _read_batches(file, table.iter_batches(columns=wanted))
        yield from read_batches(batches, table.metadata.num_rows, f"read {file.path}", columns, fields, classes)


READER = Reader((".parquet",), read)


def _read_batches(file: DataFile, batches: Iterator) -> Iterator:
    import pyarrow as pa

    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from None


def _damaged(file: DataFile, error: Exception) -> UserError:
    return UserError(f"{file.path}: not a Parquet file, or a damaged one: {error}")
