"""What a checkpoint is and what a conversion would make of it; reads headers, never weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from convert.backward import PaddleSource
from convert.dtypes import item_size
from convert.errors import ConvertError
from convert.forward import Source, is_paddle
from convert.tensors import Weights
from convert.tokenization import kind


@dataclass
class Inspection:
    """facts: label -> text, in reading order. lists: label -> names."""

    source: str
    facts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    problem: str | None = None

    def text(self) -> str:
        """For the terminal."""
        lines = [self.source, *(f"  {label:12} {value}" for label, value in self.facts.items())]
        for label, names in self.lists.items():
            lines += [f"  {label} ({len(names)}):", *(f"    {name}" for name in names)] if names else []
        return "\n".join(lines + ([f"  cannot be converted: {self.problem}"] if self.problem else []))


def inspect(directory: Path, task: str = "auto") -> Inspection:
    """Looks at a checkpoint of either library.

    Raises: ConvertError where the directory is no checkpoint at all; one that cannot be converted is described, with the reason.
    """
    if not directory.is_dir():
        raise ConvertError(f"{directory}: no such directory")
    return _paddle(directory, task) if is_paddle(directory) else _hugging_face(directory, task)


def _weights(result: Inspection, weights: Weights) -> None:
    dtypes = Counter(tensor.dtype for tensor in weights.tensors.values())
    count = sum(tensor.size for tensor in weights.tensors.values())
    size = sum(tensor.size * item_size(tensor.dtype) for tensor in weights.tensors.values())
    result.facts["size"] = f"{count:,} numbers in {len(weights.tensors)} tensors, {size / 1e6:.1f} MB"
    result.facts["dtype"] = ", ".join(f"{name} ({number} tensors)" for name, number in dtypes.most_common())
    result.facts["files"] = ", ".join(path.name for path in weights.files)


def _hugging_face(directory: Path, task: str) -> Inspection:
    result = Inspection(str(directory), {"layout": "Hugging Face"})
    opened = Source(directory, task, plan=False)
    result.facts["family"] = opened.family.model_type
    result.facts["task"] = f"{opened.task.name}: {opened.task.hf_class} -> {opened.task.paddle_class}"
    _weights(result, opened.weights)
    result.facts["tokenizer"] = kind(directory, opened.family)
    result.facts["kept aside"] = ", ".join(opened.translated.kept_aside) or "nothing"
    try:
        plan = opened.plan_for(opened.task)
    except ConvertError as error:
        result.problem = str(error)
        return result
    mapped = [(pair, held) for pair, held in plan.sources.items() if held]
    result.lists["mapped"] = [f"{', '.join(held)} -> {', '.join((*p.paddle, *p.paddle_also))}" for p, held in mapped]
    result.lists["ignored"] = [f"{name}: {why}" for name, why in plan.ignored.items()]
    result.lists["tied"] = [f"{', '.join(pair.paddle)} = {original.hf}" for pair, original in plan.tied.items()]
    result.lists["missing"] = [f"{', '.join(pair.paddle)} {pair.paddle_shape}: starts anew" for pair in plan.initialised]
    return result


def _paddle(directory: Path, task: str) -> Inspection:
    result = Inspection(str(directory), {"layout": "Paddle"})
    opened = PaddleSource(directory, task)
    result.facts["family"] = opened.family.model_type
    result.facts["task"] = f"{opened.task.name}: {opened.task.paddle_class} -> {opened.task.hf_class}"
    _weights(result, opened.weights)
    result.facts["tokenizer"] = kind(directory, opened.family)
    result.lists["mapped"] = [f"{', '.join(pair.paddle)} -> {pair.hf}" for pair in opened.pairs if not pair.paddle_only]
    return result
