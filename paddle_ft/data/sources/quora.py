"""data.source quora: the question pairs in the file that Quora released, quora_duplicate_questions.tsv.

    quora          the file from Quora's site, downloaded once
    quora:PATH     the file at PATH

The columns are text and text_pair (the two questions) and label (1 if they ask the same). The file is tab-separated with quoted
fields that may span several lines, so neither the .tsv nor the .csv reader can read it. It is not divided into splits: after a
shuffle with a fixed seed, validation and test get 10,000 pairs each (or a tenth each of fewer than 100,000 pairs), and train gets
the rest. GLUE's QQP divides the same data differently and keeps the test labels secret: data.source=glue data.name=qqp.

One of the 404,290 pairs has no first question. data.on_bad_row=skip leaves it out.

Source: Iyer, Dandekar and Csernai (2017), First Quora Dataset Release: Question Pairs.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from paddle_ft.data.readers import delimited
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, Records
from paddle_ft.data.sources.base import Collection
from paddle_ft.data.splits import SPLITS, choose_split
from paddle_ft.system.errors import UserError

COLUMNS = {"text": "question1", "text_pair": "question2", "label": "is_duplicate"}
MAX_HELD_OUT = 10_000  # pairs in validation and in test, at most
SHUFFLE_SEED = 2022


class Quora(Collection):
    """Quora question pairs."""

    name = "quora"
    url = "http://qim.fs.quoracdn.net/quora_duplicate_questions.tsv"
    file_name = "quora_duplicate_questions.tsv"
    description = "Quora question pairs"

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        name = choose_split(data, split, list(SPLITS))
        if name is None:
            return None
        path = self.find(data)
        if not os.path.isfile(path):
            raise UserError(f"data.source: {data.source}: there is no such file (working directory: {os.getcwd()})")
        return [(f"{path} ({name})", _read_split(path, name, fields))]


def _read_split(path: str, split: str, fields: Fields) -> Iterator[Record]:
    columns = {name: COLUMNS.get(name, name) for name in fields.names}
    fields = replace(fields, columns={**columns, **fields.mapped})
    records = list(delimited.read_quoted(DataFile(path), fields, "\t"))
    order = list(range(len(records)))
    random.Random(SHUFFLE_SEED).shuffle(order)
    size = min(MAX_HELD_OUT, len(order) // 10)
    splits = {"validation": order[:size], "test": order[size : 2 * size], "train": order[2 * size :]}
    for index in splits[split]:
        yield records[index]


SOURCE = Quora()
