"""The tensors of a checkpoint directory, whatever files they are in."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from convert.errors import ConvertError
from convert.formats import StoredTensor, pdparams, safetensors, torch_bin

SAFETENSORS, TORCH_BIN, PDPARAMS = "model.safetensors", "pytorch_model.bin", "model_state.pdparams"
READERS: dict[str, Callable[[Path], dict[str, StoredTensor]]] = {
    SAFETENSORS: safetensors.read,
    TORCH_BIN: torch_bin.read,
    PDPARAMS: pdparams.read,
}
HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # an escape of a surrogate, which is text only as one of a pair
UNSUPPORTED = {
    ".h5": "TensorFlow weights",
    ".msgpack": "Flax weights",
    ".gguf": "GGUF weights",
    ".onnx": "ONNX graphs",
    ".ckpt.index": "TensorFlow checkpoints",
}


@dataclass(frozen=True)
class Weights:
    """What a directory stores: the files read, in order, and every tensor of them by name."""

    files: list[Path]
    tensors: dict[str, StoredTensor]


def open_weights(directory: Path, formats: Iterable[str] = READERS) -> Weights:
    """Finds and opens the weights of a directory; of several formats the first wins, as in the libraries.

    Raises: ConvertError where there are none, where a format is not supported, or where a file is damaged.
    """
    for name in formats:
        if (directory / name).is_file():
            return Weights([directory / name], READERS[name](directory / name))
        index = directory / f"{name}.index.json"
        if index.is_file():
            return _open_sharded(index, READERS[name])
    raise ConvertError(_nothing_found(directory))


def _nothing_found(directory: Path) -> str:
    supported = f"supported are {', '.join(READERS)} and their sharded forms with an .index.json"
    for path in sorted(directory.iterdir()):
        for ending, what in UNSUPPORTED.items():
            if path.name.endswith(ending):
                return f"{path}: {what} are not supported; {supported}"
    return f"{directory}: no weights found; {supported}"


def read_json(path: Path) -> dict:
    """A JSON object from a file.

    Raises: ConvertError where the file is missing, not JSON, or not an object.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if HALF_CHARACTER.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except FileNotFoundError:
        raise ConvertError(f"{path}: not found") from None
    except OSError as error:
        raise ConvertError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # also numbers too long for Python, and halves of characters
        raise ConvertError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ConvertError(f"{path}: must be a JSON object, found {type(value).__name__}")
    return value


def _open_sharded(index: Path, reader: Callable[[Path], dict[str, StoredTensor]]) -> Weights:
    """Follows the index's weight_map: a tensor comes from the shard named there, and each shard holds what is promised."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise ConvertError(f"{index}: weight_map must map tensor names to file names")
    shards: dict[str, dict[str, StoredTensor]] = {}
    for shard in dict.fromkeys(weight_map.values()):
        if not shard or shard in (".", "..") or "/" in shard or "\\" in shard or "\0" in shard:
            raise ConvertError(f"{index}: {shard!r} is not a plain file name; shards must lie next to the index")
        if not os.path.isfile(index.parent / shard):  # unlike Path.is_file, no error for a name that is too long
            raise ConvertError(f"{index}: the shard {shard} is missing")
        shards[shard] = reader(index.parent / shard)
    missing = [f"{name} (in {shard})" for name, shard in weight_map.items() if name not in shards[shard]]
    extra = [f"{name} (in {shard})" for shard, held in shards.items() for name in held if weight_map.get(name) != shard]
    if missing or extra:
        raise ConvertError(f"{index}: index and shards disagree; missing: {missing or 'none'}; not listed: {extra or 'none'}")
    tensors = {name: shards[shard][name] for name, shard in weight_map.items()}
    return Weights([index.parent / shard for shard in shards], tensors)


def sha256_in_background(files: list[Path]) -> dict[str, Future]:
    """Starts hashing the files in one thread next to the conversion; name -> Future of the hex digest."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
    futures = {path.name: pool.submit(_sha256, path) for path in files}
    pool.shutdown(wait=False)
    return futures


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
