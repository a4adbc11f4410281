"""Open a checkpoint directory of either library and find out what it is: its family, its task, and its translated configuration.

Only configuration and tensor headers are read here. What becomes of each tensor is planned in convert.plan_to_paddle and
convert.plan_to_hf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.config import ORIGINAL_KEY, PaddleConfig, complete, config_to_hf, config_to_paddle
from convert.errors import ConvertError
from convert.families import family_of
from convert.family import Family, Task
from convert.files import read_json, read_optional_json
from convert.formats import StoredTensor, safetensors
from convert.pairs import TensorPair
from convert.report import JSON_NAME
from convert.tensors import PDPARAMS, Weights, name_variants, open_weights

KEPT_FOLDER = "huggingface"  # inside a Paddle checkpoint: files of the original that the conversion back needs
KEPT_TENSORS = "ignored_tensors.safetensors"  # in that folder


@dataclass(frozen=True)
class CheckpointInfo:
    """What config.json says about a checkpoint of either library. `task` is None if its class is unknown."""

    directory: Path
    config: dict
    paddle: bool
    family: Family
    task: Task | None


@dataclass(frozen=True)
class HfCheckpoint:
    """A Hugging Face checkpoint, opened for the conversion to Paddle.

    Attributes:
        directory: Where it is.
        config: Contents of config.json.
        generation: Contents of generation_config.json, {} if there is none.
        family: Its architecture.
        task: The model class to convert to.
        task_requested: The user named the task, so that a head the checkpoint lacks may start anew.
        weights: Its tensors, not loaded yet.
        paddle_config: Its configuration in Paddle's terms.
    """

    directory: Path
    config: dict
    generation: dict
    family: Family
    task: Task
    task_requested: bool
    weights: Weights
    paddle_config: PaddleConfig


@dataclass(frozen=True)
class PaddleCheckpoint:
    """A Paddle checkpoint, opened for the conversion to Hugging Face.

    Attributes:
        directory: Where it is.
        family: Its architecture.
        task: The model class to convert to.
        weights: Its tensors, not loaded yet.
        converted: It was converted from Hugging Face once, so that config.json holds the original configuration.
        original_names: Class name -> file name of the original's tensors, from the conversion's report; {} without one.
        kept_tensors: Tensors of the original that Paddle's class has no place for.
        hf_config: Its configuration in Hugging Face's terms.
        hf_generation: Hugging Face's generation_config.json, {} if there is none to write.
        sizes: `hf_config` with all defaults filled in.
    """

    directory: Path
    family: Family
    task: Task
    weights: Weights
    converted: bool
    original_names: dict[str, str]
    kept_tensors: dict[str, StoredTensor]
    hf_config: dict
    hf_generation: dict
    sizes: dict


def is_paddle(directory: Path) -> bool:
    """Tell whether a directory holds a Paddle checkpoint; otherwise it has Hugging Face's layout."""
    if (directory / PDPARAMS).is_file() or (directory / f"{PDPARAMS}.index.json").is_file():
        return True
    config = read_json(directory / "config.json")
    return ORIGINAL_KEY in config or "paddlenlp_version" in config


def identify(directory: Path, families: Mapping[str, Family]) -> CheckpointInfo:
    """Read what a checkpoint of either library is.

    Raises:
        ConvertError: There is no such directory, or it is no checkpoint of a known family.
    """
    _require_directory(directory)
    config = read_json(directory / "config.json")
    where = str(directory / "config.json")
    if not is_paddle(directory):
        family = family_of(config, where, families, paddle=False)
        return CheckpointInfo(directory, config, False, family, _task_of_class(config, family, paddle=False))
    family = _paddle_family(config, where, families)
    return CheckpointInfo(directory, config, True, family, _paddle_task(config, family, where))


def open_hf(
    directory: Path, families: Mapping[str, Family], *, task: str = "auto", keep_fields: Sequence[str] = ()
) -> HfCheckpoint:
    """Open a Hugging Face checkpoint for the conversion to Paddle.

    Args:
        directory: The checkpoint.
        families: The known families by model_type.
        task: A task name, or "auto" for what the checkpoint is.
        keep_fields: Unknown configuration fields that the user knows to change nothing.

    Raises:
        ConvertError: The checkpoint is damaged, or PaddleNLP cannot express its configuration.
    """
    _require_directory(directory)
    where = str(directory / "config.json")
    config = read_json(directory / "config.json")
    if is_paddle(directory):
        raise ConvertError(f"{directory}: already a Paddle checkpoint; to-hf leads the other way")
    generation = read_optional_json(directory / "generation_config.json")
    family = family_of(config, where, families, paddle=False)
    weights = open_weights(directory)

    def translate(task: Task) -> PaddleConfig:
        return config_to_paddle(config, generation, family.entries(task), (*family.harmless, *keep_fields), where)

    if task == "auto":
        chosen = _detect_task(family, config, weights.tensors, translate(family.task("base")).sizes, where)
    else:
        chosen = family.task(task)
    if chosen.refused:
        raise ConvertError(f"{directory}: {chosen.refused}")
    untied = family.task(chosen.name, untied=True)
    if untied.untied and not config.get("tie_word_embeddings", True):
        pairs = family.pairs(chosen, translate(chosen).sizes)
        if _head_differs(pairs, weights.tensors, family.hf_prefix):
            chosen = untied
    return HfCheckpoint(directory, config, generation, family, chosen, task != "auto", weights, translate(chosen))


def open_paddle(directory: Path, families: Mapping[str, Family], *, task: str = "auto") -> PaddleCheckpoint:
    """Open a Paddle checkpoint for the conversion to Hugging Face.

    Args:
        directory: The checkpoint.
        families: The known families by model_type.
        task: A task name, or "auto" for what the checkpoint is.

    Raises:
        ConvertError: The checkpoint is damaged, or transformers cannot express its class or configuration.
    """
    _require_directory(directory)
    where = str(directory / "config.json")
    config = read_json(directory / "config.json")
    if not is_paddle(directory):
        raise ConvertError(f"{directory}: not a Paddle checkpoint; to-paddle leads the other way")
    family = _paddle_family(config, where, families)
    chosen = family.task(task) if task != "auto" else _paddle_task(config, family, where)
    if chosen is None:
        known = ", ".join(dict.fromkeys(task.paddle_class for task in family.tasks))
        raise ConvertError(f"{where}: architectures names no class that transformers has too ({known}); say --task")
    generation = read_optional_json(directory / "generation_config.json")
    entries = family.entries(chosen)
    hf_config, hf_generation = config_to_hf(config, generation, entries, where, has_labels=not chosen.num_labels)
    original_names = _original_names(directory, chosen)
    kept_tensors = directory / KEPT_FOLDER / KEPT_TENSORS
    return PaddleCheckpoint(
        directory,
        family,
        chosen,
        open_weights(directory),
        converted=bool(config.get(ORIGINAL_KEY)),
        original_names=original_names,
        kept_tensors=safetensors.read(kept_tensors) if original_names and kept_tensors.is_file() else {},
        hf_config=hf_config,
        hf_generation=hf_generation,
        sizes=complete(hf_config, entries),
    )


def _require_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise ConvertError(f"{directory}: no such directory")


def _detect_task(family: Family, config: dict, names: Iterable[str], sizes: dict, where: str) -> Task:
    """Return the task that config.json names, or else the one whose head's tensors are all there.

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
                "Say which one you want with --task"
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
            f"{', '.join(dict.fromkeys(task.name for task in fitting))}. Say which one with --task"
        )
    return fitting[0] if fitting else family.task("base")


def _head_differs(pairs: Iterable[TensorPair], tensors: Mapping[str, StoredTensor], prefix: str) -> bool:
    """Tell whether a tensor is stored under several names with different values: an output head that is not tied."""
    for pair in pairs:
        names = (pair.hf, pair.hf.removeprefix(prefix), *pair.hf_aliases)
        stored = [tensors[name] for name in names if name in tensors]
        if pair.hf_aliases and any(stored[0].read().tobytes() != other.read().tobytes() for other in stored[1:]):
            return True
    return False


def _task_of_class(config: dict, family: Family, *, paddle: bool) -> Task | None:
    architectures = config.get("architectures") or [None]
    return family.task_of_class(architectures[-1], paddle=paddle) if architectures[-1] else None


def _original(config: dict, where: str) -> dict:
    """Return what to-paddle recorded of the original inside Paddle's config.json, {} if there is no record.

    Raises:
        ConvertError: The record is damaged.
    """
    original = config.get(ORIGINAL_KEY, {})
    if not isinstance(original, dict) or not all(isinstance(original.get(part, {}), dict) for part in ("config", "generation")):
        raise ConvertError(f"{where}: {ORIGINAL_KEY} must hold what to-paddle kept of the original; remove it if it is damaged")
    return original


def _paddle_family(config: dict, where: str, families: Mapping[str, Family]) -> Family:
    """Return the family of a Paddle checkpoint.

    Several families may share a Paddle architecture, so the original's model_type decides where it was recorded.
    """
    original = _original(config, where).get("config", {})
    if original.get("model_type"):
        return family_of(original, where, families, paddle=False)
    return family_of(config, where, families, paddle=True)


def _paddle_task(config: dict, family: Family, where: str) -> Task | None:
    """Return the recorded task if the class is still that task's, else the task of the class; None for an unknown class."""
    original = _original(config, where)
    architecture = (config.get("architectures") or [None])[-1]
    if "task" in original:
        task = family.task(original["task"], untied=original.get("untied", False))
        if architecture in (None, task.paddle_class):
            return task
    return _task_of_class(config, family, paddle=True)


def _original_names(directory: Path, task: Task) -> dict[str, str]:
    """Return class name -> file name of the original's tensors, from the report of the conversion to Paddle.

    Returns:
        {} if there is no report, or if it is about another class.
    """
    path = directory / JSON_NAME
    report = read_optional_json(path)
    if report.get("target_class") != task.paddle_class:
        return {}
    try:
        return {entry["name"]: file_name for file_name, entry in report["tensors"].items()}
    except (KeyError, TypeError, AttributeError):
        raise ConvertError(f"{path}: damaged; remove it to convert without what it tells of the original") from None
