"""Fuzz the archives that are read (collections) or unpacked (PaddleNLP's data sets)."""

from __future__ import annotations

import gzip
import importlib
import io
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

from hypothesis import strategies as st

from paddle_ft.config.schema import DataSection
from paddle_ft.data.archives import MAX_MEMBER, refuse_unsafe
from paddle_ft.data.load import load_split
from tests.fuzz.mutation import mutated, one_file
from tests.fuzz.target import Files, Target

FIELDS = {"aclimdb": ("text", "label"), "booksummaries": ("text",), "treebank": ("text", "label")}
BOOK = b'620\t/m/0hhy\tAnimal Farm\tGeorge Orwell\t1945-08-17\t{"/m/016lj8": "Satire"}\tOld Major calls the animals.\n'
TREE = b"(3 (2 It) (4 (2 's) (4 (3 lovely) (2 .))))\n(2 (2 Seen) (2 -LRB-twice-RRB-))\n"
REVIEWS = {"aclImdb/train/pos/0_9.txt": b"A good film.", "aclImdb/train/neg/0_1.txt": b"A bad film.", "aclImdb/README": b"x"}
NAMES = ("/etc/x", "../x", "a/../../x", "C:\\x", "..\\x", "a\0b", "中", "", "train.txt", "aclImdb/train/pos/1_9.txt")
KINDS = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)


def _tar(files: dict[str, bytes], mode: str = "w", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


TREES = _zip({"trees/train.txt": TREE, "trees/dev.txt": TREE, "trees/test.txt": TREE})
STORED = _zip({"trees/train.txt": TREE}, zipfile.ZIP_STORED)
COLLECTIONS = {
    "aclimdb.tar.gz": [_tar(REVIEWS)], "booksummaries.tar.gz": [_tar({"booksummaries/booksummaries.txt": BOOK})],
    "treebank.zip": [TREES, STORED],
}  # fmt: skip


def read(folder: Path) -> None:
    """Read the training rows of the collection that the file is named after."""
    (file,) = folder.iterdir()
    name = file.name.split(".")[0]
    rows = load_split(DataSection(source=f"{name}:{file.name}", on_bad_row="skip"), "train", required=FIELDS[name]).rows
    assert all(isinstance(value, str) for row in rows for value in row.values())


def unpack(folder: Path) -> None:
    """Unpack the archive as PaddleNLP does, if it is not refused. Nothing may be outside the folder, and no link inside."""
    from paddlenlp.utils.downloader import _decompress

    (file,) = folder.iterdir()
    refuse_unsafe(str(file))
    with suppress(Exception):  # what is raised here becomes a UserError in the source
        _decompress(str(file))
    assert not [path for path in folder.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())]


@st.composite
def _hostile(draw) -> dict[str, bytes]:
    """Return an archive with hostile names, links or devices."""
    files = draw(st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), st.binary(max_size=40), max_size=4))
    if draw(st.booleans()):
        mode, kind, link = (draw(st.sampled_from(values)) for values in (("w", "w:gz", "w:xz"), KINDS, NAMES))
        try:
            return {"data.tar.gz": _tar(files, mode, kind, link)}
        except (UnicodeEncodeError, ValueError):
            return {"data.tar.gz": b""}
    try:
        return {"data.zip": _zip(files)}
    except (UnicodeEncodeError, ValueError, IndexError):  # a name that zipfile does not write
        return {"data.zip": b""}


def _header(name: str, size: int) -> bytes:
    """Return the start of a tar archive that announces a file of this size."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _bomb_of_reviews() -> Files:
    return {"aclimdb.tar.gz": gzip.compress(_header("aclImdb/train/pos/0_9.txt", MAX_MEMBER + 1))}


def _bomb_of_trees() -> Files:
    """Return an archive whose directory announces a file of 4 GB."""
    size = struct.pack("<I", len(TREE))
    return {"treebank.zip": _zip({"train.txt": TREE}).replace(size, b"\xfe\xff\xff\xff")}


def _bomb_on_disk() -> Files:
    return {"data.tar": _header("big", 2**50)}


def _deep_tree() -> Files:
    return {"treebank.zip": _zip({"train.txt": b"(2 " * 200_000 + b"x" + b")" * 200_000})}


def _broken(names: dict[str, str]) -> st.SearchStrategy[dict[str, bytes]]:
    """Return damaged archives of the collections: a tar is damaged before or after it is compressed. names: collection -> file."""
    changes = []
    for name, seeds in COLLECTIONS.items():
        contents = mutated(seeds) if name.endswith(".zip") else st.one_of(mutated(seeds).map(gzip.compress), mutated(ZIPPED[name]))
        changes.append(one_file(names[name], contents))
    return st.one_of(*changes)


ZIPPED = {name: [gzip.compress(seed) for seed in seeds] for name, seeds in COLLECTIONS.items()}

TARGETS = (
    Target(
        "archive_read", read, _broken({name: name for name in COLLECTIONS}), megabytes=1200,
        examples={"bomb-of-reviews": _bomb_of_reviews, "bomb-of-trees": _bomb_of_trees, "deep-tree": _deep_tree},
    ),
    Target(
        "archive_unpack", unpack, st.one_of(_hostile(), _broken({name: f"data{name[name.index('.'):]}" for name in COLLECTIONS})),
        examples={"bomb": _bomb_on_disk}, prepare=lambda: importlib.import_module("paddlenlp.utils.downloader"),
    ),
)  # fmt: skip
