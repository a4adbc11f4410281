"""data.source booksummaries: the CMU Book Summary Corpus as its authors publish it, for language modelling.

    booksummaries          booksummaries.tar.gz from the authors' site, downloaded once
    booksummaries:PATH     the archive, or booksummaries.txt from it

Each line is a book with seven fields separated by tabs: Wikipedia id, Freebase id, title, author, date, genres (JSON: id -> name)
and summary. The columns are text (the summary), title, author, date and genres (names separated by commas). The corpus is not
divided into splits.

Source: Bamman & Smith (2013), New Alignment Methods for Discriminative Book Summarization.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator

from paddle_ft.data.archives import read_tar_member
from paddle_ft.data.readers.stream import DataFile, decode_utf8, open_tar
from paddle_ft.data.rows import Fields, Record, Records, make_row_from_columns
from paddle_ft.data.sources.base import Collection
from paddle_ft.data.splits import NO_SPLIT
from paddle_ft.system.errors import UserError

TEXT_FILE = "booksummaries.txt"

Line = tuple[str, str | None]
"""(text, reason). The reason is None unless the line is not UTF-8."""


class BookSummaries(Collection):
    """CMU Book Summary Corpus."""

    name = "booksummaries"
    url = "https://www.cs.cmu.edu/~dbamman/data/booksummaries.tar.gz"
    file_name = "booksummaries.tar.gz"
    description = "CMU Book Summary Corpus"

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        if getattr(data, split) not in (None, NO_SPLIT):
            raise UserError(
                f"data.{split}: {data.source} is not divided into splits; the task splits it. Leave this out, or name a file of"
                " your own."
            )
        if split != "train":
            return None
        columns = fields.column_names(data.source)
        path = self.find(data)
        lines = _read_archive(path) if path.endswith((".tar.gz", ".tgz")) else DataFile(path).lines()
        return [(path, _read_books(lines, columns, fields))]


def _read_archive(path: str) -> Iterator[Line]:
    """Yield the lines of booksummaries.txt in the archive."""
    with open_tar(path) as archive:
        files = (member for member in archive if member.isfile())
        text_file = next((file for file in files if os.path.basename(file.name) == TEXT_FILE), None)
        if text_file is None:
            raise UserError(f"{path}: there is no {TEXT_FILE} in this archive")
        offset = 0
        for raw in io.BytesIO(read_tar_member(path, archive, text_file)):
            text, reason = decode_utf8(raw, offset)
            yield text.rstrip("\r\n"), reason
            offset += len(raw)


def _read_books(lines: Iterable[Line], columns: dict[str, str], fields: Fields) -> Iterator[Record]:
    for number, (line, reason) in enumerate(lines, start=1):
        cells = line.split("\t")
        if reason or len(cells) != 7:
            yield number, reason or f"{len(cells)} fields separated by tabs, but there should be 7"
            continue
        _, _, title, author, date, genres, summary = cells
        try:
            genre_names = ", ".join(json.loads(genres).values()) if genres else ""
        except (ValueError, AttributeError, TypeError):
            yield number, f"the genres (field 6) are not a JSON object of names: {genres[:60]}"
            continue
        row = {"text": summary.strip(), "title": title, "author": author, "date": date, "genres": genre_names}
        yield number, make_row_from_columns(row, columns, fields)


SOURCE = BookSummaries()
