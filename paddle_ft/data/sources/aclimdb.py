"""data.source aclimdb: the Large Movie Review Dataset as its authors ship it, for classification and language modelling.

    aclimdb          aclImdb_v1.tar.gz from its own address, or from where it was put
    aclimdb:PATH     the archive, or the folder aclImdb unpacked from it

Splits: train and test (25,000 each), unsupervised (50,000, no label); several joined with +, as in train+unsupervised.
There is no validation split of its own: data.validation=test. Fields: text (as it is, with its <br /> tags) and label (neg or
pos). The rows come in a fixed shuffled order, the same for archive and folder, so that any first N are a fair sample; in the
files' order all reviews of a class, and of a film, stand together.

Source: Maas et al. (2011), Learning Word Vectors for Sentiment Analysis.
"""

from __future__ import annotations

import os
import random
import re
import tarfile
from collections.abc import Iterable, Iterator

from paddle_ft.data.download import Wanted, data_home, ensure
from paddle_ft.data.readers.stream import DataFile, not_utf8
from paddle_ft.data.rows import Fields, Records, take_columns
from paddle_ft.data.splits import choose_several
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

ORDER = 1
URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
FOLDERS = {"train": ("train/neg", "train/pos"), "test": ("test/neg", "test/pos"), "unsupervised": ("train/unsup",)}
ORDER_SEED = 2022
_REVIEW = re.compile(r"(?:^|.*/)((?:train|test)/(?:neg|pos|unsup))/([^/]+\.txt)$")


def claims(source: str | None) -> bool:
    return source is not None and source.partition(":")[0] == "aclimdb"


def wanted(data) -> list[Wanted]:
    if data.source.partition(":")[2]:
        return []
    return [Wanted(URL, str(data_home() / "aclImdb_v1.tar.gz"), md5=MD5, what="Large Movie Review Dataset")]


def read(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    columns = fields.by_name(data.source)
    chosen = choose_several(data, split, list(FOLDERS))
    if "unsupervised" in chosen and "label" in fields.required:
        raise UserError(f"data.{split}: the unsupervised reviews of {data.source} have no label; use train or test")
    if not chosen:
        return None
    path = _place(data)
    reviews = _folder(path, chosen) if os.path.isdir(path) else _archive(path, chosen)
    return [(f"{path} ({'+'.join(chosen)})", _records(reviews, columns, fields))]


def _place(data) -> str:
    """The folder that holds train/ and test/, or the archive. Raises UserError if it is neither."""
    path = os.path.expanduser(data.source.partition(":")[2])
    if not path:
        files = wanted(data)
        ensure(files)
        return files[0].path
    inner = os.path.join(path, "aclImdb")
    for folder in (path, inner):
        if os.path.isdir(os.path.join(folder, "train")):
            return folder
    if os.path.isfile(path) and path.endswith(".tar.gz"):
        return path
    raise UserError(
        f"data.source: {data.source}: {path} is neither the folder aclImdb (with train/ and test/ in it) nor a .tar.gz of it"
        f" (working directory: {os.getcwd()})"
    )


def _folder(path: str, splits: list[str]) -> dict[str, bytes]:
    """train/pos/0_9.txt -> its bytes."""
    names = []
    for part in _parts(splits):
        folder = os.path.join(path, part)
        if not os.path.isdir(folder):
            raise UserError(f"{folder}: no such folder; unpack the whole archive, or name the archive itself")
        names += [f"{part}/{name}" for name in os.listdir(folder) if name.endswith(".txt")]
    reviews = {}
    with Progress(len(names), f"read {path} ({'+'.join(splits)})", unit="file") as progress:
        for name in names:
            try:
                with open(os.path.join(path, name), "rb") as file:
                    reviews[name] = file.read()
            except OSError as error:
                raise UserError(f"{os.path.join(path, name)}: cannot be read: {error.strerror}") from None
            progress.update()
    return reviews


def _archive(path: str, splits: list[str]) -> dict[str, bytes]:
    """The same from the archive, read once from front to back without unpacking it to disk."""
    parts, reviews = set(_parts(splits)), {}
    with DataFile(path).open() as stream, Progress(None, f"read {path} ({'+'.join(splits)})", unit="file") as progress:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    progress.update()
                    match = _REVIEW.match(member.name)
                    if match and match[1] in parts and member.isfile():
                        reviews[f"{match[1]}/{match[2]}"] = archive.extractfile(member).read()
        except tarfile.TarError as error:
            raise UserError(f"{path}: cannot be read as an archive ({error}); fetch it again") from None
    return reviews


def _parts(splits: list[str]) -> list[str]:
    return [part for split in splits for part in FOLDERS[split]]


def _records(
    reviews: dict[str, bytes], columns: dict[str, str], fields: Fields
) -> Iterator[tuple[int, dict[str, str] | str]]:
    names = sorted(reviews)
    random.Random(ORDER_SEED).shuffle(names)
    for number, name in enumerate(names, start=1):
        try:
            row = {"text": reviews[name].decode("utf-8").strip()}
        except UnicodeDecodeError as error:
            yield number, f"{name}: {not_utf8(reviews[name], error.start)}"
            continue
        label = name.split("/")[1]
        if label != "unsup":
            row["label"] = label
        record = take_columns(row, columns, fields)
        yield number, record if isinstance(record, dict) else f"{name}: {record}"
