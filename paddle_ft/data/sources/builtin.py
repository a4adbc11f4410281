"""Data sets that PaddleNLP knows by name, such as lcsts_new, read through paddlenlp.datasets.load_dataset.

PaddleNLP's builders download their files themselves: one after the other, with retries, and again without a word when a
checksum is wrong. So we find out which files a builder needs and download them to the place where it looks. Then the builder
downloads nothing.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator

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
        """Return the files of all splits in use. Empty for data.data_files and for builders that do not list their files."""
        if data.data_files:
            return []
        chosen = [choose_split(data, split, list(_split_table(data))) for split in SPLITS]
        files = [file for split in chosen if split for file in _files_to_download(data, split)]
        return list(dict.fromkeys(files))

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        fields.column_names(data.source)
        if data.data_files:
            return _read_data_files(data, split, fields)
        name = choose_split(data, split, list(_split_table(data)))
        if name is None:
            return None
        download_missing(_files_to_download(data, name))
        for file in _unpacked_files(data, name):
            if fault := checksum_error(file.path, file.md5):
                raise UserError(f"{file.path}: not the file of {data.source}: {fault}; delete it to have it unpacked again")
        if data.source == "glue":
            return [_read_glue(data, name, fields)]
        paths = [file.path for file in _files_to_download(data, name)]
        file = paths[0] if len(paths) == 1 else f"{data.source}/{name}"
        return [(file, _read_with_builder(data, file, {"splits": name}, fields))]


def builtin_names() -> list[str]:
    """Return the data sets of the installed PaddleNLP, found without importing it."""
    spec = importlib.util.find_spec("paddlenlp")
    folder = os.path.join(spec.submodule_search_locations[0], "datasets")
    return sorted({name.removesuffix(".py") for name in os.listdir(folder) if name.endswith(".py")} - NO_BUILDERS)


# ---------------------------------------------------------------------------------------------------- rows
def _read_data_files(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    """Read the user's own files (data.data_files) in the layout of the built-in."""
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
    """Read a file of GLUE, or the user's `own_file` in its layout, without PaddleNLP, which does not report broken lines."""
    config = _builder(data).BUILDER_CONFIGS[data.name]
    layout = config["splits"][split]
    path = own_file or os.path.join(_download_folder(data), layout[0])
    if not own_file and not os.path.exists(path):
        _unpack(data, split)
    return path, read_glue(DataFile(path), split, layout[2:], config["labels"], fields)


def _unpack(data, split: str) -> None:
    """Let the builder unpack its archive, which was downloaded before."""
    from paddlenlp.datasets import load_dataset

    try:
        load_dataset(data.source, data.name, lazy=True, splits=split)
    except Exception as error:  # whatever a builder raises on an archive it cannot unpack
        raise UserError(f"data.source: {data.source}: its archive cannot be unpacked: {type(error).__name__}: {error}") from None


def _read_with_builder(data, file: str, arguments: dict, fields: Fields) -> Iterator[Record]:
    from paddlenlp.datasets import load_dataset

    # PaddleNLP says that a lazy data set can be iterated only once, which is all we do.
    warnings.filterwarnings("ignore", message="Reciving generator as data source")
    columns = fields.column_names(data.source)
    number = 0
    with Progress(None, f"read {file}", unit="row") as progress:
        try:
            for number, example in enumerate(load_dataset(data.source, data.name, lazy=True, **arguments), start=1):
                progress.update()
                yield number, make_row_from_columns(example, columns, fields)
        except Exception as error:  # whatever a builder raises on a file it cannot read
            own_files = arguments.get("data_files")
            place = f"after row {number} of {file}: {type(error).__name__}: {error}"
            raise UserError(
                f"{_locate_fault(own_files[0], error) if own_files else place}\n"
                f"PaddleNLP's reader of {data.source} stops there. With data.source=null, data.train=FILE and "
                "data.columns, bad rows can be skipped"
            ) from None


def _locate_fault(path: str, error: Exception) -> str:
    """Return file:line of what made a builder fail on JSON lines; for other formats what the builder said."""
    for line, value, reason in read_json_lines(DataFile(path)):
        if reason:
            return f"{path}:{line}: {reason}"
        if isinstance(error, KeyError) and (not isinstance(value, dict) or error.args[0] not in value):
            return f"{path}:{line}: no key {error.args[0]!r}"
    return f"{path}: {type(error).__name__}: {error}"


# ---------------------------------------------------------------------------------------------------- what builders download
def _builder(data):
    """Return the builder's class. Raise UserError if it does not have the subset data.name."""
    from paddlenlp.datasets.dataset import import_main_class

    builder = import_main_class(data.source)
    subsets = list(getattr(builder, "BUILDER_CONFIGS", {}))
    if (subsets and data.name not in subsets) or (not subsets and data.name is not None):
        has = f"it has {', '.join(subsets)}" if subsets else "it has none"
        raise UserError(f"data.name: {data.source} has no subset {data.name!r}; {has}")
    return builder


def _split_table(data) -> dict:
    """Return split -> what the builder notes about its files."""
    builder = _builder(data)
    configs = getattr(builder, "BUILDER_CONFIGS", None)
    return configs[data.name].get("splits", {}) if configs else getattr(builder, "SPLITS", {})


def _split_entries(data, split: str) -> list[tuple[list[str], list[str], list[str]]]:
    """Return (file names, md5 sums, URLs) of each entry. They are told apart by their form, since builders vary their order."""
    noted = _split_table(data)[split]
    entries = noted if isinstance(noted, list) and noted and isinstance(noted[0], tuple) else [noted]
    result = []
    for entry in entries:
        texts = [value for value in (entry if isinstance(entry, (tuple, list)) else [entry]) if isinstance(value, str)]
        urls = [text for text in texts if text.startswith(("http://", "https://"))]
        sums = [text for text in texts if _MD5.fullmatch(text)]
        result.append(([text for text in texts if text not in urls and text not in sums], sums, urls))
    return result


def _download_folder(data) -> str:
    builder = _builder(data)
    return os.path.join(sys.modules[builder.__module__].DATA_HOME, builder.__name__)


def _files_to_download(data, split: str) -> list[RemoteFile]:
    """Return the files with a URL of their own, and for the others the archive that the builder unpacks."""
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
    """Return the existing files from an archive, with the checksums that the builder compares."""
    folder = _download_folder(data)
    return [
        RemoteFile("", os.path.join(folder, path), md5=md5)
        for paths, sums, urls in _split_entries(data, split)
        if not urls
        for path, md5 in zip(paths, sums, strict=False)
        if os.path.isfile(os.path.join(folder, path))
    ]


SOURCE = BuiltIn()
