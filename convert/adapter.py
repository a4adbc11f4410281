"""Merge an adapter of the peft library, if it is LoRA, into the model that it was trained on.

LoRA (Hu et al., 2021, LoRA: Low-Rank Adaptation of Large Language Models) adds B A times a factor to a weight. The merged weights
are those of peft's merge_and_unload(), up to the rounding of the sums.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from convert.dtypes import FLOATS, cast, numpy_dtype
from convert.errors import ConvertError
from convert.family import Family, Task
from convert.files import read_json
from convert.formats import StoredTensor
from convert.pairs import TensorPair
from convert.tensors import PDPARAMS, SAFETENSORS, TORCH_BIN, Weights, name_variants, open_weight_file

SETTINGS = "adapter_config.json"
WEIGHTS = {"adapter_model.safetensors": SAFETENSORS, "adapter_model.bin": TORCH_BIN}  # file -> the name that its format goes by
PREFIX = "base_model.model."  # of all names in the file
TASKS = {
    "SEQ_CLS": "sequence_classification", "TOKEN_CLS": "token_classification", "CAUSAL_LM": "causal_lm",
    "SEQ_2_SEQ_LM": "seq2seq", "QUESTION_ANS": "question_answering", "FEATURE_EXTRACTION": "base",
}  # fmt: skip

# Settings that do not change what the merged weights are, or that are read below. Others must be off.
KNOWN = {
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode", "r",
    "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "fan_in_fan_out", "bias", "use_rslora", "modules_to_save",
    "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "megatron_core",
    "qalora_group_size", "eva_config",
}  # fmt: skip
PLAIN_INITIALISATIONS = (True, False, "gaussian", "eva", "orthogonal")  # others change the model's own weights too
MAX_ALPHA = 1e6
ORIGINAL = ".original_module."  # in the names of what a module had before it was trained as a whole; nothing uses it
LORA_NAME = re.compile(r"(.+)\.lora_(embedding_)?([AB])(\.[^.]+)??(\.weight)?")  # module, kind, part, name of the adapter
SAVED_NAME = re.compile(r"(.+?)(\.base_layer|\.modules_to_save(\.[^.]+)??)?\.(weight|bias)")


@dataclass(frozen=True)
class Adapter:
    """An adapter and the model that it was trained on.

    Attributes:
        directory: Where it is.
        settings: Contents of adapter_config.json.
        base: Directory of the model.
        weights: Its tensors.
    """

    directory: Path
    settings: dict
    base: Path
    weights: Weights

    @property
    def task(self) -> str:
        """Return the task that it was trained for, "auto" if it does not say so."""
        return TASKS.get(str(self.settings.get("task_type")), "auto")


@dataclass
class _Change:
    """The two factors that are added to a weight."""

    a: StoredTensor | None = None
    b: StoredTensor | None = None
    scale: float = 1.0
    is_embedding: bool = False


@dataclass
class _Changes:
    """What the adapter changes, by the names of the model's class: factors that are added, and tensors that are replaced."""

    added: dict[str, _Change] = field(default_factory=dict)
    replaced: dict[str, StoredTensor] = field(default_factory=dict)


def is_adapter(directory: Path) -> bool:
    """Return whether a directory has an adapter, and not a whole model beside it."""
    whole = (SAFETENSORS, TORCH_BIN, PDPARAMS)
    return (directory / SETTINGS).is_file() and not any(
        (directory / name).is_file() or (directory / f"{name}.index.json").is_file() for name in whole
    )


def open_adapter(directory: Path, base: Path | None) -> Adapter:
    """Open an adapter and find the model that it was trained on.

    Args:
        directory: The adapter.
        base: The model according to the user; None for the directory that adapter_config.json names.

    Raises:
        ConvertError: The model is not here, or the adapter is of a kind that cannot be merged.
    """
    path = directory / SETTINGS
    settings = read_json(path)
    _check_settings(settings, path)
    base = base or named_base(directory)
    if base is None:
        named, flags = settings.get("base_model_name_or_path") or "whose name it does not say", "--base BASE"
        problem = f"{directory}: a LoRA adapter without the model that it was trained on, {named}"
        raise ConvertError(f"{problem}: add {flags} with that model's directory or its id", flags, problem)
    if is_adapter(base) or base.resolve() == directory.resolve():
        raise ConvertError(f"{base}: an adapter too; the model that {directory} was trained on is needed")
    file = next((name for name in WEIGHTS if (directory / name).is_file()), None)
    if file is None:
        raise ConvertError(f"{directory}: an adapter without weights; supported are {', '.join(WEIGHTS)}")
    return Adapter(directory, settings, base, open_weight_file(directory / file, WEIGHTS[file]))


def named_base(directory: Path) -> Path | None:
    """Return the directory of the model that an adapter names, None if it names none or one that is not here."""
    named = read_json(directory / SETTINGS).get("base_model_name_or_path")
    path = Path(named).expanduser() if isinstance(named, str) and named else None
    return path if path and path.is_dir() else None


def _check_settings(settings: dict, path: Path) -> None:
    """Raise a ConvertError if the adapter is not plain LoRA, or if a setting has a wrong type."""
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise ConvertError(f"{path}: an adapter of the kind {kind!r}; only LORA can be merged into its model")
    initialisation = settings.get("init_lora_weights", True)
    odd = {name: value for name, value in settings.items() if name not in KNOWN and value}
    if initialisation not in PLAIN_INITIALISATIONS:
        odd["init_lora_weights"] = initialisation
    if odd:
        listed = ", ".join(f"{name} = {value!r}" for name, value in odd.items())
        raise ConvertError(f"{path}: only plain LoRA can be merged, and not {listed}; let peft's merge_and_unload() do it")
    patterns = settings.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise ConvertError(f"{path}: alpha_pattern = {patterns!r} must be an object")
    for name, value in {"lora_alpha": settings.get("lora_alpha", 8), **patterns}.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < MAX_ALPHA:
            raise ConvertError(f"{path}: {name} = {value!r} must be a number")
    for pattern in patterns:  # they are regular expressions, which could be made to take years
        if not re.fullmatch(r"[\w.^$\\*+-]+", pattern) or sum(map(pattern.count, "*+")) > 2 or not _is_expression(pattern):
            raise ConvertError(f"{path}: alpha_pattern: {pattern!r} is not a name, or one with at most two wildcards")


def _is_expression(pattern: str) -> bool:
    try:
        return bool(re.compile(pattern))
    except re.error:
        return False


def merge(adapter: Adapter, family: Family, task: Task, sizes: dict, base: Weights) -> tuple[Weights, str]:
    """Return the weights of the model with the adapter merged into them, and a note for the user.

    Args:
        adapter: The adapter.
        family: The model's architecture.
        task: The class that the adapter was trained with.
        sizes: The complete Hugging Face configuration.
        base: The model's weights.

    Raises:
        ConvertError: A tensor of the adapter does not fit the model.
    """
    changes = _read_changes(adapter)
    pairs = {name: pair for pair in family.pairs(task, sizes) for name in pair.hf_names}
    files = {form: name for name in base.tensors for form in name_variants(name, family.hf_prefix)}

    def find(name: str) -> tuple[str, TensorPair | None]:
        """Return the name in the model's file, or in the class if the file has no such tensor, and the pair."""
        form = next((form for form in name_variants(name, family.hf_prefix) if form in pairs), name)
        pair = pairs.get(form)
        return next((files[other] for other in (pair.hf_names if pair else ()) if other in files), form), pair

    tensors = dict(base.tensors)
    for name, tensor in changes.replaced.items():
        file_name, _ = find(name)
        tensors[file_name] = replace(tensor, name=file_name)  # whether the class has a place for it is seen later
    for name, change in changes.added.items():
        file_name, pair = find(name)
        if pair is None or file_name not in tensors:
            question = f"{adapter.base} has no such tensor; is it the model that the adapter was trained on?"
            raise ConvertError(f"{adapter.directory}: {name}: {question}")
        tensors[file_name] = _added(tensors[file_name], change, pair, f"{adapter.directory}: {name}")
    ranks = sorted({change.a.shape[0] for change in changes.added.values() if change.a})
    note = (
        f"LoRA of rank {', '.join(map(str, ranks)) or 0} merged into {len(changes.added)} weights of {adapter.base}, and "
        f"{len(changes.replaced)} tensors taken from the adapter: the result is a whole model"
    )
    return Weights([*base.files, *adapter.weights.files], tensors), note


def _read_changes(adapter: Adapter) -> _Changes:
    """Tell from the names of the adapter's tensors what each is for."""
    changes = _Changes()
    for key, tensor in adapter.weights.tensors.items():
        name = key.removeprefix(PREFIX)
        if ORIGINAL in name:
            continue
        lora, saved = LORA_NAME.fullmatch(name), SAVED_NAME.fullmatch(name)
        if key == name or not (lora or (saved and "lora_" not in name)):
            raise ConvertError(f"{adapter.directory}: {key} {tensor.shape}: not a tensor of a plain LoRA adapter")
        if lora:
            change = changes.added.setdefault(f"{lora[1]}.weight", _Change())
            change.is_embedding = bool(lora[2])
            change.scale = _scale(adapter.settings, lora[1], tensor.shape) if lora[3] == "A" else change.scale
            setattr(change, lora[3].lower(), tensor)
        elif saved:
            changes.replaced[f"{saved[1]}.{saved[4]}"] = tensor
    return changes


def _scale(settings: Mapping, module: str, shape: tuple[int, ...]) -> float:
    """Return the factor of a module's product: alpha over the rank, which `shape` of A begins with, or over its square root."""
    patterns = settings.get("alpha_pattern") or {}
    alpha = next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)), settings.get("lora_alpha", 8))
    rank = max(shape[0], 1) if shape else 1
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _added(weight: StoredTensor, change: _Change, pair: TensorPair, where: str) -> StoredTensor:
    """Return a weight with the product of the two factors added to it."""
    a, b = change.a, change.b
    if a is None or b is None:
        raise ConvertError(f"{where}: the adapter has only one of the two factors of its change")
    transposed = pair.layer in ("Conv1D", "Embedding")  # they store [in, out], B A is [out, in]
    expected = weight.shape[::-1] if transposed else weight.shape
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1] or (b.shape[0], a.shape[1]) != expected:
        raise ConvertError(f"{where}: factors of the shapes {b.shape} and {a.shape} do not make a change of {expected}")
    if change.is_embedding != (pair.layer == "Embedding"):
        raise ConvertError(f"{where}: the adapter changes it as another kind of layer than {pair.layer}")

    if not all(tensor.dtype in FLOATS for tensor in (weight, a, b)):
        raise ConvertError(f"{where}: numbers of type {weight.dtype}, to which LoRA's cannot be added")
    wide = "float64" if weight.dtype == "float64" else "float32"

    def read() -> np.ndarray:
        first, second = (cast(factor.read(), factor.dtype, wide) for factor in (b, a))
        product = (first @ second) * numpy_dtype(wide).type(change.scale)
        whole = cast(weight.read(), weight.dtype, wide) + (product.T if transposed else product)
        return cast(whole, wide, weight.dtype)

    return replace(weight, read=read, offset=None)
