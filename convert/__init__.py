"""Convert checkpoints between Hugging Face's transformers and PaddleNLP, and compare their outputs. Every tensor is accounted for.

    import convert
    report = convert.to_paddle("facebook/bart-base", "bart-base-paddle")   # or a local directory
    report = convert.to_hf("bart-base-paddle", "bart-base-again")
    result = convert.verify("bart-base-paddle", "bart-base-again")

For the command line see `python -m convert --help`. Heavy libraries are imported only when they are needed.

Every function has an argument `imports` like the flag `--import`: names of modules that define families of your own in `FAMILIES`.
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
    model_type: str | None = None,
    drop: Sequence[str] = (),
    base: str | Path | None = None,
    progress: bool = True,
    imports: Sequence[str] = (),
) -> Report:
    """Convert a Hugging Face checkpoint so that plain PaddleNLP loads it: `Class.from_pretrained(dst)`.

    >>> report = convert.to_paddle("bart-base-hf", "bart-base-paddle")
    >>> report.target_class
    'BartForConditionalGeneration'

    Args:
        src: A directory, or an id such as "facebook/bart-base".
        dst: A directory that does not exist yet.
        task: "auto" for the checkpoint's own, or the task to convert to. A head that the checkpoint lacks is newly initialised.
        dtype: "keep", "float32", "float16" or "bfloat16".
        format: "safetensors", "pdparams" or "both".
        revision: Branch, tag or commit of the hub's repository.
        overwrite: Replace `dst` if it exists.
        keep_fields: Unknown configuration fields that do not change what the model computes.
        model_type: The architecture, if config.json does not say it, such as "bert".
        drop: Patterns of the names of tensors to leave out, such as "cls.species.*".
        base: The model that an adapter (LoRA) was trained on: a directory or an id. Default: the directory that the adapter names.
        progress: Show a progress bar.
        imports: Modules with families of your own.

    Raises:
        ConvertError: The checkpoint cannot be converted. `dst` does not exist then.
    """
    from convert.families import check_task, load_families
    from convert.request import Request
    from convert.write_paddle import write_paddle

    families = load_families(imports)
    check_task(task, families)
    request = Request(task, model_type, keep_fields, drop, resolve(base) if base else None)
    return write_paddle(
        resolve(src, revision), Path(dst), families, request, dtype=dtype, format=format, overwrite=overwrite, progress=progress,
        source_name=str(src),
    )  # fmt: skip


def to_hf(
    src: str | Path,
    dst: str | Path,
    *,
    task: str = "auto",
    dtype: str = "keep",
    overwrite: bool = False,
    progress: bool = True,
    imports: Sequence[str] = (),
) -> Report:
    """Convert a Paddle checkpoint so that plain transformers loads it: `AutoModelFor...from_pretrained(dst)`.

    >>> report = convert.to_hf("bart-base-paddle", "bart-base-again")
    >>> report.ignored
    {}

    The arguments are those of `to_paddle`.

    Raises:
        ConvertError: The checkpoint cannot be converted. `dst` does not exist then.
    """
    from convert.families import check_task, load_families
    from convert.write_hf import write_hf

    families = load_families(imports)
    check_task(task, families)
    return write_hf(Path(src), Path(dst), families, task=task, dtype=dtype, overwrite=overwrite, progress=progress)


def verify(first: str | Path, second: str | Path, *, imports: Sequence[str] = ()) -> Comparison:
    """Run two checkpoints, each of either library, on the same padded batch and compare every layer and output.

    >>> comparison = convert.verify("bart-base-hf", "bart-base-paddle")
    >>> comparison.equal
    True

    Raises:
        ConvertError: One of them cannot be run here, or they are of different families or sizes.
    """
    from convert.families import load_families
    from convert.parity import compare_checkpoints

    return compare_checkpoints(Path(first), Path(second), load_families(imports))


def inspect(
    src: str | Path,
    *,
    task: str = "auto",
    revision: str | None = None,
    keep_fields: Sequence[str] = (),
    model_type: str | None = None,
    drop: Sequence[str] = (),
    base: str | Path | None = None,
    imports: Sequence[str] = (),
) -> Inspection:
    """Describe a checkpoint of either library, and what each tensor would become. No weights are loaded.

    The arguments are those of `to_paddle`.

    >>> inspection = convert.inspect("bart-base-hf")
    >>> inspection.facts["family"]
    'bart'

    Raises:
        ConvertError: The directory has no checkpoint of a known family.
    """
    from convert.families import check_task, load_families
    from convert.inspection import inspect_checkpoint
    from convert.request import Request

    families = load_families(imports)
    check_task(task, families)
    request = Request(task, model_type, keep_fields, drop, resolve(base) if base else None)
    return inspect_checkpoint(resolve(src, revision), families, request)


def resolve(src: str | Path, revision: str | None = None) -> Path:
    """Return the directory of a checkpoint. A hub id is downloaded into the cache first.

    Raises:
        ConvertError: There is no such directory or repository, or the hub cannot be reached.
    """
    from convert.hub import resolve_checkpoint

    return resolve_checkpoint(src, revision)


def cached(src: str | Path, *, task: str = "auto", revision: str | None = None, imports: Sequence[str] = ()) -> Path:
    """Return the Paddle checkpoint of a Hugging Face checkpoint, converted on the first call and kept in the cache folder.

    It is converted again if a file of the source or the task changes.

    Raises:
        ConvertError: The checkpoint cannot be converted, or only to another class than the task's usual one.
    """
    from convert.hub import cached_conversion

    return cached_conversion(src, task=task, revision=revision, imports=imports)
