"""Which tensor of the source fills which parameter of the target: worked out, and complained about, before anything is written."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from convert.dtypes import FLOATS, contiguous, item_size
from convert.errors import ConvertError
from convert.family import Family, Task
from convert.formats import StoredTensor
from convert.rules import Pair


@dataclass
class Plan:
    """Where every tensor goes.

    names: Hugging Face name in the class's own form -> the name in the file.
    sources: pair -> names (in the file) of the tensors that hold it; empty where it is filled otherwise.
    tied: pair -> the pair whose value it repeats.
    initialised: pairs that start anew; misshapen: those with a tensor of the wrong shape.
    ignored: tensor of the file -> why it is not needed.
    """

    names: dict[str, str] = field(default_factory=dict)
    sources: dict[Pair, list[str]] = field(default_factory=dict)
    tied: dict[Pair, Pair] = field(default_factory=dict)
    initialised: list[Pair] = field(default_factory=list)
    misshapen: list[Pair] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def spellings(name: str, prefix: str) -> Iterable[str]:
    """The forms under which a tensor may be known: with and without prefix, old LayerNorm names turned into today's."""
    modern = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
    for form in dict.fromkeys((name, modern)):
        yield form
        yield prefix + form
        if form.startswith(prefix):
            yield form.removeprefix(prefix)


def same(first: StoredTensor, second: StoredTensor, *, transpose: bool = False) -> bool:
    """Equal bit for bit (NaN included), one of them transposed if so asked."""
    if first.dtype != second.dtype or first.shape != (second.shape[::-1] if transpose else second.shape):
        return False
    if not transpose and first.offset is not None and second.offset is not None:
        return _same_bytes(first, second)
    a, b = first.read(), second.read()
    bits = f"u{a.dtype.itemsize}"
    return bool(np.array_equal(contiguous(a.T if transpose else a).view(bits), contiguous(b).view(bits)))


def _same_bytes(first: StoredTensor, second: StoredTensor) -> bool:
    """Compares the files' bytes piece by piece, without ever holding a whole tensor."""
    left, piece = first.size * item_size(first.dtype), 1 << 20
    with open(first.file, "rb", buffering=0) as a, open(second.file, "rb", buffering=0) as b:
        a.seek(first.offset)
        b.seek(second.offset)
        while left > 0:
            count = min(piece, left)
            if a.read(count) != b.read(count):
                return False
            left -= count
    return True


def task_of_checkpoint(family: Family, config: dict, names: Iterable[str], sizes: dict, where: str) -> Task:
    """What the checkpoint is: its `architectures`, else the one head whose tensors are there.

    Raises: ConvertError where that leaves a doubt.
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
    names = {form for name in names for form in spellings(name, family.hf_prefix)}
    found = [
        task
        for task in family.tasks
        if task.head and all(pair.hf in names for pair in family.pairs(task, sizes) if pair.group == f"head of {task.name}")
    ]
    if len({task.name for task in found}) > 1:
        raise ConvertError(
            f"{where}: config.json names no architecture and the tensors fit several tasks: "
            f"{', '.join(dict.fromkeys(task.name for task in found))}. Say which one with --task"
        )
    return found[0] if found else family.task("base")


def plan_to_paddle(tensors: dict[str, StoredTensor], family: Family, task: Task, sizes: dict, *, asked: bool, where: str) -> Plan:
    """Matches the tensors of a Hugging Face checkpoint with the parameters of Paddle's class.

    asked: the user named the task, so parts the checkpoint truly lacks may start anew.
    Raises: ConvertError listing every tensor without a place, every parameter without a tensor, every wrong shape.
    """
    plan, problems = Plan(), []
    pairs = family.pairs(task, sizes)
    known = {name for pair in pairs for name in (pair.hf, *pair.hf_also) if not pair.paddle_only}
    heads = _other_heads(family, task, sizes)
    for name, tensor in tensors.items():
        match = next((form for form in spellings(name, family.hf_prefix) if form in known), None)
        if match in plan.names:
            problems.append(f"{name} {tensor.shape}: names the same tensor as {plan.names[match]}")
        elif match:
            plan.names[match] = name
        else:
            reason = _reason_to_ignore(name, family, heads)
            if reason:
                plan.ignored[name] = reason
            else:
                problems.append(f"{name} {tensor.shape}: no place for it in {task.paddle_class}")
    tie = bool(sizes.get("tie_word_embeddings", True))
    by_hf = {pair.hf: pair for pair in pairs}
    for pair in pairs:
        _fill(plan, pair, by_hf, tensors, tie, problems)
    _initialise(plan, pairs, task, asked, problems)
    if problems:
        raise ConvertError(f"{where}: the tensors do not fit {task.paddle_class}; nothing was written:\n  " + "\n  ".join(problems))
    return plan


def _other_heads(family: Family, task: Task, sizes: dict) -> dict[str, str]:
    """Names of the tensors of the family's other heads -> the head."""
    found = {}
    for other in family.tasks:
        for pair in family.pairs(other, sizes):
            if other is not task and pair.group == f"head of {other.name}":
                found.setdefault(pair.hf, pair.group)
        for name in (name for pair in family.pairs(other, sizes) for name in pair.hf_also):
            found.setdefault(name, f"head of {other.name}")
    return found


def _reason_to_ignore(name: str, family: Family, heads: dict[str, str]) -> str | None:
    bare = name.removeprefix(family.hf_prefix)
    for pattern, reason in family.ignored.items():
        if re.search(pattern, bare):
            return reason
    return next((heads[form] for form in spellings(name, family.hf_prefix) if form in heads), None)


def _fill(plan: Plan, pair: Pair, by_hf: dict[str, Pair], tensors: dict, tie: bool, problems: list[str]) -> None:
    """Finds what fills one pair; several names of it must agree, or be the dead copies that transformers overwrites."""
    if pair.paddle_only:
        plan.sources[pair] = []
        return
    present = [plan.names[name] for name in (pair.hf, *pair.hf_also) if name in plan.names]
    for name in list(present):
        if tensors[name].shape != pair.shape:
            problems.append(f"{name}: shape {tensors[name].shape}, the configuration makes it {pair.shape}")
            present.remove(name)
            plan.misshapen.append(pair)
    for name in present[1:]:
        if not same(tensors[present[0]], tensors[name]):
            if not tie:
                problems.append(f"{name}: differs from {present[0]}, and PaddleNLP's model has one parameter for both")
            else:
                _set_aside(plan, name, present[0])
                present.remove(name)
    original = by_hf.get(pair.tied_to)
    if original is not None and tie and plan.sources.get(original):
        plan.tied[pair] = original
        source = plan.sources[original][0]
        if present and not same(tensors[present[0]], tensors[source]):
            _set_aside(plan, present[0], source)
            present = []
    if present or pair not in plan.sources:
        plan.sources[pair] = present


def _set_aside(plan: Plan, name: str, winner: str) -> None:
    plan.ignored[name] = f"transformers overwrites it with {winner}, as the configuration ties the two"
    plan.notes.append(f"{name} differs from {winner}; {plan.ignored[name]}")


def _initialise(plan: Plan, pairs: list[Pair], task: Task, asked: bool, problems: list[str]) -> None:
    """Parts that are wholly absent may start anew where that is harmless or was asked for; all else is a problem."""
    empty = [p for p in pairs if not plan.sources[p] and p not in plan.tied and not p.optional and not p.paddle_only]
    filled_groups = {p.group for p in pairs if p.group and plan.sources[p] and not p.optional}
    for pair in empty:
        if pair in plan.misshapen:
            continue
        whole = pair.group and pair.group not in filled_groups
        if whole and (asked or pair.group in task.spare):
            plan.initialised.append(pair)
        else:
            hint = f" (the whole {pair.group} is missing: name the task with --task to start it anew)" if whole else ""
            problems.append(f"{', '.join(pair.paddle)} {pair.paddle_shape}: the checkpoint has no {pair.hf}{hint}")


def initial(pair: Pair, std: float) -> np.ndarray:
    """The value a new tensor starts with, in Hugging Face's layout; normal ones are drawn from a seed of the tensor's name."""
    if pair.init == "normal":
        random = np.random.default_rng(zlib.crc32(pair.hf.encode()))
        return random.normal(0, std, pair.shape).astype(np.float32)
    if pair.init == "positions":
        return np.arange(pair.shape[-1], dtype=np.int64).reshape(pair.shape)
    return np.full(pair.shape, {"zeros": 0, "ones": 1}[pair.init], np.float32)


def reading(tensor: StoredTensor, convert: Callable[[np.ndarray], np.ndarray]) -> Callable[[], np.ndarray]:
    """A function that reads the tensor and hands it through `convert`."""
    return lambda: convert(tensor.read())


def target_dtype(stored: str, asked: str) -> str:
    """Element type to write: only floats are cast, and only when asked."""
    return stored if asked == "keep" or stored not in FLOATS else asked
