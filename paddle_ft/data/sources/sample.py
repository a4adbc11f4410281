"""data.source sample:NAME: texts that the module paddle_ft/data/samples/NAME.py generates."""

from __future__ import annotations

import os
from collections.abc import Iterable

from paddle_ft.data.rows import Fields, Records, make_row_from_columns
from paddle_ft.data.samples import find_sample
from paddle_ft.data.sources.base import Source
from paddle_ft.data.splits import NO_SPLIT, SPLITS, names_files
from paddle_ft.system.errors import UserError


class Sample(Source):
    """Generated texts for --sample runs."""

    name = "sample"

    def claims(self, value: str | None) -> bool:
        return value is not None and value.startswith("sample:")

    def check(self, data) -> None:
        for split in SPLITS:
            value = getattr(data, split)
            if value in (None, split) or names_files(value) or (value == NO_SPLIT and split != "train"):
                continue
            if os.path.isdir(os.path.expanduser(value)):
                raise UserError(
                    f"data.{split}: {value} is a folder, but {data.source} generates its texts; data.source=null reads yours"
                )
            raise UserError(f"data.{split}: {data.source} has no split {value!r}; leave it out, or name a file that exists")

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        self.check(data)
        columns = fields.column_names(data.source)
        rows = find_sample(data.source).rows(split)
        records = ((number, make_row_from_columns(row, columns, fields)) for number, row in enumerate(rows, start=1))
        return [(f"{data.source} ({split})", records)]


SOURCE = Sample()
