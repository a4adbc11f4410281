"""Any other data.source: a dataset of the Hugging Face hub, or a local folder that `datasets` can load."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator

from paddle_ft.data.download import Wanted, unreachable
from paddle_ft.data.rows import Fields, Records, take_columns
from paddle_ft.data.sources import builtin
from paddle_ft.data.splits import choose_several
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import Progress

ORDER = 3


def claims(source: str | None) -> bool:
    return True


def wanted(data) -> list[Wanted]:
    """Empty: which files a hub dataset consists of is known to the hub only. Raises UserError if it cannot be had, so that one
    message tells of it together with all else that is missing."""
    if not data.data_files:
        _split_names(data)
    return []


def read(data, split: str, fields: Fields) -> Iterable[tuple[str, Records]] | None:
    if data.data_files:
        raise UserError(f"data.data_files: {data.source} is no PaddleNLP built-in; your own files need no data.source")
    columns = fields.by_name(data.source)
    chosen = "+".join(choose_several(data, split, _split_names(data)))
    if not chosen:
        return None
    # the module's own function: paddlenlp replaces the package's by one that runs its scripts for equal names
    from datasets.load import load_dataset

    dataset = _ask(data, load_dataset, data.source, data.name, split=chosen, trust_remote_code=False)
    for name, column in columns.items():
        if column not in dataset.column_names and (name in fields.required or name in fields.mapped):
            raise UserError(
                f"{data.source}: no column {column!r}; it has {', '.join(map(repr, dataset.column_names))}; "
                f"map them, e.g. data.columns.{name}={dataset.column_names[0]}"
            )
    file = f"{data.source}{f'/{data.name}' if data.name else ''}[{chosen}]"
    return [(file, _records(dataset, file, columns, fields))]


def _records(dataset, file: str, columns: dict[str, str], fields: Fields) -> Iterator[tuple[int, dict[str, str] | str]]:
    kept = dataset.select_columns([column for column in columns.values() if column in dataset.column_names])
    number = 0
    with Progress(len(kept), f"read {file}", unit="row") as progress:
        for batch in kept.iter(1000):
            for values in zip(*batch.values(), strict=True):
                number += 1
                yield number, take_columns(dict(zip(batch, values, strict=True)), columns, fields)
            progress.update(len(values))


_known_splits: dict[tuple[str, str | None], list[str]] = {}


def _split_names(data) -> list[str]:
    """Asked for once in a process: the hub's answer takes a second or two."""
    key = (data.source, data.name)
    if key not in _known_splits:
        from datasets import get_dataset_split_names

        _prefer_cache_when_offline(data.source)
        _known_splits[key] = _ask(data, get_dataset_split_names, data.source, data.name, trust_remote_code=False)
    return _known_splits[key]


def _prefer_cache_when_offline(source: str) -> None:
    """Offline, `datasets` retries for half a minute before it looks into its cache; told so, it looks at once."""
    import datasets
    import huggingface_hub

    endpoint = huggingface_hub.constants.ENDPOINT
    if os.path.isdir(source) or huggingface_hub.constants.HF_HUB_OFFLINE or not unreachable(endpoint):
        return
    datasets.config.HF_HUB_OFFLINE = True
    huggingface_hub.constants.HF_HUB_OFFLINE = True


def _ask(data, function, *args, **kwargs):
    """Calls `datasets`; its errors become ours."""
    import datasets
    import huggingface_hub

    try:
        return function(*args, **kwargs)
    except Exception as error:  # datasets raises everything from OSError to bare Exception
        endpoint = huggingface_hub.constants.ENDPOINT
        offline = huggingface_hub.constants.HF_HUB_OFFLINE or isinstance(error, ConnectionError)
        if offline and not os.path.isdir(data.source):
            remedy = (
                f"{endpoint} cannot be reached and the dataset is not in the cache. Set HF_ENDPOINT to a mirror, "
                "HTTPS_PROXY to a proxy, or fetch the dataset's files elsewhere and give them as data.train, "
                "data.validation, data.test"
            )
        elif isinstance(error, datasets.exceptions.DatasetNotFoundError):
            remedy = f"{endpoint} has no such dataset, or not for you (log in with: huggingface-cli login)"
        elif "trust_remote_code" in str(error):
            remedy = "its rows come from a script of its own; no code that comes with data is run. Give its files: data.train=FILE"
        else:
            remedy = f"{type(error).__name__}: {error}"
        raise UserError(f"data.source: {data.source}: {remedy}{_near(data.source)}") from None


def _near(source: str) -> str:
    near = difflib.get_close_matches(source, builtin.names(), n=2, cutoff=0.7)
    return f" (did you mean the PaddleNLP built-in {' or '.join(near)}?)" if near else ""
