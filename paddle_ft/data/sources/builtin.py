"""Data sets that PaddleNLP knows by name, such as lcsts_new. They are read with paddlenlp.datasets.load_dataset.

PaddleNLP's builders would download their files themselves, and replace a file with a wrong checksum without a message. Therefore
this module finds out which files a builder needs and downloads them to where the builder looks for them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator

from paddle_ft.data.archives import refuse_unsafe
from paddle_ft.data.download import RemoteFile, checksum_error, download_missing
from paddle_ft.data.readers.glue import read_glue
from paddle_ft.data.readers.jsonl import read_json_lines
from paddle_ft.data.readers.stream import DataFile
from paddle_ft.data.rows import Fields, Record, Records, make_row_from_columns
from paddle_ft.data.sources.base import Source
from paddle_ft.data.splits import SPLITS, choose_split
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

NO_BUILDERS = {"__init__", "dataset", "embedding_dataset", "zero_padding_dataset"}
_MD5 = re.compile(r"[0-9a-f]{32}")


class BuiltIn(Source):
    """A data set of the installed PaddleNLP."""

    name = "builtin"
    order = 2

    def claims(self, value: str | None) -> bool:
        return value in builtin_names()

    def remote_files(self, data) -> list[RemoteFile]:
        """Return the files of all splits in use, or [] with data.data_files or a builder that does not list its files."""
        if data.data_files:
            return []
        names = [choose_split(data, split, list(_split_table(data))) for split in SPLITS]
        files = [file for name in names if name for file in _files_to_download(data, name)]
        return list(dict.fromkeys(files))

    def files(self, data, split: str) -> list[str] | None:
        if data.data_files:
            return [os.path.expanduser(data.data_files[split])] if split in data.data_files else None
        name = choose_split(data, split, list(_split_table(data)))
        return [_download_path(data, path) for paths, _, _ in _split_entries(data, name) for path in paths] if name else None

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        fields.column_names(data.source)
        if data.data_files:
            return _read_data_files(data, split, fields)
        name = choose_split(data, split, list(_split_table(data)))
        if name is None:
            return None
        files = _files_to_download(data, name)
        download_missing(files)
        for file in files:
            if file.unpacked and not os.path.exists(file.unpacked) and os.path.exists(file.path):
                refuse_unsafe(str(file.path))
        for file in _unpacked_files(data, name):
            if problem := checksum_error(file.path, file.md5):
                raise UserError(f"{file.path}: not the file of {data.source}: {problem}; delete it, and it is unpacked again")
        if data.source == "glue":
            return [_read_glue(data, name, fields)]
        paths = [file.path for file in _files_to_download(data, name)]
        file = paths[0] if len(paths) == 1 else f"{data.source}/{name}"
        return [(file, _read_with_builder(data, file, {"splits": name}, fields))]


def builtin_names() -> list[str]:
    """Return the sorted names of the data sets in the installed PaddleNLP. This does not import PaddleNLP."""
    spec = importlib.util.find_spec("paddlenlp")
    folder = os.path.join(spec.submodule_search_locations[0], "datasets")
    return sorted({name.removesuffix(".py") for name in os.listdir(folder) if name.endswith(".py")} - NO_BUILDERS)


# ---------------------------------------------------------------------------------------------------- rows
def _read_data_files(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    """Return (file, records) pairs for the user's own files (data.data_files), which have the layout of the built-in."""
    unknown = [key for key in data.data_files if key not in SPLITS]
    if unknown:
        raise UserError(f"data.data_files: unknown key {', '.join(unknown)}; the keys are {', '.join(SPLITS)}")
    path = data.data_files.get(split)
    if path is None:
        return None
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise UserError(f"data.data_files.{split}: {path}: no such file (working directory: {os.getcwd()})")
    if data.source == "glue":
        return [_read_glue(data, "train", fields, path)]
    return [(path, _read_with_builder(data, path, {"data_files": (path,)}, fields))]


def _read_glue(data, split: str, fields: Fields, own_file: str | None = None) -> tuple[str, Records]:
    """Return (file, records) for a split of GLUE, or for the user's `own_file` in the same layout.

    PaddleNLP's own reader is not used, because it does not report broken lines.
    """
    config = _builder(data).BUILDER_CONFIGS[data.name]
    layout = config["splits"][split]
    path = own_file or _download_path(data, layout[0])
    if not own_file and not os.path.exists(path):
        _unpack(data, split)
    return path, read_glue(DataFile(path), split, layout[2:], config["labels"], fields)


def _unpack(data, split: str) -> None:
    """Make the builder unpack its archive, which is already downloaded."""
    from paddlenlp.datasets import load_dataset

    try:
        load_dataset(data.source, data.name, lazy=True, splits=split)
    except Exception as error:  # a builder may raise anything for an archive that it cannot unpack
        raise UserError(f"data.source: {data.source}: its archive cannot be unpacked: {type(error).__name__}: {error}") from None


def _read_with_builder(data, file: str, arguments: dict, fields: Fields) -> Iterator[Record]:
    from paddlenlp.datasets import load_dataset

    # The warning says that a lazy data set can be iterated only once. That is enough here.
    warnings.filterwarnings("ignore", message="Reciving generator as data source")
    columns = fields.column_names(data.source)
    number = 0
    with Progress(None, f"read {file}", unit="row") as progress:
        try:
            for number, example in enumerate(load_dataset(data.source, data.name, lazy=True, **arguments), start=1):
                progress.update()
                yield number, make_row_from_columns(example, columns, fields)
        except Exception as error:  # a builder may raise anything for a file that it cannot read
            own_files = arguments.get("data_files")
            problem = f"after row {number} of {file}: {type(error).__name__}: {error}"
            raise UserError(
                f"{_locate_error(own_files[0], error) if own_files else problem}\n"
                f"PaddleNLP's reader of {data.source} stops there. With data.source=null, data.train=FILE and "
                "data.columns, bad rows can be skipped"
            ) from None


def _locate_error(path: str, error: Exception) -> str:
    """Return a message with the line of a JSON file at which a builder failed. For other formats, repeat the builder's error."""
    for line, value, reason in read_json_lines(DataFile(path)):
        if reason:
            return f"{path}:{line}: {reason}"
        if isinstance(error, KeyError) and (not isinstance(value, dict) or error.args[0] not in value):
            return f"{path}:{line}: no key {error.args[0]!r}"
    return f"{path}: {type(error).__name__}: {error}"


# ---------------------------------------------------------------------------------------------------- files of a builder
def _builder(data):
    """Return the builder's class. Raise UserError if it does not have the subset data.name."""
    from paddlenlp.datasets.dataset import import_main_class

    builder = import_main_class(data.source)
    subsets = list(getattr(builder, "BUILDER_CONFIGS", {}))
    if (subsets and data.name not in subsets) or (not subsets and data.name is not None):
        available = f"it has {', '.join(subsets)}" if subsets else "it has none"
        raise UserError(f"data.name: {data.source} has no subset {data.name!r}; {available}")
    return builder


def _split_table(data) -> dict:
    """Return split -> the builder's entries for its files. `_split_entries` reads them."""
    builder = _builder(data)
    configs = getattr(builder, "BUILDER_CONFIGS", None)
    return configs[data.name].get("splits", {}) if configs else getattr(builder, "SPLITS", {})


def _split_entries(data, split: str) -> list[tuple[list[str], list[str], list[str]]]:
    """Return (file names, md5 sums, URLs) of each entry of a split.

    Builders list them in different orders, so each text is recognised by its form.
    """
    value = _split_table(data)[split]
    entries = value if isinstance(value, list) and value and isinstance(value[0], tuple) else [value]
    result = []
    for entry in entries:
        texts = [item for item in (entry if isinstance(entry, (tuple, list)) else [entry]) if isinstance(item, str)]
        urls = [text for text in texts if text.startswith(("http://", "https://"))]
        sums = [text for text in texts if _MD5.fullmatch(text)]
        result.append(([text for text in texts if text not in urls and text not in sums], sums, urls))
    return result


def _download_folder(data) -> str:
    builder = _builder(data)
    return os.path.join(sys.modules[builder.__module__].DATA_HOME, builder.__name__)


def _download_path(data, path: str) -> str:
    return os.path.join(_download_folder(data), path)


def _files_to_download(data, split: str) -> list[RemoteFile]:
    """Return the files to download for a split: each file that has its own URL, and the archive that contains the others."""
    folder, builder = _download_folder(data), _builder(data)
    description = f"{data.source}{f'/{data.name}' if data.name else ''}: {split}"
    config = getattr(builder, "BUILDER_CONFIGS", {}).get(data.name, {})
    archive = config.get("url", getattr(builder, "URL", None))
    archive_md5 = config.get("md5", getattr(builder, "MD5", None))
    files = []
    for paths, sums, urls in _split_entries(data, split):
        if len(paths) == len(urls) == 1:
            path = os.path.join(folder, paths[0])
            files.append(RemoteFile(urls[0], path, md5=sums[0] if sums else None, description=description))
        elif paths and isinstance(archive, str):
            path = os.path.join(folder, archive.rsplit("/", 1)[-1])
            unpacked = os.path.join(folder, paths[0])
            md5 = archive_md5 if isinstance(archive_md5, str) else None
            files.append(RemoteFile(archive, path, md5=md5, description=description, unpacked=unpacked))
    return files


def _unpacked_files(data, split: str) -> list[RemoteFile]:
    """Return the files of a split that the builder has unpacked from an archive, with the checksums that it expects."""
    folder = _download_folder(data)
    return [
        RemoteFile("", os.path.join(folder, path), md5=md5)
        for paths, sums, urls in _split_entries(data, split)
        if not urls
        for path, md5 in zip(paths, sums, strict=False)
        if os.path.isfile(os.path.join(folder, path))
    ]


SOURCE = BuiltIn()
