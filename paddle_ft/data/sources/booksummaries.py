"""data.source booksummaries: the CMU Book Summary Corpus as its authors ship it, for language modelling.

    booksummaries          booksummaries.tar.gz from its own address, or from where it was put
    booksummaries:PATH     the archive, or booksummaries.txt from it

A line a book, seven fields between tabs: Wikipedia id, Freebase id, title, author, date, genres (JSON: id -> name), summary.
Columns: text (the summary), title, author, date, genres (names, with commas between). There is one set of rows and no split.

Source: Bamman & Smith (2013), New Alignment Methods for Discriminative Book Summarization.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator

from paddle_ft.data.download import Wanted, data_home, ensure
from paddle_ft.data.readers.stream import DataFile, not_utf8
from paddle_ft.data.rows import Fields, Records, take_columns
from paddle_ft.data.splits import NONE
from paddle_ft.system.errors import UserError

ORDER = 1
URL = "https://www.cs.cmu.edu/~dbamman/data/booksummaries.tar.gz"
NAME = "booksummaries.txt"


def claims(source: str | None) -> bool:
    return source is not None and source.partition(":")[0] == "booksummaries"


def wanted(data) -> list[Wanted]:
    if data.source.partition(":")[2]:
        return []
    return [Wanted(URL, str(data_home() / "booksummaries.tar.gz"), what="CMU Book Summary Corpus")]


def read(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    if getattr(data, split) not in (None, NONE):
        raise UserError(
            f"data.{split}: {data.source} has one set of rows and no splits; the task splits it. A file of your own may stand"
            " here."
        )
    if split != "train":
        return None
    columns = fields.by_name(data.source)
    path = os.path.expanduser(data.source.partition(":")[2])
    if not path:
        files = wanted(data)
        ensure(files)
        path = files[0].path
    lines = _archive(path) if path.endswith((".tar.gz", ".tgz")) else DataFile(path).lines()
    return [(path, _records(lines, columns, fields))]


def _archive(path: str) -> Iterator[tuple[str, str | None]]:
    """The lines of booksummaries.txt in the archive: (text, what is wrong with its encoding)."""
    with DataFile(path).open() as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                member = next((one for one in archive if os.path.basename(one.name) == NAME and one.isfile()), None)
                if member is None:
                    raise UserError(f"{path}: there is no {NAME} in this archive")
                offset = 0
                for raw in io.BufferedReader(archive.extractfile(member)):
                    try:
                        yield raw.decode().rstrip("\r\n"), None
                    except UnicodeDecodeError as error:
                        yield "", not_utf8(raw, offset + error.start)
                    offset += len(raw)
        except tarfile.TarError as error:
            raise UserError(f"{path}: cannot be read as an archive ({error}); fetch it again") from None


def _records(
    lines: Iterable[tuple[str, str | None]], columns: dict[str, str], fields: Fields
) -> Iterator[tuple[int, dict[str, str] | str]]:
    for number, (line, fault) in enumerate(lines, start=1):
        cells = line.split("\t")
        if fault or len(cells) != 7:
            yield number, fault or f"{len(cells)} fields between tabs where there should be 7"
            continue
        _, _, title, author, date, genres, summary = cells
        try:
            names = ", ".join(json.loads(genres).values()) if genres else ""
        except (ValueError, AttributeError, TypeError):
            yield number, f"the genres (field 6) are no JSON object of names: {genres[:60]}"
            continue
        row = {"text": summary.strip(), "title": title, "author": author, "date": date, "genres": names}
        yield number, take_columns(row, columns, fields)
