"""Checkpoints of Hugging Face's transformers to PaddleNLP and back, with every tensor accounted for and parity shown.

    import convert
    report = convert.to_paddle("facebook/bart-base", "bart-base-paddle")   # or a local directory
    report = convert.to_hf("bart-base-paddle", "bart-base-again")
    result = convert.verify("bart-base-paddle", "bart-base-again")

The same on the command line: `python -m convert --help`. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convert.errors import ConvertError

if TYPE_CHECKING:
    from convert.inspection import Inspection
    from convert.parity import Comparison
    from convert.report import Report

__all__ = ["ConvertError", "cached", "inspect", "resolve", "to_hf", "to_paddle", "verify"]


def to_paddle(
    src: str | Path,
    dst: str | Path,
    *,
    task: str = "auto",
    dtype: str = "keep",
    format: str = "safetensors",
    revision: str | None = None,
    overwrite: bool = False,
    keep_fields: Sequence[str] = (),
    progress: bool = True,
) -> Report:
    """Converts a Hugging Face checkpoint so that plain PaddleNLP loads it: `Class.from_pretrained(dst)`.

    src: a directory, or an id such as "facebook/bart-base". dst: a directory that does not exist yet.
    task: "auto" for what the checkpoint is, else the head to convert; one that the checkpoint lacks then starts anew.
    dtype: "keep", "float32", "float16" or "bfloat16". format: "safetensors", "pdparams" or "both".
    keep_fields: unknown configuration fields known to change nothing.
    Raises: ConvertError; dst is then not there.
    """
    from convert.forward import to_paddle as convert_directory

    return convert_directory(
        resolve(src, revision), Path(dst), task=task, dtype=dtype, format=format, overwrite=overwrite,
        keep_fields=keep_fields, progress=progress, name=str(src),
    )  # fmt: skip


def to_hf(
    src: str | Path,
    dst: str | Path,
    *,
    task: str = "auto",
    dtype: str = "keep",
    overwrite: bool = False,
    progress: bool = True,
) -> Report:
    """Converts a Paddle checkpoint so that plain transformers loads it: `AutoModelFor...from_pretrained(dst)`.

    The arguments are those of to_paddle. Raises: ConvertError; dst is then not there.
    """
    from convert.backward import to_hf as convert_directory

    return convert_directory(Path(src), Path(dst), task=task, dtype=dtype, overwrite=overwrite, progress=progress)


def verify(first: str | Path, second: str | Path) -> Comparison:
    """Runs two checkpoints, of either library each, on the same padded batch and compares every layer and output.

    Raises: ConvertError where one of them cannot be run here.
    """
    from convert.parity import verify as compare

    return compare(Path(first), Path(second))


def inspect(src: str | Path, *, task: str = "auto", revision: str | None = None) -> Inspection:
    """What a checkpoint is and what would become of each tensor; no weights are loaded. Raises: ConvertError."""
    from convert.inspection import inspect as look

    return look(resolve(src, revision), task)


def resolve(src: str | Path, revision: str | None = None) -> Path:
    """The directory of a checkpoint: a local one as it is, a hub id by download into the cache. Raises: ConvertError."""
    from convert.hub import resolve as find

    return find(src, revision)


def cached(src: str | Path, *, task: str = "auto", revision: str | None = None) -> Path:
    """A Paddle checkpoint of `src` (a directory in Hugging Face layout, or a hub id), converted on the first call only.

    Lies in the cache folder under the identity of the source's files and the task. Loads with the task's usual class.
    Raises: ConvertError, also where only another class of PaddleNLP's could hold the checkpoint.
    """
    from convert.hub import cached as find

    return find(src, task=task, revision=revision)
