"""Find out the library, the family and the task of a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from convert.adapter import SETTINGS
from convert.config import ORIGINAL_KEY
from convert.config_checks import check_names
from convert.detection import hf_family
from convert.errors import ConvertError
from convert.families import family_of
from convert.family import Family, Task
from convert.files import read_json
from convert.tensors import PDPARAMS, name_variants, open_weights


@dataclass(frozen=True)
class CheckpointInfo:
    """What config.json says about a checkpoint of either library.

    Attributes:
        directory: Where it is.
        config: Contents of config.json.
        paddle: Whether it is a Paddle checkpoint.
        family: Its architecture.
        task: Its model class, None if that is unknown.
    """

    directory: Path
    config: dict
    paddle: bool
    family: Family
    task: Task | None


def is_paddle(directory: Path) -> bool:
    """Return whether a directory has a Paddle checkpoint. Otherwise it is one of Hugging Face."""
    if (directory / PDPARAMS).is_file() or (directory / f"{PDPARAMS}.index.json").is_file():
        return True
    config = read_json(directory / "config.json")
    return ORIGINAL_KEY in config or "paddlenlp_version" in config


def identify(directory: Path, families: Mapping[str, Family], model_type: str | None = None) -> CheckpointInfo:
    """Return what config.json says about a checkpoint of either library.

    Args:
        directory: The checkpoint.
        families: The known families by model_type.
        model_type: The family of a Hugging Face checkpoint whose config.json does not name it, if that is known.

    Raises:
        ConvertError: The directory does not exist, or has no checkpoint of a known family.
    """
    require_checkpoint(directory)
    config = read_json(directory / "config.json")
    where = str(directory / "config.json")
    check_names(config, where)
    if not is_paddle(directory):
        family, _ = hf_family(
            config, where, families, lambda: open_weights(directory).tensors, None if config.get("model_type") else model_type
        )
        task = _task_of_class(config, family, paddle=False)
        return CheckpointInfo(directory, config, paddle=False, family=family, task=task)
    family = paddle_family(config, where, families)
    return CheckpointInfo(directory, config, paddle=True, family=family, task=paddle_task(config, family, where))


def require_checkpoint(directory: Path) -> None:
    """Raise a ConvertError if there is no such directory, or if it is one above the checkpoints, as a training writes it."""
    if not directory.is_dir():
        raise ConvertError(f"{directory}: no such directory")
    if _has_checkpoint(directory):
        return
    below = sorted((path for path in directory.iterdir() if path.is_dir() and _has_checkpoint(path)), key=_age)
    if directory / "best" in below and directory / "last" in below:
        raise ConvertError(f"{directory}: not a checkpoint, but the directory of a run; name {directory / 'best'}")
    if below:
        names = ", ".join(path.name for path in below[-5:])
        more = f"{len(below) - 5} others and " if len(below) > 5 else ""
        raise ConvertError(f"{directory}: not a checkpoint, but a directory with {more}{names} in it; name the newest, {below[-1]}")


def _has_checkpoint(directory: Path) -> bool:
    return (directory / "config.json").exists() or (directory / SETTINGS).exists()


def _age(directory: Path) -> tuple:
    """Return what sorts checkpoints from the oldest to the newest: the number in the name, else the time of the last change."""
    number = re.search(r"(\d+)$", directory.name)
    return (number is not None, int(number[1]) if number else 0, directory.stat().st_mtime, directory.name)


def detect_task(family: Family, config: dict, names: Iterable[str], sizes: dict, where: str) -> Task:
    """Return the task that config.json names. If it names none, return the task whose head's tensors are all present.

    Raises:
        ConvertError: PaddleNLP has no such class, or the tensors fit several tasks.
    """
    architectures = config.get("architectures") or []
    if architectures:
        task = family.task_of_class(architectures[0], paddle=False)
        if task is None:
            known = ", ".join(task.hf_class for task in family.tasks)
            raise ConvertError(
                f"{where}: architecture {architectures[0]} has no counterpart in PaddleNLP; those that have: {known}. "
                "Choose one with --task"
            )
        return task
    present = {form for name in names for form in name_variants(name, family.hf_prefix)}
    fitting = [
        task
        for task in family.tasks
        if task.head and all(pair.hf in present for pair in family.pairs(task, sizes) if pair.group == task.head_group)
    ]
    if len({task.name for task in fitting}) > 1:
        raise ConvertError(
            f"{where}: config.json names no architecture and the tensors fit several tasks: "
            f"{', '.join(dict.fromkeys(task.name for task in fitting))}. Choose one with --task"
        )
    return fitting[0] if fitting else family.task("base")


def _task_of_class(config: dict, family: Family, *, paddle: bool) -> Task | None:
    architectures = config.get("architectures") or [None]
    return family.task_of_class(architectures[-1], paddle=paddle) if architectures[-1] else None


def _original(config: dict, where: str) -> dict:
    """Return what to-paddle recorded about the original inside Paddle's config.json, {} if there is no record.

    Raises:
        ConvertError: The record is damaged.
    """
    original = config.get(ORIGINAL_KEY, {})
    if not isinstance(original, dict) or not all(isinstance(original.get(part, {}), dict) for part in ("config", "generation")):
        raise ConvertError(f"{where}: {ORIGINAL_KEY} must be what to-paddle stored about the original; remove it if it is damaged")
    return original


def paddle_family(config: dict, where: str, families: Mapping[str, Family]) -> Family:
    """Return the family of a Paddle checkpoint.

    Several families may have the same Paddle architecture, so the original's model_type decides if it is recorded.
    """
    original = _original(config, where)
    model_type = original.get("model_type") or original.get("config", {}).get("model_type")
    if model_type:
        return family_of({"model_type": model_type}, where, families, paddle=False)
    return family_of(config, where, families, paddle=True)


def paddle_task(config: dict, family: Family, where: str) -> Task | None:
    """Return the recorded task if the class is still that task's, else the task of the class; None for an unknown class."""
    original = _original(config, where)
    architecture = (config.get("architectures") or [None])[-1]
    if "task" in original:
        task = family.task(original["task"], untied=original.get("untied", False))
        if architecture in (None, task.paddle_class):
            return task
    return _task_of_class(config, family, paddle=True)
