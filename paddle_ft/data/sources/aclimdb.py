"""data.source aclimdb: the Large Movie Review Dataset as its authors publish it, for classification and language modelling.

    aclimdb          aclImdb_v1.tar.gz from the authors' site, downloaded once
    aclimdb:PATH     the archive, or the folder aclImdb unpacked from it

The splits are train and test (25,000 reviews each) and unsupervised (50,000 without labels). They can be joined with +, as in
train+unsupervised. There is no validation split; data.validation=test is the usual choice. The columns are text (unchanged, with
its <br /> tags) and label (neg or pos). The rows are in a fixed random order, which is the same for archive and folder, so the
first N rows are a fair sample. In the order of the files, reviews of the same class and of the same film follow each other.

Source: Maas et al. (2011), Learning Word Vectors for Sentiment Analysis.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Iterator

from paddle_ft.data.archives import MAX_MEMBER, read_tar_member
from paddle_ft.data.readers.stream import decode_utf8, open_tar
from paddle_ft.data.rows import Fields, Record, Records, make_row_from_columns
from paddle_ft.data.sources.base import Collection
from paddle_ft.data.splits import choose_splits
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

FOLDERS = {"train": ("train/neg", "train/pos"), "test": ("test/neg", "test/pos"), "unsupervised": ("train/unsup",)}
SHUFFLE_SEED = 2022
_REVIEW = re.compile(r"(?:^|.*/)((?:train|test)/(?:neg|pos|unsup))/([^/]+\.txt)$")

Reviews = dict[str, bytes]
"""Path inside the collection, such as train/pos/0_9.txt -> content."""


class AclImdb(Collection):
    """Large Movie Review Dataset."""

    name = "aclimdb"
    url = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
    file_name = "aclImdb_v1.tar.gz"
    md5 = "7c2ac02c03563afcf9b574c7e56c153a"
    description = "Large Movie Review Dataset"

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        columns = fields.column_names(data.source)
        splits = choose_splits(data, split, list(FOLDERS))
        if "unsupervised" in splits and "label" in fields.required:
            raise UserError(f"data.{split}: the unsupervised reviews of {data.source} have no label; use train or test")
        if not splits:
            return None
        path = self._find_folder_or_archive(data)
        reviews = _read_folder(path, splits) if os.path.isdir(path) else _read_archive(path, splits)
        return [(f"{path} ({'+'.join(splits)})", _make_rows(reviews, columns, fields))]

    def _find_folder_or_archive(self, data) -> str:
        """Return the path of the folder with train/ and test/ in it, or of the archive."""
        path = self.find(data)
        if not self.local_path(data):
            return path
        for folder in (path, os.path.join(path, "aclImdb")):
            if os.path.isdir(os.path.join(folder, "train")):
                return folder
        if os.path.isfile(path) and path.endswith(".tar.gz"):
            return path
        raise UserError(
            f"data.source: {data.source}: {path} is neither the folder aclImdb (with train/ and test/ in it) nor a .tar.gz of it"
            f" (working directory: {os.getcwd()})"
        )


def _read_folder(path: str, splits: list[str]) -> Reviews:
    names = []
    for split_folder in _folders_of(splits):
        folder = os.path.join(path, split_folder)
        if not os.path.isdir(folder):
            raise UserError(f"{folder}: no such folder; unpack the whole archive, or name the archive itself")
        names += [f"{split_folder}/{name}" for name in os.listdir(folder) if name.endswith(".txt")]
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


def _read_archive(path: str, splits: list[str]) -> Reviews:
    """Read the archive once from start to end, without unpacking it to disk."""
    folders, reviews, total = set(_folders_of(splits)), {}, 0
    with open_tar(path) as archive, Progress(None, f"read {path} ({'+'.join(splits)})", unit="file") as progress:
        for member in archive:
            progress.update()
            match = _REVIEW.match(member.name)
            if match and match[1] in folders and member.isfile():
                reviews[f"{match[1]}/{match[2]}"] = read_tar_member(path, archive, member)
                total += member.size
                if total > MAX_MEMBER:
                    raise UserError(f"{path}: its reviews have more than {MAX_MEMBER >> 20} MB; this is not the published archive")
    return reviews


def _folders_of(splits: list[str]) -> list[str]:
    return [folder for split in splits for folder in FOLDERS[split]]


def _make_rows(reviews: Reviews, columns: dict[str, str], fields: Fields) -> Iterator[Record]:
    names = sorted(reviews)
    random.Random(SHUFFLE_SEED).shuffle(names)
    for number, name in enumerate(names, start=1):
        text, reason = decode_utf8(reviews[name])
        if reason:
            yield number, f"{name}: {reason}"
            continue
        row = {"text": text.strip()}
        label = name.split("/")[1]
        if label != "unsup":
            row["label"] = label
        record = make_row_from_columns(row, columns, fields)
        yield number, record if isinstance(record, dict) else f"{name}: {record}"


SOURCE = AclImdb()
