"""GLUE's tab-separated files. A record that is broken (older QQP/train.tsv have questions over two lines) is a bad row."""

from __future__ import annotations

from collections.abc import Iterator

from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, take_columns


def read(
    file: DataFile, split: str, layout: tuple[tuple[int, ...], int], labels: list[str] | None, fields: Fields
) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yields (line, row or reason). Columns: sentence or sentence1 and sentence2, and labels but in test splits.

    Args:
        split: its name in GLUE: dev_matched, test ...
        layout: the places of the columns from 0, and how many lines stand before the first record.
        labels: the classes' names; rows get their numbers, as PaddleNLP's reader gives them. None: scores.
    """
    places, skipped = layout
    labelled = "test" not in split
    names = ["sentence"] if len(places) - labelled == 1 else ["sentence1", "sentence2"]
    names += ["labels"] * labelled
    columns = fields.by_name(file.path)
    for line, (text, reason) in enumerate(file.lines(), start=1):
        if line <= skipped:
            continue
        cells = text.strip().split("\t")
        if not reason and len(cells) <= max(places):
            reason = f"{len(cells)} field{'s' if len(cells) > 1 else ''} where at least {max(places) + 1} are needed"
        if reason:
            yield line, reason
            continue
        row = {name: cells[place] for name, place in zip(names, places, strict=True)}
        if labelled and labels:
            if row["labels"] not in labels:
                yield line, f"the label {row['labels']!r} is none of {', '.join(labels)}"
                continue
            row["labels"] = str(labels.index(row["labels"]))
        yield line, take_columns(row, columns, fields)
