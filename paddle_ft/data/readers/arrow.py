"""Turn Arrow tables into rows, for all that is stored as such: Parquet files, data sets of the `datasets` package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from paddle_ft.data.rows import Fields, Record, make_row, make_row_from_columns
from paddle_ft.system.progress import Progress

ClassNames = dict[str, list[str]]
"""Column -> the names of its classes, for columns whose values are the numbers of classes."""


def read_batches(
    batches: Iterable[Any], num_rows: int, label: str, columns: dict[str, str], fields: Fields, names: ClassNames | None = None
) -> Iterator[Record]:
    """Yield (number, row or reason) for each row of record batches or tables.

    Args:
        batches: the batches, with the columns in `columns`, or with all for Fields.complete.
        num_rows: the number of their rows, for the progress bar.
        label: what the bar is called.
        columns: field -> column name.
        fields: the task's fields.
        names: the classes whose numbers become their names. -1 stands for a missing class.
    """
    number = 0
    with Progress(num_rows, label, unit="row") as progress:
        for batch in batches:
            read = batch.schema.names if fields.complete else list(columns.values())
            cells = [_values(batch.column(column), (names or {}).get(column)) for column in read]
            for values in zip(*cells, strict=True):
                number += 1
                if fields.complete:
                    yield number, make_row_from_columns(dict(zip(read, values, strict=True)), columns, fields)
                else:
                    yield number, make_row(dict(zip(columns, values, strict=True)), fields)
            progress.update(batch.num_rows)


def _values(column, class_names: list[str] | None) -> list:
    """Return the values of a column. Numbers of 16 or 32 bits stay NumPy's, whose text is shorter; bad text stays bytes."""
    import pyarrow as pa

    if pa.types.is_float16(column.type) or pa.types.is_float32(column.type):
        return list(column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False))
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
    if class_names is None:
        return values
    return [class_names[value] if value is not None and 0 <= value < len(class_names) else None for value in values]
