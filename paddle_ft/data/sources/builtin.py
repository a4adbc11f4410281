"""Datasets that PaddleNLP knows by name, such as lcsts_new, through paddlenlp.datasets.load_dataset.

PaddleNLP's builders fetch their files themselves, one after the other, with retries, and silently again when a checksum
is wrong. So the files a builder would want are found out first and seen to by download.ensure, in the very place where
the builder looks; with them in place the builder downloads nothing.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator

from paddle_ft.data.download import Wanted, ensure, wrong_checksum
from paddle_ft.data.readers import glue
from paddle_ft.data.readers.jsonl import json_lines
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Records, take_columns
from paddle_ft.data.splits import choose
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

ORDER = 2
NO_BUILDERS = {"__init__", "dataset", "embedding_dataset", "zero_padding_dataset"}
_MD5 = re.compile(r"[0-9a-f]{32}")


def names() -> list[str]:
    """The datasets of the installed PaddleNLP, found without importing it."""
    spec = importlib.util.find_spec("paddlenlp")
    folder = os.path.join(spec.submodule_search_locations[0], "datasets")
    return sorted({name.removesuffix(".py") for name in os.listdir(folder) if name.endswith(".py")} - NO_BUILDERS)


def claims(source: str | None) -> bool:
    return source in names()


def wanted(data) -> list[Wanted]:
    """The files of all splits in use. Empty for data.data_files, and for builders that do not say what they fetch."""
    if data.data_files:
        return []
    chosen = [choose(data, split, _splits(data)) for split in ("train", "validation", "test")]
    files = [file for split in chosen if split for file in _files(data, split)]
    return list(dict.fromkeys(files))


def read(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    fields.by_name(data.source)
    if data.data_files:
        return _own_files(data, split, fields)
    chosen = choose(data, split, _splits(data))
    if chosen is None:
        return None
    ensure(_files(data, chosen))
    for file in _unpacked(data, chosen):
        if fault := wrong_checksum(file.path, file.md5):
            raise UserError(f"{file.path}: not the file of {data.source}: {fault}; delete it to have it unpacked again")
    if data.source == "glue":
        return [_glue(data, chosen, fields)]
    paths = [file.path for file in _files(data, chosen)]
    name = paths[0] if len(paths) == 1 else f"{data.source}/{chosen}"
    return [(name, _records(data, name, {"splits": chosen}, fields))]


def _own_files(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    """The data_files form: the user's files in the built-in's layout."""
    unknown = [key for key in data.data_files if key not in ("train", "validation", "test")]
    if unknown:
        raise UserError(f"data.data_files: unknown key {', '.join(unknown)}; the keys are train, validation, test")
    path = data.data_files.get(split)
    if path is None:
        return None
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise UserError(f"data.data_files.{split}: {path}: no such file (working directory: {os.getcwd()})")
    if data.source == "glue":
        return [_glue(data, "train", fields, path)]
    return [(path, _records(data, path, {"data_files": (path,)}, fields))]


def _glue(data, split: str, fields: Fields, own: str | None = None) -> tuple[str, Records]:
    """A file of GLUE, read by ourselves: PaddleNLP's reader has no word for a broken line. own: a file in its layout."""
    config = _builder(data).BUILDER_CONFIGS[data.name]
    layout = config["splits"][split]
    path = own or os.path.join(_root(data), layout[0])
    if not own and not os.path.exists(path):
        _unpack(data, split)
    return path, glue.read(DataFile(path), split, layout[2:], config["labels"], fields)


def _unpack(data, split: str) -> None:
    """Has the builder unpack its archive, which is there."""
    from paddlenlp.datasets import load_dataset

    try:
        load_dataset(data.source, data.name, lazy=True, splits=split)
    except Exception as error:  # whatever a builder raises on an archive it cannot unpack
        raise UserError(f"data.source: {data.source}: its archive cannot be unpacked: {type(error).__name__}: {error}") from None


def _records(data, file: str, arguments: dict, fields: Fields) -> Iterator[tuple[int, dict[str, str] | str]]:
    from paddlenlp.datasets import load_dataset

    warnings.filterwarnings("ignore", message="Reciving generator as data source")  # once is all that is needed
    columns = fields.by_name(data.source)
    number = 0
    with Progress(None, f"read {file}", unit="row") as progress:
        try:
            for number, example in enumerate(load_dataset(data.source, data.name, lazy=True, **arguments), start=1):
                progress.update()
                yield number, take_columns(example, columns, fields)
        except Exception as error:  # whatever a builder raises on a file it cannot read
            own = arguments.get("data_files")
            place = _fault(own[0], error) if own else f"after row {number} of {file}: {type(error).__name__}: {error}"
            raise UserError(
                f"{place}\nPaddleNLP's reader of {data.source} stops there. With data.source=null, data.train=FILE and "
                "data.columns, bad rows can be skipped"
            ) from None


def _fault(path: str, error: Exception) -> str:
    """file:line of what made a builder fail, for files of JSON lines; else what the builder said."""
    for line, value, reason in json_lines(DataFile(path)):
        if reason:
            return f"{path}:{line}: {reason}"
        if isinstance(error, KeyError) and (not isinstance(value, dict) or error.args[0] not in value):
            return f"{path}:{line}: no key {error.args[0]!r}"
    return f"{path}: {type(error).__name__}: {error}"


def _builder(data):
    """The builder's class. Raises UserError for a subset that it does not have."""
    from paddlenlp.datasets.dataset import import_main_class

    builder = import_main_class(data.source)
    subsets = list(getattr(builder, "BUILDER_CONFIGS", {}))
    if (subsets and data.name not in subsets) or (not subsets and data.name is not None):
        has = f"it has {', '.join(subsets)}" if subsets else "it has none"
        raise UserError(f"data.name: {data.source} has no subset {data.name!r}; {has}")
    return builder


def _table(data) -> dict:
    """Split -> what the builder notes about its files."""
    builder = _builder(data)
    configs = getattr(builder, "BUILDER_CONFIGS", None)
    return configs[data.name].get("splits", {}) if configs else getattr(builder, "SPLITS", {})


def _splits(data) -> list[str]:
    return list(_table(data))


def _entries(data, split: str) -> list[tuple[list[str], list[str], list[str]]]:
    """(file names, md5 sums, addresses) of each entry: told apart by form, as builders order them in several ways."""
    noted = _table(data)[split]
    entries = noted if isinstance(noted, list) and noted and isinstance(noted[0], tuple) else [noted]
    found = []
    for entry in entries:
        texts = [value for value in (entry if isinstance(entry, (tuple, list)) else [entry]) if isinstance(value, str)]
        urls = [text for text in texts if text.startswith(("http://", "https://"))]
        sums = [text for text in texts if _MD5.fullmatch(text)]
        found.append(([text for text in texts if text not in urls and text not in sums], sums, urls))
    return found


def _root(data) -> str:
    builder = _builder(data)
    return os.path.join(sys.modules[builder.__module__].DATA_HOME, builder.__name__)


def _files(data, split: str) -> list[Wanted]:
    """What to fetch: files with an address of their own, else the archive that the builder unpacks."""
    root, builder = _root(data), _builder(data)
    what = f"{data.source}{f'/{data.name}' if data.name else ''}: {split}"
    config = getattr(builder, "BUILDER_CONFIGS", {}).get(data.name, {})
    archive = config.get("url", getattr(builder, "URL", None))
    archive_md5 = config.get("md5", getattr(builder, "MD5", None))
    files = []
    for paths, sums, urls in _entries(data, split):
        if len(paths) == len(urls) == 1:
            files.append(Wanted(urls[0], os.path.join(root, paths[0]), md5=sums[0] if sums else None, what=what))
        elif paths and isinstance(archive, str):
            place = os.path.join(root, archive.rsplit("/", 1)[-1])
            unpacked = os.path.join(root, paths[0])
            md5 = archive_md5 if isinstance(archive_md5, str) else None
            files.append(Wanted(archive, place, md5=md5, what=what, unpacked=unpacked))
    return files


def _unpacked(data, split: str) -> list[Wanted]:
    """The files from an archive that are there, with the checksums that the builder will look at."""
    root = _root(data)
    return [
        Wanted("", os.path.join(root, path), md5=md5)
        for paths, sums, urls in _entries(data, split)
        if not urls
        for path, md5 in zip(paths, sums, strict=False)
        if os.path.isfile(os.path.join(root, path))
    ]
