"""Turn Arrow tables into rows, for all that is stored as such: Parquet files, data sets of the `datasets` package.

The `datasets` package keeps classes as numbers (ClassLabel) and writes their names beside the columns. They are read as names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from paddle_ft.data.rows import Fields, Record, has_surrogate, make_row, make_row_from_columns
from paddle_ft.data.values import ClassNumber
from paddle_ft.system.progress import Progress

ClassNames = dict[str, list[str]]
"""Column -> the names of its classes, for columns whose values are the numbers of classes."""


def class_names_of(features: Any) -> ClassNames:
    """Return the names in the description of columns that `datasets` writes, as JSON: {column: {"_type": "ClassLabel", ...}}.

    What is no such description has none, because other programs may have written it. Names that cannot be labels are not used.
    """
    return {
        column: feature["names"]
        for column, feature in (features.items() if isinstance(features, dict) else ())
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and _are_names(feature.get("names"))
    }


def _are_names(names: Any) -> bool:
    """Return whether all are texts, none of them empty or with half a character."""
    return isinstance(names, list) and all(isinstance(name, str) and name.strip() and not has_surrogate(name) for name in names)


def class_names_in(schema) -> ClassNames:
    """Return the names in the metadata of an Arrow schema, where Parquet files from the Hugging Face hub have them."""
    try:
        return class_names_of(json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def choose_class_names(known: ClassNames, schema, columns: dict[str, str], fields: Fields, file: str) -> ClassNames:
    """Return the names of the classes for those columns of the fields that are whole numbers, and say that they are used.

    Args:
        known: the names that `datasets` has written.
        schema: the Arrow schema.
        columns: field -> column name.
        fields: the task's fields.
        file: the file, for the decision.
    """
    import pyarrow as pa

    chosen = {}
    for name, column in columns.items():
        if column in known and pa.types.is_integer(schema.field(column).type):
            chosen[column] = known[column]
            fields.reading.use_classes(name, column, known[column], file)
    return chosen


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
        names: the classes whose numbers become their names.
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
    count = len(class_names)
    return [None if v is None else class_names[v] if 0 <= v < count else ClassNumber(v, count) for v in values]
