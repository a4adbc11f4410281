"""Compare the outputs of two checkpoints and of all their layers, on a padded batch, in single precision."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from convert.adapter import is_adapter
from convert.config import approximations
from convert.errors import ConvertError
from convert.families import load_families
from convert.family import Family, Task
from convert.files import read_optional_json
from convert.identify import CheckpointInfo, identify, is_paddle, require_checkpoint
from convert.outputs import (
    REFERENCE,
    example_inputs,
    hf_config_of,
    read_reference,
    run_hf,
    run_paddle,
    save_reference,
    torch_is_installed,
)
from convert.report import JSON_NAME, Report

INSTALL_TORCH = "pip install 'torch>=2.2' 'transformers>=4.53,<4.56'"  # the extra [verify] of pyproject.toml, for any installation
TOLERANCE = 5e-5  # outputs are equal up to this absolute difference


@dataclass(repr=False)
class Comparison:
    """The result of comparing two checkpoints.

    Attributes:
        first: The first checkpoint.
        second: The second one.
        differences: Layer or output -> {"max_abs", "max_rel"}, in the order of computation, outputs last.
        notes: What the user should know.
    """

    first: str
    second: str
    differences: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def diverging(self) -> str | None:
        """Return the first layer or output that differs by more than TOLERANCE or is NaN, None if all are equal."""
        return next((name for name, d in self.differences.items() if not d["max_abs"] <= TOLERANCE), None)

    @property
    def equal(self) -> bool:
        """Return whether all layers and outputs are equal."""
        return self.diverging is None

    def __repr__(self) -> str:
        return f"<Comparison of {self.first} and {self.second}>\n{self.text()}"

    def text(self) -> str:
        """Return a table for the terminal that ends with the verdict."""
        width = max(map(len, self.differences))
        lines = [f"{'':{width}}  max abs   max rel"]
        lines += [f"{name:{width}}  {d['max_abs']:.2e}  {d['max_rel']:.2e}" for name, d in self.differences.items()]
        lines += [f"note: {note}" for note in self.notes]
        largest = max(d["max_abs"] for d in self.differences.values())
        verdict = f"equal: no difference above {TOLERANCE:g}, the largest is {largest:.2e}"
        return "\n".join([*lines, verdict if self.equal else f"DIFFERENT: first beyond {TOLERANCE:g} is {self.diverging}"])


def compare_checkpoints(first: Path, second: Path, families: Mapping[str, Family]) -> Comparison:
    """Compare two checkpoints, each of either library, and add the differences to the report of the converted one.

    Raises:
        ConvertError: They are of different families or sizes, or a library for running one of them is missing.
    """
    sides = _identify_sides(first, second, families)
    task = next((side.task for side in sides if side.paddle and side.task), None) or sides[0].task or sides[1].task
    if task is None or sides[0].family is not sides[1].family:
        raise ConvertError(f"{first} and {second} are of different families, or their class is unknown")
    _check_sizes(sides, task)
    config = hf_config_of(next((side for side in sides if not side.paddle), sides[0]), task)
    result = Comparison(str(first), str(second))
    inputs, reference_side = example_inputs(sides[0].family, config, task), None
    reference: dict[str, np.ndarray] = {}
    if not torch_is_installed():
        reference_side = next((side for side in sides if not side.paddle and (side.directory / REFERENCE).is_file()), None)
        if reference_side:
            inputs, reference = read_reference(reference_side.directory)
            result.notes.append(f"torch is not installed: compared with {reference_side.directory / REFERENCE}")
    a, b = (reference if side is reference_side else _run(side, task, config, inputs) for side in sides)
    if any(_has_new_head(side) for side in sides):
        result.notes.append("the head is newly initialised: only the layers below it are compared")
        b = {name: value for name, value in b.items() if name not in task.outputs}
    result.differences = {name: difference(a[name], b[name], inputs["attention_mask"]) for name in a if name in b}
    if sides[0].paddle != sides[1].paddle:
        result.notes += approximations(config, sides[0].family.entries(task))
    _record(result, sides)
    return result


def _identify_sides(first: Path, second: Path, families: Mapping[str, Family]) -> list[CheckpointInfo]:
    """Identify both checkpoints. If an old config.json does not say the family, it is that of the Paddle checkpoint."""
    for path in (first, second):
        require_checkpoint(path)
        if is_adapter(path):
            raise ConvertError(f"{path}: an adapter; only whole models can be compared, such as what to-paddle makes of it")
    paddle = next((identify(path, families) for path in (first, second) if is_paddle(path)), None)
    return [identify(path, families, paddle.family.model_type if paddle else None) for path in (first, second)]


def _check_sizes(sides: list[CheckpointInfo], task: Task) -> None:
    """Raise a ConvertError that names the first tensor of the base model whose shape differs, or that one side lacks."""
    family = sides[0].family
    first, second = (
        {pair.hf: pair.shape for pair in family.pairs(family.task("base"), hf_config_of(side, side.task or task))} for side in sides
    )
    for name in {**first, **second}:
        if first.get(name) != second.get(name):
            shapes = [f"{shape} in" if shape else "missing in" for shape in (first.get(name), second.get(name))]
            raise ConvertError(
                f"the checkpoints are of different sizes, so there is nothing to compare: {name} is {shapes[0]} "
                f"{sides[0].directory}, {shapes[1]} {sides[1].directory}"
            )


def _run(side: CheckpointInfo, task: Task, config: dict, inputs: dict) -> dict[str, np.ndarray]:
    if side.paddle:
        return run_paddle(side, task, config, inputs)
    if torch_is_installed():
        return run_hf(side, task, config, inputs)
    raise ConvertError(
        f"{side.directory}: running it needs torch and transformers: {INSTALL_TORCH} (not on AI Studio: torch brings"
        f" CUDA libraries of its own beside Paddle's). Without them a file {REFERENCE}"
        " next to the checkpoint can be used, but there is none"
    )


def _has_new_head(side: CheckpointInfo) -> bool:
    """Return whether the conversion newly initialised the head. There is then nothing to compare it with."""
    if side.task is None or side.task.base:
        return False
    initialised = read_optional_json(side.directory / JSON_NAME).get("initialised", [])
    return isinstance(initialised, list) and any(not str(name).startswith(side.family.paddle_prefix) for name in initialised)


def difference(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Return the largest absolute difference of two outputs, also relative to the largest value, without padding.

    Args:
        a: First output, [b, ...]. The second axis is s if there is an entry for each position.
        b: Second output, of the same shape.
        mask: Attention mask, [b, s] or [1, b, s].

    Returns:
        {"max_abs", "max_rel"}; infinite if the shapes differ.
    """
    if a.shape != b.shape:
        return {"max_abs": float("inf"), "max_rel": float("inf")}
    mask = mask.reshape(-1, mask.shape[-1])  # the choices of a question are rows inside the model
    if a.shape[:2] == mask.shape:
        a, b = a[mask == 1], b[mask == 1]
    max_abs = float(np.max(np.abs(a.astype(np.float64) - b), initial=0.0))
    return {"max_abs": max_abs, "max_rel": max_abs / max(float(np.max(np.abs(a), initial=0.0)), 1e-12)}


def _record(comparison: Comparison, sides: list[CheckpointInfo]) -> None:
    """Write the differences into the report of every side that is the result of a conversion."""
    for side in sides:
        report_fields = read_optional_json(side.directory / JSON_NAME)
        if set(report_fields) == {item.name for item in fields(Report)}:
            report = Report(**{**report_fields, "parity": comparison.differences})
            # so that a checkpoint can be compared that is read-only, or whose report was damaged
            with contextlib.suppress(OSError, TypeError, AttributeError, LookupError, ValueError):
                report.write(side.directory)


def write_reference(directory: Path, task_name: str | None = None) -> Path:
    """Run transformers on the example batch, and write inputs and outputs next to the checkpoint.

    With this file `verify` can compare the checkpoint on machines without torch.

    Args:
        directory: A Hugging Face checkpoint.
        task_name: Its task; None for the one that config.json names.
    """
    checkpoint = identify(directory, load_families())
    task = checkpoint.family.task(task_name) if task_name else checkpoint.task
    if task is None:
        raise ConvertError(f"{directory}: its config.json does not name its class; name its task")
    config = hf_config_of(checkpoint, task)
    inputs = example_inputs(checkpoint.family, config, task)
    return save_reference(directory, inputs, run_hf(checkpoint, task, config, inputs))
