"""Unpack the tiny checkpoints of tests/fixtures, and read and change a checkpoint directory."""

from __future__ import annotations

import functools
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

ARCHIVES = Path(__file__).parent.parent / "fixtures"


def fixture_names(*families: str) -> list[str]:
    """Return the names of all checkpoints, or of those of some families, such as "bert/masked_lm-old"."""
    names = []
    for archive in sorted(ARCHIVES.glob("*.tar.xz")):
        family = archive.name.removesuffix(".tar.xz")
        if family in ("tokenizers", "adapters") or (families and family not in families):
            continue
        names += [f"{family}/{name}" for name in archive_folders(family)]
    return names


def archive_folders(archive: str) -> list[str]:
    """Return the names of the top-level folders in an archive, such as "tokenizers" or "bert"."""
    with tarfile.open(ARCHIVES / f"{archive}.tar.xz") as tar:
        return [member.name for member in tar if member.isdir() and "/" not in member.name]


@functools.cache
def archive_files(archive: str, folder: str) -> dict[str, bytes]:
    """Return the files in a folder of an archive by their names."""
    with tarfile.open(ARCHIVES / f"{archive}.tar.xz") as tar:
        files = [member for member in tar if member.isfile() and member.name.startswith(f"{folder}/")]
        return {member.name.removeprefix(f"{folder}/"): tar.extractfile(member).read() for member in files}


def unpack(archive: str, folder: Path) -> None:
    """Unpack an archive into a folder."""
    with tarfile.open(ARCHIVES / f"{archive}.tar.xz") as tar:
        tar.extractall(folder, filter="data")


def read_config(directory: Path) -> dict:
    """Return the contents of config.json."""
    return json.loads((directory / "config.json").read_text())


def change_config(directory: Path, *, remove: tuple[str, ...] = (), **changes) -> None:
    """Set and remove fields of config.json."""
    config = {**read_config(directory), **changes}
    (directory / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key not in remove}))


def change_tensors(directory: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Call `change` with a dictionary of all arrays, then write the dictionary to model.safetensors."""
    from convert.formats import safetensors
    from convert.tensors import open_weights

    arrays = {name: np.array(tensor.read()) for name, tensor in open_weights(directory).tensors.items()}
    change(arrays)
    safetensors.write(
        directory / "model.safetensors",
        [(name, array.dtype.name, array.shape, lambda array=array: array) for name, array in arrays.items()],
        {"format": "np"},
    )
