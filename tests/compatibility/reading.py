"""What the maker and the test read from directories of runs and checkpoints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def jsonl(path: Path) -> list[dict]:
    """Return the objects of a file that has one on each line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files_of(folder: Path) -> list[str]:
    """Return the files below a folder by their relative paths."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def tensor_hashes(directory: Path) -> dict[str, str]:
    """Return for each tensor of a checkpoint's weights its element type, its shape and the sha256 of its bytes."""
    from safetensors.numpy import load_file

    found = {}
    for path in sorted(directory.glob("model*.safetensors")):
        for name, array in sorted(load_file(str(path)).items()):
            found[name] = f"{array.dtype} {list(array.shape)} {hashlib.sha256(array.tobytes()).hexdigest()}"
    return found
