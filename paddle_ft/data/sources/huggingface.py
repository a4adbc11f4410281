"""Any other data.source: a data set on the Hugging Face Hub, or a local folder that the `datasets` package can load."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from functools import cache

from paddle_ft.data.download import RemoteFile, connection_error
from paddle_ft.data.readers.arrow import choose_class_names, class_names_of, read_batches
from paddle_ft.data.rows import Fields, Record, Records
from paddle_ft.data.sources.base import Source
from paddle_ft.data.sources.builtin import builtin_names
from paddle_ft.data.splits import choose_splits
from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import import_hint

# As paddlenlp.datasets does: otherwise `datasets` tells the Hub of every load, which takes long on a slow connection.
os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "False")


class HuggingFace(Source):
    """Everything that the `datasets` package can load by name."""

    name = "huggingface"
    order = 3

    def claims(self, value: str | None) -> bool:
        return True

    def remote_files(self, data) -> list[RemoteFile]:
        """Return an empty list, because only the Hub knows the files of a data set.

        Raises:
            UserError: the data set is not available. It is checked here so that a run reports it together with all missing files.
        """
        if not data.data_files:
            _split_names(data.source, data.name)
        return []

    def files(self, data, split: str) -> list[str] | None:
        name = "" if data.data_files else "+".join(choose_splits(data, split, _split_names(data.source, data.name)))
        return [file["filename"] for file in _load(data.source, data.name, name).cache_files] if name else None

    def read(self, data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
        if data.data_files:
            raise UserError(f"data.data_files: {data.source} is not a PaddleNLP built-in; your own files need no data.source")
        fields.column_names(data.source)  # refuses numbers before anything is downloaded
        name = "+".join(choose_splits(data, split, _split_names(data.source, data.name)))
        if not name:
            return None
        dataset = _load(data.source, data.name, name)
        columns = fields.available_columns(data.source, dataset.column_names)
        file = f"{data.source}{f'/{data.name}' if data.name else ''}[{name}]"
        return [(file, _read_rows(dataset, file, columns, fields))]


@cache
def _load(source: str, name: str | None, split: str):
    """Return a split of a data set of the `datasets` package, which keeps it on disk."""
    # Imported from its module, because paddlenlp replaces datasets.load_dataset with a function that runs its own scripts.
    from datasets.load import load_dataset

    return _call(source, load_dataset, source, name, split=split, trust_remote_code=False)


def _read_rows(dataset, file: str, columns: dict[str, str], fields: Fields) -> Iterator[Record]:
    classes = choose_class_names(class_names_of(dataset.features.to_dict()), dataset.data.schema, columns, fields, file)
    batches = dataset.select_columns(list(dict.fromkeys(columns.values()))).with_format("arrow").iter(1000)
    yield from read_batches(batches, len(dataset), f"read {file}", columns, fields, classes)


@cache
def _split_names(source: str, name: str | None) -> list[str]:
    """Return the split names of a data set. They are cached because the Hub takes a second or two to answer."""
    kind, colon, _ = source.partition(":")
    if colon and not os.path.isdir(source):  # no id of the hub has a colon
        raise UserError(f"data.source: {source}: there is no source {kind!r}.{import_hint('a source')}")
    from datasets import get_dataset_split_names

    _prefer_cache_when_offline(source)
    return _call(source, get_dataset_split_names, source, name, trust_remote_code=False)


def _prefer_cache_when_offline(source: str) -> None:
    """Switch `datasets` to offline mode if the Hub cannot be reached. Otherwise it retries for half a minute."""
    import datasets
    import huggingface_hub

    endpoint = huggingface_hub.constants.ENDPOINT
    if os.path.isdir(source) or huggingface_hub.constants.HF_HUB_OFFLINE or not connection_error(endpoint):
        return
    datasets.config.HF_HUB_OFFLINE = True
    huggingface_hub.constants.HF_HUB_OFFLINE = True


def _call(source: str, function, *args, **kwargs):
    """Call a function of `datasets` and turn its errors into a UserError."""
    import datasets
    import huggingface_hub

    try:
        return function(*args, **kwargs)
    except Exception as error:  # datasets raises many types, from OSError to plain Exception
        endpoint = huggingface_hub.constants.ENDPOINT
        offline = huggingface_hub.constants.HF_HUB_OFFLINE or isinstance(error, ConnectionError)
        if offline and not os.path.isdir(source):
            remedy = (
                f"{endpoint} cannot be reached and the dataset is not in the cache. Set HF_ENDPOINT to a mirror or "
                "HTTPS_PROXY to a proxy, or download the dataset's files on another machine and name them in data.train, "
                "data.validation, data.test"
            )
        elif isinstance(error, datasets.exceptions.DatasetNotFoundError):
            remedy = f"{endpoint} has no such dataset, or you have no access to it (log in with: huggingface-cli login)"
        elif "trust_remote_code" in str(error):
            remedy = "its rows come from a script, and code that comes with data is never run. Name its files: data.train=FILE"
        else:
            remedy = f"{type(error).__name__}: {error}"
        hint = "" if "/" in source else f".{import_hint('a source')}"
        raise UserError(f"data.source: {source}: {remedy}{_suggest_builtin(source)}{hint}") from None


def _suggest_builtin(source: str) -> str:
    similar = difflib.get_close_matches(source, builtin_names(), n=2, cutoff=0.7)
    return f" (did you mean the PaddleNLP built-in {' or '.join(similar)}?)" if similar else ""


SOURCE = HuggingFace()
