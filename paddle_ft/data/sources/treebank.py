"""data.source treebank: the Stanford Sentiment Treebank as its authors ship it, by sentences.

    treebank         trainDevTestTrees_PTB.zip from its own address, or from where it was put
    treebank:PATH    the archive, or a folder with train.txt, dev.txt and test.txt

Fields: text and label. A line of these files is a tree, (3 (2 The) (3 ...)); the text is its words, the label that of its
root, which data.name says how to give:

    (null)    0 to 4: very negative, negative, neutral, positive, very positive
    score     0, 0.25, 0.5, 0.75, 1, for task.round_labels (which makes neutral sentences negative)
    binary    negative or positive, without the neutral sentences: 6,920 / 872 / 1,821 as in GLUE's SST-2

8,544 / 1,101 / 2,210 sentences. Brackets, written -LRB- and -RRB-, are given back. The trees hold the score in five steps; the
authors' finer ones are in Hugging Face's stanfordnlp/sst.

Source: Socher et al. (2013), Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator

from paddle_ft.data.download import Wanted, data_home, ensure
from paddle_ft.data.readers.stream import not_utf8
from paddle_ft.data.rows import Fields, Records, take_columns
from paddle_ft.data.splits import choose
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

ORDER = 1
URL = "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip"
FILES = {"train": "train.txt", "dev": "dev.txt", "test": "test.txt"}
FORMS = {
    None: ("0", "1", "2", "3", "4"),
    "score": ("0", "0.25", "0.5", "0.75", "1"),
    "binary": ("negative", "negative", None, "positive", "positive"),
}
_LEAF = re.compile(r"\([0-4] ([^()\s]+)\)")
_ROOT = re.compile(r"\(([0-4]) ")
_INNER = re.compile(r"\([0-4]( \*)+\)")
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", r"\/": "/", r"\*": "*"}


def claims(source: str | None) -> bool:
    return source is not None and source.partition(":")[0] == "treebank"


def wanted(data) -> list[Wanted]:
    if data.source.partition(":")[2]:
        return []
    return [Wanted(URL, str(data_home() / "trainDevTestTrees_PTB.zip"), what="Stanford Sentiment Treebank")]


def read(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    if data.name not in FORMS:
        raise UserError(f"data.name: {data.source} has no form {data.name!r}; it has score, binary and (null) five classes")
    columns = fields.by_name(data.source)
    chosen = choose(data, split, list(FILES))
    if chosen is None:
        return None
    path, content = _content(data, FILES[chosen])
    return [(path, _records(path, content, FORMS[data.name], columns, fields))]


def _content(data, name: str) -> tuple[str, bytes]:
    """The file's path, for messages, and its bytes."""
    path = os.path.expanduser(data.source.partition(":")[2])
    if not path:
        files = wanted(data)
        ensure(files)
        path = files[0].path
    try:
        if os.path.isdir(path):
            folder = path if os.path.isfile(os.path.join(path, name)) else os.path.join(path, "trees")
            with open(os.path.join(folder, name), "rb") as file:
                return os.path.join(folder, name), file.read()
        with zipfile.ZipFile(path) as archive:
            inner = next((one for one in archive.namelist() if one.endswith(f"/{name}") or one == name), None)
            if inner is None:
                raise UserError(f"{path}: there is no {name} in this archive; it holds {', '.join(archive.namelist()[:5])}")
            return f"{path}/{inner}", archive.read(inner)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: not a zip archive, or a damaged one ({error})") from None
    except OSError as error:
        raise UserError(
            f"{error.filename}: {error.strerror}: data.source=treebank:PATH takes the folder with train.txt, dev.txt and"
            f" test.txt, or the .zip of it (working directory: {os.getcwd()})"
        ) from None


def _records(
    path: str, content: bytes, form: tuple[str | None, ...], columns: dict[str, str], fields: Fields
) -> Iterator[tuple[int, dict[str, str] | str]]:
    with Progress(len(content), f"read {os.path.basename(path)}", unit="B") as progress:
        offset = 0
        for number, raw in enumerate(io.BytesIO(content), start=1):
            progress.update(len(raw))
            try:
                sentence = parse(raw.decode("utf-8").strip())
            except UnicodeDecodeError as error:
                sentence = not_utf8(raw, offset + error.start)
            offset += len(raw)
            if isinstance(sentence, str):
                yield number, sentence
            elif form[sentence[0]] is not None:
                yield number, take_columns({"text": sentence[1], "label": form[sentence[0]]}, columns, fields)


def parse(tree: str) -> tuple[int, str] | str:
    """(label of the root, sentence) of one tree, or what is wrong with it."""
    root = _ROOT.match(tree)
    shape, before = _LEAF.sub("*", tree), None
    while shape != before:
        shape, before = _INNER.sub("*", shape), shape
    if root is None or shape != "*":
        return f"not a tree as in (3 (2 The) (3 end)): {tree[:60]!r}"
    words = [_BRACKETS.get(word, word).replace(r"\/", "/") for word in _LEAF.findall(tree)]
    return int(root[1]), " ".join(words)
