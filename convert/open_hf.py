"""Open a Hugging Face checkpoint, or an adapter and its model, for the conversion to Paddle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from convert.adapter import Adapter, is_adapter, merge, open_adapter
from convert.checkpoint import HfCheckpoint
from convert.config import PaddleConfig, config_to_paddle
from convert.detection import hf_family
from convert.errors import ConvertError
from convert.family import Family, Task
from convert.files import read_json, read_optional_json
from convert.formats import StoredTensor
from convert.identify import detect_task, is_paddle, require_checkpoint
from convert.labels import contradicts_labels, label_count
from convert.names import known_names, superfluous_prefix, without_prefix
from convert.pairs import TensorPair
from convert.request import Request
from convert.tensors import Weights, open_weights
from convert.tokenizers.files import tokenizer_files


def open_hf(directory: Path, families: Mapping[str, Family], request: Request) -> HfCheckpoint:
    """Open a Hugging Face checkpoint for the conversion to Paddle.

    Args:
        directory: The checkpoint.
        families: The known families by model_type.
        request: What the user says about it.

    Raises:
        ConvertError: The checkpoint is damaged, or PaddleNLP cannot express its configuration.
    """
    adapter, home = _find_model(directory, request)
    where = str(home / "config.json")
    config, generation = read_json(home / "config.json"), read_optional_json(home / "generation_config.json")
    family, note = hf_family(config, where, families, lambda: open_weights(home).tensors, request.model_type)

    def translate(task: Task, count: int | None = None) -> PaddleConfig:
        return config_to_paddle(config, generation, family.entries(task), (*family.harmless, *request.keep_fields), where, count)

    sizes = translate(family.base_task).sizes
    weights, prefix_note = _take_off_prefix(open_weights(home), family, sizes)
    notes = [note, prefix_note]
    task = _choose_task(adapter, request, family, config, weights, sizes, where)
    sizes = translate(task).sizes
    if adapter:
        weights, merge_note = merge(adapter, family, task, sizes, weights)
        config = _config_of_merged(config, family, task, sizes, weights)
        notes.append(merge_note)
    count = label_count(family, task, sizes, weights.tensors) if contradicts_labels(config) else None
    task = _class_for_head(family, task, sizes, weights)
    return HfCheckpoint(
        directory=home,
        config=config,
        generation=generation,
        family=family,
        task=task,
        request=request,
        weights=weights,
        paddle_config=translate(task, count),
        tokenizer=directory if tokenizer_files(directory) else home,
        notes=tuple(filter(None, notes)),
    )


def _find_model(directory: Path, request: Request) -> tuple[Adapter | None, Path]:
    """Return the adapter, None if the directory has a whole model, and the directory of the model."""
    require_checkpoint(directory)
    adapter = open_adapter(directory, request.base) if is_adapter(directory) else None
    if request.base and adapter is None:
        raise ConvertError(f"--base {request.base}: {directory} is a whole model, not an adapter")
    home = adapter.base if adapter else directory
    require_checkpoint(home)
    if is_paddle(home):
        advice = "an adapter needs the original model" if adapter else "use to-hf for the other direction"
        raise ConvertError(f"{home}: already a Paddle checkpoint; {advice}")
    return adapter, home


def _choose_task(
    adapter: Adapter | None, request: Request, family: Family, config: dict, weights: Weights, sizes: dict, where: str
) -> Task:
    """Return the task that the user names, or the adapter, or else the checkpoint itself."""
    name = adapter.task if adapter and request.task == "auto" else request.task
    task = detect_task(family, config, weights.tensors, sizes, where) if name == "auto" else family.task(name)
    if task.refused:
        raise ConvertError(f"{Path(where).parent}: {task.refused}")
    return task


def _take_off_prefix(weights: Weights, family: Family, sizes: dict) -> tuple[Weights, str]:
    """Return the weights without a prefix that all their names have too many, and a note for the user."""
    prefix = superfluous_prefix(weights.tensors, lambda: known_names(family, sizes))
    if not prefix:
        return weights, ""
    note = f"the names of all tensors began with {prefix!r}, which a wrapper around the model adds: taken off"
    return Weights(weights.files, without_prefix(weights.tensors, prefix)), note


def _config_of_merged(config: dict, family: Family, task: Task, sizes: dict, weights: Weights) -> dict:
    """Return the configuration of a model with an adapter merged into it: its class, and as many labels as its classifier has."""
    config = {**config, "architectures": [task.hf_class]}
    count = label_count(family, task, sizes, weights.tensors)
    if count is None or count == sizes["num_labels"]:
        return config
    return {**{name: value for name, value in config.items() if name not in ("id2label", "label2id")}, "num_labels": count}


def _class_for_head(family: Family, task: Task, sizes: dict, weights: Weights) -> Task:
    """Return the task, with the class for a head that differs from the embedding if there is such a class and such a head."""
    untied = family.task(task.name, untied=True)
    if not untied.untied or sizes["tie_word_embeddings"]:
        return task
    return untied if _head_differs(family.pairs(task, sizes), weights.tensors, family.hf_prefix) else task


def _head_differs(pairs: Iterable[TensorPair], tensors: Mapping[str, StoredTensor], prefix: str) -> bool:
    """Tell whether a tensor is stored under several names with different values: an output head that is not tied."""
    for pair in pairs:
        names = (pair.hf, pair.hf.removeprefix(prefix), *pair.hf_aliases)
        stored = [tensors[name] for name in names if name in tensors]
        if pair.hf_aliases and any(stored[0].read().tobytes() != other.read().tobytes() for other in stored[1:]):
            return True
    return False
