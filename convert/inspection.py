"""Describe a checkpoint and what its conversion would do. Only headers are read, unless tied tensors must be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from convert.adapter import is_adapter
from convert.checkpoint import HfCheckpoint, PaddleCheckpoint, open_paddle
from convert.dtypes import item_size
from convert.errors import ConvertError, visible
from convert.family import Family
from convert.identify import is_paddle, require_checkpoint
from convert.open_hf import open_hf
from convert.plan import Plan
from convert.plan_to_hf import plan_to_hf
from convert.plan_to_paddle import plan_to_paddle
from convert.request import Request
from convert.tensors import Weights
from convert.tokenizers.files import tokenizer_kind


@dataclass(repr=False)
class Inspection:
    """The description that `inspect` shows.

    Attributes:
        source: The directory.
        facts: Label -> text, in the order in which they are shown.
        lists: Label -> lines, one for each tensor.
        problem: Why the checkpoint cannot be converted, or None.
    """

    source: str
    facts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    problem: str | None = None

    def text(self, tensors: bool = True) -> str:
        """Return the text for the terminal. With tensors=False it has only their number, and not a line for each."""
        lines = [self.source, *(f"  {label:12} {value}" for label, value in self.facts.items())]
        for label, names in self.lists.items():
            if names and tensors:
                lines += [f"  {label} ({len(names)}):", *(f"    {name}" for name in names)]
            elif names:
                lines.append(f"  {label:12} {_tensors(len(names))}")
        return visible("\n".join(lines + ([f"  cannot be converted: {self.problem}"] if self.problem else [])))

    def __repr__(self) -> str:
        return f"<Inspection>\n{self.text(tensors=False)}"


def inspect_checkpoint(directory: Path, families: Mapping[str, Family], request: Request) -> Inspection:
    """Describe a checkpoint of either library. If its tensors do not fit, the description says why.

    `families` are the known families by model_type, and `request` is what the user says about the checkpoint.

    Raises:
        ConvertError: The directory has no checkpoint of a known family, or its configuration cannot be translated.
    """
    require_checkpoint(directory)
    result = Inspection(str(directory))
    make_plan: Callable[[], Plan]
    if not is_adapter(directory) and is_paddle(directory):
        paddle = open_paddle(directory, families, task=request.task)
        make_plan = partial(plan_to_hf, paddle)
        _add_facts(result, "Paddle", paddle, (paddle.task.paddle_class, paddle.task.hf_class))
    else:
        hf = open_hf(directory, families, request)
        make_plan = partial(plan_to_paddle, hf)
        _add_facts(result, "Hugging Face", hf, (hf.task.hf_class, hf.task.paddle_class))
        result.facts["kept aside"] = ", ".join(hf.paddle_config.kept_aside) or "nothing"
    try:
        _add_plan(result, make_plan())
    except ConvertError as error:
        result.problem = str(error)
    return result


def _add_facts(result: Inspection, layout: str, checkpoint: HfCheckpoint | PaddleCheckpoint, classes: tuple[str, str]) -> None:
    result.facts["layout"] = layout
    result.facts["family"] = checkpoint.family.model_type
    result.facts["task"] = f"{checkpoint.task.name}: {' -> '.join(classes)}"
    result.facts.update(_weight_facts(checkpoint.weights))
    result.facts["tokenizer"] = tokenizer_kind(checkpoint.directory, checkpoint.family)


def _tensors(count: int) -> str:
    return f"{count} tensor{'s' * (count != 1)}"


def _weight_facts(weights: Weights) -> dict[str, str]:
    tensors = weights.tensors.values()
    dtypes = Counter(tensor.dtype for tensor in tensors)
    bytes_ = sum(tensor.size * item_size(tensor.dtype) for tensor in tensors)
    return {
        "size": f"{sum(tensor.size for tensor in tensors):,} numbers in {_tensors(len(tensors))}, {bytes_ / 1e6:.1f} MB",
        "dtype": ", ".join(f"{name} ({_tensors(count)})" for name, count in dtypes.most_common()),
        "files": ", ".join(path.name for path in weights.files),
    }


def _add_plan(result: Inspection, plan: Plan) -> None:
    """List what the tensors become. Source tensors that become the same target tensor share a line."""
    sources: dict[tuple[str, ...], list[str]] = {}
    for name, use in plan.uses.items():
        if use.becomes:
            sources.setdefault(tuple(use.becomes), []).append(name)
    shapes = {tensor.names[0]: tensor.shape for tensor in plan.writes}
    result.lists["mapped"] = [f"{', '.join(names)} -> {', '.join(becomes)}" for becomes, names in sources.items()]
    result.lists["ignored"] = [f"{name}: {reason}" for name, reason in plan.ignored.items()]
    result.lists["tied"] = [f"{name} = {original}" for name, original in plan.tied.items()]
    result.lists["notes"] = plan.notes
    result.lists["missing"] = [f"{name} {shapes[name]}: newly initialised" for name in plan.initialised if name in shapes]
