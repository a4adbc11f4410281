"""Plan the conversion of a Hugging Face checkpoint to Paddle."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from convert.checkpoint import HfCheckpoint
from convert.dtypes import FLOATS, cast, target_dtype
from convert.family import Family, Task
from convert.formats import NewTensor, StoredTensor
from convert.names import names_to_drop, patterns_of
from convert.pairs import TensorPair
from convert.plan import Plan, TensorUse, describe, raise_problems
from convert.tensors import name_variants, same_bits


@dataclass
class _Match:
    """Which tensors of the file belong to which pair.

    Attributes:
        names: Class name -> name in the file.
        sources: Pair -> names in the file of its tensors; empty if its value comes from elsewhere.
        tied: Pair -> the pair that it is tied to.
        misshapen: Pairs with a tensor of the wrong shape.
        ignored: Name in the file -> why the tensor is not needed.
        unexpected: Names in the file for which there is no place.
        notes: What the user should know.
        problems: Why the checkpoint cannot be converted.
    """

    names: dict[str, str] = field(default_factory=dict)
    sources: dict[TensorPair, list[str]] = field(default_factory=dict)
    tied: dict[TensorPair, TensorPair] = field(default_factory=dict)
    misshapen: set[TensorPair] = field(default_factory=set)
    ignored: dict[str, str] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan_to_paddle(checkpoint: HfCheckpoint, dtype: str = "keep") -> Plan:
    """Decide where the value of every parameter of Paddle's class comes from.

    Args:
        checkpoint: The opened checkpoint.
        dtype: Element type that floating-point tensors are cast to, or "keep".

    Raises:
        ConvertError: Tensors do not fit. The message lists every unexpected tensor, missing tensor and wrong shape.
    """
    family, task, sizes = checkpoint.family, checkpoint.task, checkpoint.paddle_config.sizes
    tensors, pairs = checkpoint.weights.tensors, family.pairs(task, sizes)
    match = _Match()
    _match_names(match, pairs, checkpoint)
    pair_of_name = {pair.hf: pair for pair in pairs}
    for pair in pairs:
        _find_sources(match, pair, pair_of_name.get(pair.tied_to or ""), tensors, tie=bool(sizes.get("tie_word_embeddings", True)))
    initialised = _find_initialised(match, pairs, checkpoint)
    _raise_problems(match, checkpoint)
    plan = Plan(
        ignored=match.ignored,
        tied={pair.paddle[0]: original.hf for pair, original in match.tied.items()},
        notes=[*([task.note] if task.note else []), *checkpoint.notes, *checkpoint.paddle_config.notes, *match.notes],
    )
    _add_writes(plan, match, checkpoint, dtype)
    for name in task.guards:
        plan.writes.append(NewTensor((name,), "float32", (1,), lambda: np.zeros(1, np.float32)))
        plan.filled_otherwise[name] = "a guard, whose shape makes another class refuse the checkpoint"
    _add_uses(plan, match, tensors, initialised)
    spare = [name for pair in initialised if pair.group in task.spare_groups for name in pair.paddle]
    if spare:
        plan.notes.append(f"no output of this task depends on the newly initialised {', '.join(spare)}")
    return plan


def _match_names(match: _Match, pairs: list[TensorPair], checkpoint: HfCheckpoint) -> None:
    """Find the class name of every tensor of the file, and record those that are not needed or unexpected."""
    family, task = checkpoint.family, checkpoint.task
    known = {name for pair in pairs for name in pair.hf_names if not pair.paddle_only}
    other_heads = _names_of_other_heads(family, task, checkpoint.paddle_config.sizes)
    tensors = checkpoint.weights.tensors
    found = {name: next((form for form in name_variants(name, family.hf_prefix) if form in known), None) for name in tensors}
    wanted = {name for name, class_name in found.items() if class_name}
    dropped = names_to_drop(tensors, wanted, checkpoint.request.drop, task.paddle_class)
    for name, tensor in tensors.items():
        class_name = found[name]
        if class_name in match.names:
            match.problems.append(f"{name} {tensor.shape}: names the same tensor as {match.names[class_name]}")
        elif class_name:
            match.names[class_name] = name
        elif name in dropped:
            match.ignored[name] = f"left out by --drop '{dropped[name]}'"
        elif reason := _reason_to_ignore(name, family, other_heads):
            match.ignored[name] = reason
        else:
            match.unexpected.append(name)


def _raise_problems(match: _Match, checkpoint: HfCheckpoint) -> None:
    """Raise one error for all that does not fit. It says how to leave out tensors without a place, if nothing else is wrong."""
    tensors, task = checkpoint.weights.tensors, checkpoint.task
    unexpected = [f"{name} {tensors[name].shape}: no place for it in {task.paddle_class}" for name in match.unexpected]
    patterns = [] if match.problems else patterns_of(match.unexpected, tensors.keys() - set(match.unexpected))
    flags = " ".join(f"--drop '{pattern}'" for pattern in patterns)
    raise_problems([*unexpected, *match.problems], checkpoint.directory, task.paddle_class, flags)


def _names_of_other_heads(family: Family, task: Task, sizes: dict) -> dict[str, str]:
    """Return tensor name -> head, for the tensors of the family's other heads."""
    heads: dict[str, str] = {}
    for other in family.tasks:
        pairs = family.pairs(other, sizes)
        for pair in pairs:
            if other is not task and pair.group == other.head_group:
                heads.setdefault(pair.hf, pair.group)
        for name in (name for pair in pairs for name in pair.hf_aliases):
            heads.setdefault(name, other.head_group)
    return heads


def _reason_to_ignore(name: str, family: Family, other_heads: dict[str, str]) -> str | None:
    bare_name = name.removeprefix(family.hf_prefix)
    for pattern, reason in family.ignored.items():
        if re.search(pattern, bare_name):
            return reason
    return next((other_heads[form] for form in name_variants(name, family.hf_prefix) if form in other_heads), None)


def _find_sources(
    match: _Match, pair: TensorPair, original: TensorPair | None, tensors: dict[str, StoredTensor], *, tie: bool
) -> None:
    """Decide which tensors of the file give the value of one pair.

    All names of a pair must have the same values. If the configuration ties them, transformers overwrites all but one when it
    loads the checkpoint, so a copy that differs has no effect and is ignored.

    Args:
        match: Where the decision is recorded.
        pair: The pair to fill.
        original: The pair that it is tied to, or None.
        tensors: The file's tensors.
        tie: Whether the configuration ties the head to the embedding.
    """
    if pair.paddle_only:
        match.sources[pair] = []
        return
    present = [match.names[name] for name in pair.hf_names if name in match.names]
    for name in list(present):
        if tensors[name].shape != pair.shape:
            match.problems.append(f"{name}: shape {tensors[name].shape}, the configuration makes it {pair.shape}")
            present.remove(name)
            match.misshapen.add(pair)
    for name in present[1:]:
        if not same_bits(tensors[present[0]], tensors[name]):
            if tie:
                _ignore_copy(match, name, present[0])
                present.remove(name)
            else:
                match.problems.append(f"{name}: differs from {present[0]}, and PaddleNLP's model has one parameter for both")
    if original is not None and tie and match.sources.get(original):
        match.tied[pair] = original
        source = match.sources[original][0]
        if present and not same_bits(tensors[present[0]], tensors[source]):
            _ignore_copy(match, present[0], source)
            present = []
    match.sources[pair] = present


def _ignore_copy(match: _Match, name: str, winner: str) -> None:
    """Ignore a tensor that transformers would overwrite with the tensor `winner`, and add a note for the user."""
    match.ignored[name] = f"transformers overwrites it with {winner}, as the configuration ties the two"
    match.notes.append(f"{name} differs from {winner}; {match.ignored[name]}")


def _find_initialised(match: _Match, pairs: list[TensorPair], checkpoint: HfCheckpoint) -> list[TensorPair]:
    """Return the pairs that are newly initialised.

    A group that is completely missing may be initialised if the user named the task or if no output depends on it. Any other
    missing tensor is a problem.
    """
    may_be_empty = {pair for pair in pairs if pair in match.tied or pair.optional or pair.paddle_only or pair in match.misshapen}
    filled_groups = {pair.group for pair in pairs if pair.group and match.sources[pair] and not pair.optional}
    initialised = []
    for pair in pairs:
        if match.sources[pair] or pair in may_be_empty:
            continue
        group_is_missing = pair.group and pair.group not in filled_groups
        if group_is_missing and (checkpoint.request.task != "auto" or pair.group in checkpoint.task.spare_groups):
            initialised.append(pair)
        else:
            hint = f" (the whole {pair.group} is missing: name the task with --task to initialise it)" if group_is_missing else ""
            match.problems.append(f"{', '.join(pair.paddle)} {pair.paddle_shape}: the checkpoint has no {pair.hf}{hint}")
    return initialised


def _add_writes(plan: Plan, match: _Match, checkpoint: HfCheckpoint, requested_dtype: str) -> None:
    """Add every parameter of Paddle's state dict to the plan, with the function that computes its value."""
    tensors, sizes = checkpoint.weights.tensors, checkpoint.paddle_config.sizes
    std = sizes.get("initializer_range", sizes.get("init_std", 0.02))
    dtypes = {tensor.dtype for tensor in tensors.values()}
    widest = next((name for name in FLOATS if name in dtypes), "float32")  # type of parameters without a source tensor
    for pair, names in match.sources.items():
        original = match.tied.get(pair)
        source_name = names[0] if names else match.sources[original][0] if original else None
        stored = tensors[source_name] if source_name else None
        dtype = stored.dtype if stored else "int64" if pair.init == "positions" else widest
        dtype = target_dtype(dtype, requested_dtype)
        for part, name in enumerate(pair.paddle):
            all_names = (name, *pair.paddle_aliases) if part == 0 else (name,)
            plan.writes.append(NewTensor(all_names, dtype, pair.paddle_shape, _reader(pair, part, stored, dtype, std)))


def _reader(pair: TensorPair, part: int, stored: StoredTensor | None, dtype: str, std: float) -> Callable[[], np.ndarray]:
    """Return a function that computes one parameter. It reads the source at each call, so that few tensors are in memory."""

    def read() -> np.ndarray:
        if stored is not None:
            return cast(pair.to_paddle(stored.read())[part], stored.dtype, dtype)
        value = pair.initial_value(std)
        return cast(pair.to_paddle(value)[part], value.dtype.name, dtype)

    return read


def _add_uses(plan: Plan, match: _Match, tensors: dict[str, StoredTensor], initialised: list[TensorPair]) -> None:
    """Record what every source tensor becomes, and where the values of the other parameters come from."""
    class_names = {file_name: class_name for class_name, file_name in match.names.items()}
    for pair, names in match.sources.items():
        becomes = list(pair.paddle_names)
        how = describe(pair, f"split into {len(pair.paddle)}")
        for name in names:
            tensor = tensors[name]
            plan.uses[name] = TensorUse(becomes, how, list(tensor.shape), tensor.dtype, class_names[name])
        if names:
            continue
        if pair in initialised:
            plan.initialised += becomes
        elif pair in match.tied:
            plan.filled_otherwise.update(dict.fromkeys(becomes, f"tied to {match.tied[pair].hf}"))
        else:
            plan.filled_otherwise.update(dict.fromkeys(becomes, f"{pair.init}, which its absence means"))
