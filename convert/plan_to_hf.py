"""Plan the conversion of a Paddle checkpoint to Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convert.checkpoint import PaddleCheckpoint
from convert.dtypes import cast, target_dtype
from convert.formats import NewTensor, StoredTensor
from convert.pairs import TensorPair
from convert.plan import Plan, TensorUse, describe, raise_problems
from convert.tensors import name_variants, same_bits


def plan_to_hf(checkpoint: PaddleCheckpoint, dtype: str = "keep") -> Plan:
    """Decide which tensors the Hugging Face file will have, and under which names.

    If there is a report of the conversion from the original, the file gets the original's names and its choice of tied tensors.

    Args:
        checkpoint: The opened checkpoint.
        dtype: Element type that floating-point tensors are cast to, or "keep".

    Raises:
        ConvertError: Tensors do not fit. The message lists every unexpected tensor, missing tensor and wrong shape.
    """
    pairs = checkpoint.family.pairs(checkpoint.task, checkpoint.sizes)
    tensors = _match_tensors(checkpoint, pairs)
    drifted = _drifted_heads(checkpoint, pairs, tensors)
    tie = bool(checkpoint.sizes["tie_word_embeddings"]) and not drifted
    plan = Plan(config_changes=_config_changes(checkpoint, untie=bool(drifted)))
    guards = [name for name in checkpoint.task.guards if name in checkpoint.weights.tensors]
    plan.ignored.update(dict.fromkeys(guards, "a guard, which the conversion to Paddle added"))
    if drifted:
        drifted_names = ", ".join(pair.hf for pair in drifted)
        plan.notes.append(f"{drifted_names} has drifted from the embedding: exported untied (tie_word_embeddings = false)")
    for pair in pairs:
        if reason := _reason_to_leave_out(pair, checkpoint, tensors):
            plan.ignored.update(dict.fromkeys((name for name in pair.paddle if name in tensors), reason))
            continue
        names = _names_to_write(pair, checkpoint.original_names, tie=tie, drifted=bool(drifted))
        file_names = [checkpoint.original_names.get(name, name) for name in names]
        stored = [tensors[name] for name in pair.paddle]
        if names:
            plan.writes.append(_new_tensor(pair, file_names, stored, dtype))
        _add_uses(plan, pair, names, stored)
        for name in (alias for alias in pair.paddle_aliases if alias in tensors):
            shape, dtype_name = list(tensors[name].shape), tensors[name].dtype
            plan.uses[name] = TensorUse([], f"another name of {pair.paddle[0]}", shape, dtype_name, name)
            plan.tied[name] = pair.paddle[0]
    _add_kept_tensors(plan, checkpoint)
    return plan


def _match_tensors(checkpoint: PaddleCheckpoint, pairs: list[TensorPair]) -> dict[str, StoredTensor]:
    """Return class name -> tensor for every parameter of Paddle's class.

    Raises:
        ConvertError: A tensor is unexpected, is missing, has the wrong shape, differs from another name of the same parameter,
            or was trained although transformers' class has no such tensor.
    """
    hf_class = checkpoint.task.hf_class
    known = {name for pair in pairs for name in pair.paddle_names}
    tensors: dict[str, StoredTensor] = {}
    problems = []
    for name, tensor in checkpoint.weights.tensors.items():
        if name in checkpoint.task.guards:
            continue
        class_name = next((form for form in name_variants(name, checkpoint.family.paddle_prefix) if form in known), None)
        if class_name is None or class_name in tensors:
            problems.append(f"{name} {tensor.shape}: no place for it in {hf_class}")
        else:
            tensors[class_name] = tensor
    for pair in pairs:
        same_parameter = [name for name in (pair.paddle[0], *pair.paddle_aliases) if name in tensors]
        if same_parameter:
            tensors.setdefault(pair.paddle[0], tensors[same_parameter[0]])
        problems += _problems_of_pair(pair, same_parameter, tensors, hf_class)
    raise_problems(problems, checkpoint.directory, hf_class)
    return tensors


def _problems_of_pair(pair: TensorPair, same_parameter: list[str], tensors: dict[str, StoredTensor], hf_class: str) -> list[str]:
    """Return what is wrong with the tensors of one pair. `same_parameter` has the names under which the first one is stored."""
    problems = [f"{name} {pair.paddle_shape}: missing" for name in pair.paddle if name not in tensors]
    problems += [
        f"{name}: shape {tensors[name].shape}, the configuration makes it {pair.paddle_shape}"
        for name in (*pair.paddle, *same_parameter)
        if name in tensors and tensors[name].shape != pair.paddle_shape
    ]
    for name in same_parameter[1:]:
        first = tensors[same_parameter[0]]
        if tensors[name].shape == first.shape and not same_bits(tensors[name], first):
            problems.append(f"{name}: differs from {same_parameter[0]}, of which it is another name")
    if pair.paddle_only and pair.paddle[0] in tensors and tensors[pair.paddle[0]].read().any():
        problems.append(f"{pair.paddle[0]}: was trained, and {hf_class} has no such tensor")
    return problems


def _drifted_heads(checkpoint: PaddleCheckpoint, pairs: list[TensorPair], tensors: dict[str, StoredTensor]) -> list[TensorPair]:
    """Return the pairs that transformers would tie to another tensor although training in Paddle has changed their values."""
    if not checkpoint.sizes["tie_word_embeddings"]:
        return []
    pair_of_name = {pair.hf: pair for pair in pairs}
    return [
        pair
        for pair in pairs
        if pair.tied_to is not None
        and not same_bits(tensors[pair.paddle[0]], tensors[pair_of_name[pair.tied_to].paddle[0]], transpose=pair.transpose)
    ]


def _config_changes(checkpoint: PaddleCheckpoint, *, untie: bool) -> dict[str, object]:
    """Return the fields of config.json that follow from the tensors."""
    changes: dict[str, object] = {"tie_word_embeddings": False} if untie else {}
    # the kept tensors complete the original, other heads included, so its class does not change
    is_original = bool(checkpoint.kept_tensors) and not untie
    architecture = (checkpoint.hf_config.get("architectures") or [None])[0]
    if not is_original and architecture != checkpoint.task.hf_class:
        changes["architectures"] = [checkpoint.task.hf_class]
    return changes


def _reason_to_leave_out(pair: TensorPair, checkpoint: PaddleCheckpoint, tensors: dict[str, StoredTensor]) -> str | None:
    """Return why a pair is left out of Hugging Face's file, or None if it is written."""
    hf_class = checkpoint.task.hf_class
    if pair.paddle_only:
        return f"{hf_class} has no such tensor, and all values are 0"
    if any(name in checkpoint.original_names for name in pair.hf_names):
        return None
    if pair.optional and np.array_equal(tensors[pair.paddle[0]].read(), pair.initial_value(0.0)):
        return f"{hf_class} uses the same values if it is missing"
    return f"{hf_class} has no {pair.group}" if pair.group in checkpoint.task.spare_groups else None


def _names_to_write(pair: TensorPair, original_names: dict[str, str], *, tie: bool, drifted: bool) -> list[str]:
    """Return the class names under which a pair is written, none if transformers restores it by tying."""
    if not tie and (drifted or not original_names) and (pair.hf_aliases or pair.tied_to):
        return list(pair.hf_names)  # without tying, transformers expects a tensor under every name
    names = [name for name in pair.hf_names if name in original_names]
    if names or (pair.tied_to is not None and tie):
        return names
    return [pair.hf]


def _new_tensor(pair: TensorPair, names: Sequence[str], stored: Sequence[StoredTensor], requested_dtype: str) -> NewTensor:
    """Return the tensor of one pair in the form in which it is written. `stored` are its Paddle parameters."""
    source_dtype = stored[0].dtype
    dtype = target_dtype(source_dtype, requested_dtype)

    def read() -> np.ndarray:
        return cast(pair.to_hf([tensor.read() for tensor in stored]), source_dtype, dtype)

    return NewTensor(tuple(names), dtype, pair.shape, read)


def _add_uses(plan: Plan, pair: TensorPair, names: list[str], stored: Sequence[StoredTensor]) -> None:
    """Record what the Paddle parameters of one pair become. `names` is empty if transformers restores the tensor by tying."""
    how = describe(pair, "joined") if names else f"tied to {pair.tied_to}"
    for name, tensor in zip(pair.paddle, stored, strict=True):
        plan.uses[name] = TensorUse(names, how, list(tensor.shape), tensor.dtype, name)
        if not names and pair.tied_to:
            plan.tied[name] = pair.tied_to


def _add_kept_tensors(plan: Plan, checkpoint: PaddleCheckpoint) -> None:
    """Add the tensors of the original that Paddle's class has no place for."""
    written = {name for tensor in plan.writes for name in tensor.names}
    for name, tensor in checkpoint.kept_tensors.items():
        if name not in written:
            plan.writes.append(NewTensor((name,), tensor.dtype, tensor.shape, tensor.read))
        plan.filled_otherwise[name] = "kept aside by the conversion to Paddle"
