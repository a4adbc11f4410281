"""Read the directories of runs and checkpoints, for make_runs.py and the test."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def read_jsonl(path: Path) -> list[dict]:
    """Return the objects of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def list_files(folder: Path) -> list[str]:
    """Return the relative paths of all files below a folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def tensor_hashes(directory: Path) -> dict[str, str]:
    """Return the element type, the shape and the sha256 of the bytes of each weight in a checkpoint."""
    from safetensors.numpy import load_file

    hashes = {}
    for path in sorted(directory.glob("model*.safetensors")):
        for name, array in sorted(load_file(str(path)).items()):
            hashes[name] = f"{array.dtype} {list(array.shape)} {hashlib.sha256(array.tobytes()).hexdigest()}"
    return hashes
