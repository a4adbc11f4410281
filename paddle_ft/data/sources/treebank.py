"""data.source treebank: the sentences of the Stanford Sentiment Treebank as its authors publish it.

    treebank         trainDevTestTrees_PTB.zip from the authors' site, downloaded once
    treebank:PATH    the archive, or a folder with train.txt, dev.txt and test.txt

The columns are text and label. Each line of these files is a tree such as (3 (2 The) (3 ...)). The text is the words of the tree,
and the label is that of its root, in one of three forms:

    data.name=null      0 to 4: very negative, negative, neutral, positive, very positive
    data.name=score     0, 0.25, 0.5, 0.75, 1, for task.round_labels (which makes neutral sentences negative)
    data.name=binary    negative or positive, without the neutral sentences: 6,920 / 872 / 1,821 as in GLUE's SST-2

There are 8,544 / 1,101 / 2,210 sentences. Brackets are written -LRB- and -RRB- in the files; the text has the brackets themselves.
The trees have the score in five steps only. The authors' finer scores are in Hugging Face's stanfordnlp/sst.

Source: Socher et al. (2013), Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator

from paddle_ft.data.archives import read_zip_member
from paddle_ft.data.readers.stream import decode_utf8
from paddle_ft.data.rows import Fields, Record, Records, make_row_from_columns
from paddle_ft.data.sources.base import Collection
from paddle_ft.data.splits import choose_split
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

FILES = {"train": "train.txt", "dev": "dev.txt", "test": "test.txt"}
LABELS = {  # data.name -> label of each class, from very negative to very positive; None: the sentence is left out
    None: ("0", "1", "2", "3", "4"),
    "score": ("0", "0.25", "0.5", "0.75", "1"),
    "binary": ("negative", "negative", None, "positive", "positive"),
}
MAX_TREE = 20_000  # characters of a tree that are read; a deeper nested one takes a time that grows with its square
_LEAF = re.compile(r"\([0-4] ([^()\s]+)\)")
_ROOT = re.compile(r"\(([0-4]) ")
_INNER = re.compile(r"\([0-4]( \*)+\)")
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", r"\/": "/", r"\*": "*"}


class Treebank(Collection):
    """Stanford Sentiment Treebank."""

    name = "treebank"
    url = "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip"
    file_name = "trainDevTestTrees_PTB.zip"
    description = "Stanford Sentiment Treebank"

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        if data.name not in LABELS:
            raise UserError(f"data.name: {data.source} has no form {data.name!r}; use score, binary, or null for five classes")
        columns = fields.column_names(data.source)
        name = choose_split(data, split, list(FILES))
        if name is None:
            return None
        path, content = _read_file(self.find(data), FILES[name])
        return [(path, _read_trees(path, content, LABELS[data.name], columns, fields))]


def _read_file(path: str, name: str) -> tuple[str, bytes]:
    """Return the full path, for messages, and the content of the file `name` in a folder or zip archive."""
    try:
        if os.path.isdir(path):
            folder = path if os.path.isfile(os.path.join(path, name)) else os.path.join(path, "trees")
            with open(os.path.join(folder, name), "rb") as file:
                return os.path.join(folder, name), file.read()
        member, content = read_zip_member(path, lambda names: _find_member(path, names, name))
        return f"{path}/{member}", content
    except OSError as error:
        raise UserError(
            f"{error.filename}: {error.strerror}: the PATH of data.source=treebank:PATH must be the folder with train.txt,"
            f" dev.txt and test.txt, or the .zip of it (working directory: {os.getcwd()})"
        ) from None


def _find_member(path: str, names: list[str], name: str) -> str:
    """Return the one of the names in an archive that is a file `name` in any folder."""
    for path_in_zip in names:
        if f"/{path_in_zip}".endswith(f"/{name}"):
            return path_in_zip
    raise UserError(f"{path}: there is no {name} in this archive; it has {', '.join(names[:5])}")


def _read_trees(
    path: str, content: bytes, labels: tuple[str | None, ...], columns: dict[str, str], fields: Fields
) -> Iterator[Record]:
    with Progress(len(content), f"read {os.path.basename(path)}", unit="B") as progress:
        offset = 0
        for number, raw in enumerate(io.BytesIO(content), start=1):
            progress.update(len(raw))
            line, reason = decode_utf8(raw, offset)
            tree = reason or parse(line.strip())
            offset += len(raw)
            if isinstance(tree, str):
                yield number, tree
                continue
            label, text = labels[tree[0]], tree[1]
            if label is not None:
                yield number, make_row_from_columns({"text": text, "label": label}, columns, fields)


def parse(tree: str) -> tuple[int, str] | str:
    """Return (label of the root, sentence) of a tree, or a message if the text is not a tree."""
    if len(tree) > MAX_TREE:
        return f"not a tree of a sentence: it has {len(tree):,} characters"
    root = _ROOT.match(tree)
    shape, previous = _LEAF.sub("*", tree), None
    while shape != previous:  # replaces subtrees with * from the leaves up, until only the root is left
        shape, previous = _INNER.sub("*", shape), shape
    if root is None or shape != "*":
        return f"not a tree as in (3 (2 The) (3 end)): {tree[:60]!r}"
    words = [_BRACKETS.get(word, word).replace(r"\/", "/") for word in _LEAF.findall(tree)]
    return int(root[1]), " ".join(words)


SOURCE = Treebank()
