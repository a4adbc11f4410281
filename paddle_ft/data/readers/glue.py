"""GLUE's tab-separated files, as in its archives. This is not a format of its own: sources/builtin.py calls `read_glue`.

A record that is broken is a bad row; older copies of QQP/train.tsv have questions that span two lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, make_row_from_columns


def read_glue(
    file: DataFile, split: str, layout: tuple[tuple[int, ...], int], labels: list[str] | None, fields: Fields
) -> Iterator[Record]:
    """Yield (line, row or reason) with the columns and values that PaddleNLP's own reader gives.

    The columns are sentence, or sentence1 and sentence2, and outside test splits labels.

    Args:
        file: the file to read.
        split: GLUE's name of the split, such as dev_matched.
        layout: the positions of the columns from 0, and the number of lines before the first record.
        labels: names of the classes, which become their numbers; None if the labels are scores.
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
                yield line, f"the label {row['labels']!r} is none of {', '.join(labels)}"
                continue
            row["labels"] = str(labels.index(row["labels"]))
        yield line, make_row_from_columns(row, columns, fields)
