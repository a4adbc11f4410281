"""Read the tab-separated files in GLUE's archives. sources/builtin.py uses this; it is not a format with its own extension.

Broken records become bad rows. Older copies of QQP/train.tsv have such records, with questions that span two lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row_from_columns


def read_glue(
    file: DataFile, split: str, layout: tuple[tuple[int, ...], int], labels: list[str] | None, fields: Fields
) -> Iterator[Record]:
    """Yield (line, row or reason) for each record, with the same columns and values as PaddleNLP's own reader.

    The columns are sentence, or sentence1 and sentence2, and labels unless it is a test split.

    Args:
        file: the file to read.
        split: GLUE's name for the split, such as dev_matched.
        layout: the positions of the columns from 0, and the number of lines before the first record.
        labels: names of the classes. A label is the position of its name in this list. None if the labels are scores.
        fields: the task's fields.
    """
    positions, num_skipped = layout
    has_labels = "test" not in split
    names = ["sentence"] if len(positions) - has_labels == 1 else ["sentence1", "sentence2"]
    names += ["labels"] * has_labels
    columns = fields.column_names(file.path)
    for line, (text, reason) in enumerate(file.lines(), start=1):
        if line <= num_skipped:
            continue
        cells = text.strip().split("\t")
        if not reason and len(cells) <= max(positions):
            reason = f"{len(cells)} field{'s' if len(cells) > 1 else ''} where at least {max(positions) + 1} are needed"
        if reason:
            yield line, reason
            continue
        row = {name: cells[position] for name, position in zip(names, positions, strict=True)}
        if has_labels and labels:
            if row["labels"] not in labels:
                yield line, f"the label {row['labels']!r} is not one of {', '.join(labels)}"
                continue
            row["labels"] = str(labels.index(row["labels"]))
        yield line, make_row_from_columns(row, columns, fields)
