"""Read and write the weights of a checkpoint directory in all supported file formats."""

from __future__ import annotations

import contextlib
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.dtypes import contiguous, item_size
from convert.errors import ConvertError
from convert.files import read_json
from convert.formats import NewTensor, StoredTensor, pdparams, safetensors, torch_bin
from convert.progress import bar_settings

SAFETENSORS, TORCH_BIN, PDPARAMS = "model.safetensors", "pytorch_model.bin", "model_state.pdparams"
READERS: dict[str, Callable[[Path], dict[str, StoredTensor]]] = {
    SAFETENSORS: safetensors.read,
    TORCH_BIN: torch_bin.read,
    PDPARAMS: pdparams.read,
}
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"  # how the file begins that a clone without Git LFS has instead
UNSUPPORTED = {
    ".h5": "TensorFlow weights",
    ".msgpack": "Flax weights",
    ".gguf": "GGUF weights",
    ".onnx": "ONNX graphs",
    ".ckpt.index": "TensorFlow checkpoints",
}


@dataclass(frozen=True)
class Weights:
    """The weights of a directory.

    Attributes:
        files: The files with the weights, in the order in which they are read.
        tensors: The tensors by name.
    """

    files: list[Path]
    tensors: dict[str, StoredTensor]


def open_weights(directory: Path, formats: Iterable[str] = READERS) -> Weights:
    """Find and open the weights of a directory. The tensors' values are not loaded yet, except from a .pdparams file.

    Args:
        directory: A checkpoint of either library.
        formats: File names to look for. The first one that exists is used, as in both libraries.

    Raises:
        ConvertError: The directory has no weights, their format is not supported, or a file is damaged.
    """
    for name in formats:
        if (directory / name).is_file():
            return open_weight_file(directory / name, name)
        index = directory / f"{name}.index.json"
        if index.is_file():
            return _open_sharded(index, READERS[name])
    raise ConvertError(_no_weights_message(directory))


def open_weight_file(path: Path, format: str) -> Weights:
    """Open a file of weights. `format` is the name that such a file usually has, a key of READERS."""
    return Weights([path], _read(path, READERS[format]))


def _read(path: Path, reader: Callable[[Path], dict[str, StoredTensor]]) -> dict[str, StoredTensor]:
    """Read a file of weights, and say so if something else was downloaded in its place."""
    with contextlib.suppress(OSError), open(path, "rb") as file:  # the reader says why it cannot be opened
        start = file.read(len(LFS_POINTER)).lstrip().lower()
        if start == LFS_POINTER:
            raise ConvertError(
                f"{path}: only the pointer of Git LFS, not the weights; run git lfs pull, or download the file itself"
            )
        if start.startswith((b"<!doctype html", b"<html")):
            raise ConvertError(f"{path}: a web page, not weights; download the file itself, not the page that shows it")
    return reader(path)


def _no_weights_message(directory: Path) -> str:
    supported = f"supported are {', '.join(READERS)} and their sharded forms with an .index.json"
    for path in sorted(directory.iterdir()):
        for ending, description in UNSUPPORTED.items():
            if path.name.endswith(ending):
                return f"{path}: {description} are not supported; {supported}"
    return f"{directory}: no weights found; {supported}"


def read_weight_map(index: Path) -> dict[str, str]:
    """Return tensor name -> file name of a sharded checkpoint's index.

    Raises:
        ConvertError: The index is damaged, or names something other than files beside it.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise ConvertError(f"{index}: weight_map must map tensor names to file names")
    for shard in dict.fromkeys(weight_map.values()):
        if not shard or shard in (".", "..") or "/" in shard or "\\" in shard or "\0" in shard:
            raise ConvertError(f"{index}: {shard!r} is not a plain file name; shards must lie next to the index")
    return weight_map


def _open_sharded(index: Path, reader: Callable[[Path], dict[str, StoredTensor]]) -> Weights:
    """Open every shard that the index's weight_map names, and check that shards and index list the same tensors."""
    weight_map = read_weight_map(index)
    shards: dict[str, dict[str, StoredTensor]] = {}
    for shard in dict.fromkeys(weight_map.values()):
        if not os.path.isfile(index.parent / shard):  # Path.is_file raises for a name that is too long
            raise ConvertError(f"{index}: the shard {shard} is missing")
        shards[shard] = _read(index.parent / shard, reader)
    missing = [f"{name} (in {shard})" for name, shard in weight_map.items() if name not in shards[shard]]
    unlisted = [f"{name} (in {shard})" for shard, tensors in shards.items() for name in tensors if weight_map.get(name) != shard]
    if missing or unlisted:
        raise ConvertError(f"{index}: index and shards disagree; missing: {missing or 'none'}; not listed: {unlisted or 'none'}")
    tensors = {name: shards[shard][name] for name, shard in weight_map.items()}
    return Weights([index.parent / shard for shard in shards], tensors)


def write_weights(
    directory: Path, tensors: Sequence[NewTensor], *, made_by: str, format: str = "safetensors", progress: bool = True
) -> None:
    """Write the weights of a checkpoint, with a progress bar.

    Args:
        directory: Where to write model.safetensors or model_state.pdparams.
        tensors: The tensors, in the order in which they are written.
        made_by: The value of "format" in the safetensors metadata: "np" or "pt".
        format: "safetensors", "pdparams" or "both".
        progress: Show a progress bar.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook the import warns if ipywidgets is not installed
        from tqdm.auto import tqdm

    entries = [(name, tensor.dtype, tensor.shape, tensor.read) for tensor in tensors for name in tensor.names]
    total = sum(math.prod(shape) * item_size(dtype) for _, dtype, shape, _ in entries)
    with tqdm(total=total, unit="B", unit_scale=True, desc="converting", disable=not progress, **bar_settings()) as bar:
        if format in ("safetensors", "both"):
            safetensors.write(directory / SAFETENSORS, entries, {"format": made_by}, bar.update)
        if format in ("pdparams", "both"):
            pdparams.write(directory / PDPARAMS, entries, bar.update)


def modern_name(name: str) -> str:
    """Return a tensor's name with the parameters of a layer norm as weight and bias. Old files call them gamma and beta."""
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))


def name_variants(name: str, prefix: str) -> Iterable[str]:
    """Yield possible names of a tensor in other files: with and without the prefix, with gamma/beta as weight/bias."""
    for form in dict.fromkeys((name, modern_name(name))):
        yield form
        yield prefix + form
        if form.startswith(prefix):
            yield form.removeprefix(prefix)


def same_bits(first: StoredTensor, second: StoredTensor, *, transpose: bool = False) -> bool:
    """Return whether two tensors are equal to the bit (NaN equals NaN), optionally after transposing the first one."""
    if first.dtype != second.dtype or first.shape != (second.shape[::-1] if transpose else second.shape):
        return False
    if not transpose and first.offset is not None and second.offset is not None:
        return _same_file_bytes(first, second)
    a, b = first.read(), second.read()
    bits = f"u{a.dtype.itemsize}"
    return bool(np.array_equal(contiguous(a.T if transpose else a).view(bits), contiguous(b).view(bits)))


def _same_file_bytes(first: StoredTensor, second: StoredTensor) -> bool:
    """Compare the bytes in the files block by block, so that no complete tensor is in memory."""
    remaining, block = first.size * item_size(first.dtype), 1 << 20
    with open(first.file, "rb", buffering=0) as a, open(second.file, "rb", buffering=0) as b:
        a.seek(first.offset or 0)
        b.seek(second.offset or 0)
        while remaining > 0:
            count = min(block, remaining)
            if a.read(count) != b.read(count):
                return False
            remaining -= count
    return True
