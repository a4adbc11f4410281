"""data.source quora: the question pairs as Quora released them, quora_duplicate_questions.tsv.

    quora          the file from its own address, or from where it was put
    quora:PATH     the file

Fields: text, text_pair (the two questions) and label (1: they ask the same). The file is tab-separated with quoted fields that
may span lines, so that it can be read neither as a .tsv nor as a .csv. It has no splits of its own: a fixed shuffle gives
10,000 pairs each to validation and test, of fewer than 100,000 a tenth each; the rest is train. GLUE's QQP is another split of
the same data, with its test labels kept secret: data.source=glue data.name=qqp.

One of the 404,290 pairs has no first question: data.on_bad_row=skip leaves it out.

Source: Iyer, Dandekar and Csernai (2017), First Quora Dataset Release: Question Pairs.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator

from paddle_ft.data.download import Wanted, data_home, ensure
from paddle_ft.data.readers import delimited
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records
from paddle_ft.data.splits import choose
from paddle_ft.system.errors import UserError

ORDER = 1
URL = "http://qim.fs.quoracdn.net/quora_duplicate_questions.tsv"
COLUMNS = {"text": "question1", "text_pair": "question2", "label": "is_duplicate"}
HELD_OUT = 10_000
ORDER_SEED = 2022


def claims(source: str | None) -> bool:
    return source is not None and source.partition(":")[0] == "quora"


def wanted(data) -> list[Wanted]:
    if data.source.partition(":")[2]:
        return []
    return [Wanted(URL, str(data_home() / "quora_duplicate_questions.tsv"), what="Quora question pairs")]


def read(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    chosen = choose(data, split, ["train", "validation", "test"])
    if chosen is None:
        return None
    path = os.path.expanduser(data.source.partition(":")[2])
    if not path:
        files = wanted(data)
        ensure(files)
        path = files[0].path
    if not os.path.isfile(path):
        raise UserError(f"data.source: {data.source}: there is no such file (working directory: {os.getcwd()})")
    return [(f"{path} ({chosen})", _records(path, chosen, fields))]


def _records(path: str, split: str, fields: Fields) -> Iterator[tuple[int, dict[str, str] | str]]:
    columns = {name: COLUMNS.get(name, name) for name in fields.required + fields.optional}
    asked = Fields({**columns, **fields.mapped}, fields.required, fields.optional)
    records = list(delimited.read_quoted(DataFile(path), asked, "\t"))
    order = list(range(len(records)))
    random.Random(ORDER_SEED).shuffle(order)
    held = min(HELD_OUT, len(order) // 10)
    parts = {"validation": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}
    for index in parts[split]:
        yield records[index]
