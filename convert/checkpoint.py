"""Describe a checkpoint that is opened for conversion: its family, its task, and its translated configuration. Open a Paddle one.

What each tensor becomes is decided later, in convert.plan_to_paddle and convert.plan_to_hf.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from convert.adapter import is_adapter
from convert.config import ORIGINAL_KEY, PaddleConfig, complete, config_to_hf, labels
from convert.errors import ConvertError
from convert.family import Family, Task
from convert.files import read_json, read_optional_json
from convert.formats import StoredTensor, safetensors
from convert.identify import is_paddle, paddle_family, paddle_task, require_checkpoint
from convert.report import JSON_NAME
from convert.request import Request
from convert.tensors import Weights, open_weights

KEPT_FOLDER = "huggingface"  # inside a Paddle checkpoint: files of the original that the conversion back needs
KEPT_TENSORS = "ignored_tensors.safetensors"  # in that folder


@dataclass(frozen=True)
class HfCheckpoint:
    """A Hugging Face checkpoint, opened for the conversion to Paddle.

    Attributes:
        directory: Where it is.
        config: Contents of config.json.
        generation: Contents of generation_config.json, {} if there is none.
        family: Its architecture.
        task: The model class to convert to.
        request: What the user says about it. If it names the task, a head that the checkpoint lacks may be newly initialised.
        weights: Its tensors, not loaded yet.
        paddle_config: Its configuration, translated to Paddle.
        tokenizer: The directory with its tokenizer's files.
        notes: What the user should know about how it was opened.
    """

    directory: Path
    config: dict
    generation: dict
    family: Family
    task: Task
    request: Request
    weights: Weights
    paddle_config: PaddleConfig
    tokenizer: Path
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PaddleCheckpoint:
    """A Paddle checkpoint, opened for the conversion to Hugging Face.

    Attributes:
        directory: Where it is.
        family: Its architecture.
        task: The model class to convert to.
        weights: Its tensors, not loaded yet.
        converted: Whether it was converted from Hugging Face before. Then config.json has the original configuration.
        original_names: Class name -> file name of the original's tensors, from the conversion's report; {} without a report.
        kept_tensors: Tensors of the original that Paddle's class has no place for.
        hf_config: Its configuration, translated to Hugging Face.
        hf_generation: Contents of Hugging Face's generation_config.json, {} if there is none to write.
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


def open_paddle(directory: Path, families: Mapping[str, Family], *, task: str = "auto") -> PaddleCheckpoint:
    """Open a Paddle checkpoint for the conversion to Hugging Face.

    Args:
        directory: The checkpoint.
        families: The known families by model_type.
        task: A task name, or "auto" for the checkpoint's own.

    Raises:
        ConvertError: The checkpoint is damaged, or transformers cannot express its class or configuration.
    """
    require_checkpoint(directory)
    if is_adapter(directory):
        raise ConvertError(f"{directory}: an adapter of Hugging Face's, not a Paddle checkpoint; use to-paddle")
    where = str(directory / "config.json")
    config = read_json(directory / "config.json")
    if not is_paddle(directory):
        raise ConvertError(f"{directory}: not a Paddle checkpoint; use to-paddle for the other direction")
    family = paddle_family(config, where, families)
    chosen = family.task(task) if task != "auto" else paddle_task(config, family, where)
    if chosen is None:
        known = ", ".join(dict.fromkeys(task.paddle_class for task in family.tasks))
        raise ConvertError(f"{where}: architectures names no class that transformers has too ({known}); choose one with --task")
    generation = read_optional_json(directory / "generation_config.json")
    entries = family.entries(chosen)
    hf_config, hf_generation = config_to_hf(config, generation, entries, where, has_labels=not chosen.num_labels)
    original_names = _original_names(directory, chosen)
    kept_tensors = directory / KEPT_FOLDER / KEPT_TENSORS
    return PaddleCheckpoint(
        directory=directory,
        family=family,
        task=chosen,
        weights=open_weights(directory),
        converted=bool(config.get(ORIGINAL_KEY)),
        original_names=original_names,
        kept_tensors=safetensors.read(kept_tensors) if original_names and kept_tensors.is_file() else {},
        hf_config=hf_config,
        hf_generation=hf_generation,
        sizes=complete(hf_config, entries, None if chosen.num_labels else labels(config)["num_labels"]),
    )


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
        raise ConvertError(f"{path}: damaged; remove it to convert without its information about the original") from None
