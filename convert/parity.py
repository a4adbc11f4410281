"""Do two checkpoints compute the same? Outputs and every layer of both, on a padded batch, in single precision."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from convert.config import KEPT, complete
from convert.errors import ConvertError
from convert.family import Family, Task, family_of
from convert.formats import safetensors
from convert.forward import is_paddle
from convert.loading import read_weights, with_weights
from convert.report import JSON_NAME, Report
from convert.tensors import read_json

TOLERANCE = 5e-5  # largest absolute difference that counts as equal
REFERENCE = "reference_outputs.safetensors"
INPUT = "input."


@dataclass
class Comparison:
    """differences: output or layer -> {"max_abs", "max_rel"}, in the order of computation, outputs last."""

    first: str
    second: str
    differences: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def diverging(self) -> str | None:
        """The first layer or output that differs by more than TOLERANCE (or is not finite on one side)."""
        return next((name for name, d in self.differences.items() if not d["max_abs"] <= TOLERANCE), None)

    @property
    def equal(self) -> bool:
        return self.diverging is None

    def text(self) -> str:
        """A table for the terminal, verdict last."""
        width = max(map(len, self.differences))
        lines = [f"{'':{width}}  max abs   max rel"]
        lines += [f"{name:{width}}  {d['max_abs']:.2e}  {d['max_rel']:.2e}" for name, d in self.differences.items()]
        lines += [f"note: {note}" for note in self.notes]
        worst = max(d["max_abs"] for d in self.differences.values())
        verdict = f"equal: no difference above {TOLERANCE:g}, the largest is {worst:.2e}"
        return "\n".join([*lines, verdict if self.equal else f"DIFFERENT: first beyond {TOLERANCE:g} is {self.diverging}"])


class Checkpoint:
    """One side of a comparison: where it is, which library it is for, what it is."""

    def __init__(self, directory: Path):
        if not directory.is_dir():
            raise ConvertError(f"{directory}: no such directory")
        self.directory = directory
        self.config = read_json(directory / "config.json")
        self.paddle = is_paddle(directory)
        self.family = family_of(self.config, str(directory / "config.json"), paddle=self.paddle)
        self.task = task_of(self.config, self.family, paddle=self.paddle)

    def new_head(self) -> bool:
        """Whether the head was newly initialised by the conversion, so that there is nothing to compare it with."""
        report = self.directory / JSON_NAME
        names = read_json(report).get("initialised", []) if report.is_file() else []
        return any(not name.startswith(self.family.paddle_prefix) and not self.task.base for name in names)


def task_of(config: dict, family: Family, *, paddle: bool) -> Task | None:
    """The task of a checkpoint by its kept record or its class; None where the class is unknown."""
    architecture = (config.get("architectures") or [None])[-1]
    kept = config.get(KEPT, {})
    if paddle and "task" in kept:
        task = family.task(kept["task"], untied=kept.get("untied", False))
        if architecture in (None, task.paddle_class):
            return task
    return family.task_of_class(architecture, paddle=paddle) if architecture else None


def example_inputs(family: Family, config: dict, task: Task) -> dict[str, np.ndarray]:
    """A batch of two lengths, the shorter padded at the end; ids drawn from a fixed seed.

    config: Hugging Face's, complete. Returns input_ids [b, s] and attention_mask [b, s], where the model takes them
    token_type_ids [b, s] and decoder_input_ids [b, s]; for multiple choice the batch is one question with b choices.
    """
    random = np.random.default_rng(0)
    length = min(14, next((int(config[key]) for key in ("max_position_embeddings", "n_positions") if config.get(key)), 14))
    lengths = [length, max(2, length // 2)]
    pad, eos = config.get("pad_token_id"), config.get("eos_token_id")
    pad = None if pad == -1 else pad  # what Paddle's configuration says where there is none
    if pad is None and task.name == "sequence_classification" and family.model_type == "gpt2":
        lengths = [length]  # without a padding id, transformers takes one text at a time
    plain = [number for number in range(config["vocab_size"]) if number not in (pad, eos)] or [0]
    ids = random.choice(plain, (len(lengths), length))
    mask = (np.arange(length) < np.array(lengths)[:, None]).astype(np.int64)
    if family.seq2seq and isinstance(eos, int):
        ids[np.arange(len(lengths)), np.array(lengths) - 1] = eos
    inputs = {"input_ids": np.where(mask == 1, ids, pad or 0).astype(np.int64), "attention_mask": mask}
    if family.token_types:
        second = np.arange(length)[None, :] >= np.array(lengths)[:, None] // 2
        inputs["token_type_ids"] = (second * mask * (config.get("type_vocab_size", 2) > 1)).astype(np.int64)
    if family.seq2seq:
        decoder = random.choice(plain, (len(lengths), min(9, length)))
        decoder[:, 0] = config.get("decoder_start_token_id") or pad or 0
        inputs["decoder_input_ids"] = decoder.astype(np.int64)
        if task.name == "sequence_classification":  # transformers and PaddleNLP read the last </s> of the input
            inputs["decoder_input_ids"] = inputs["input_ids"]
    if task.name == "multiple_choice":
        inputs = {name: value[None] for name, value in inputs.items()}
    return inputs


def layer_names(family: Family, task: Task, config: dict, *, paddle: bool) -> dict[str, str]:
    """Label -> module whose output is compared, in the order of computation; config: Hugging Face's, complete."""
    prefix = "" if task.base else family.paddle_prefix if paddle else family.hf_prefix
    found = {}
    for hf, ours, count in family.layers:
        for i in range(int(config[count]) if count else 1):
            found[hf.replace("{i}", str(i))] = prefix + (ours if paddle else hf).replace("{i}", str(i))
    return found


def _watch(module, label: str, captured: dict, register: str) -> object:
    def keep(_module, _inputs, output):
        captured[label] = np.asarray((output[0] if isinstance(output, tuple | list) else output).detach().numpy(), np.float32)

    return getattr(module, register)(keep)


def run_paddle(side: Checkpoint, task: Task, hf_config: dict, inputs: dict) -> dict[str, np.ndarray]:
    """Layers and outputs of PaddleNLP's model."""
    if importlib.util.find_spec("paddlenlp") is None:
        raise ConvertError("to run a Paddle checkpoint install paddlepaddle and paddlenlp: pip install -r requirements.txt")
    import paddle
    import paddlenlp.transformers as library
    from paddlenlp.utils.log import logger

    logger.set_level("WARNING")
    model = with_weights(getattr(library, task.paddle_class), side.directory, read_weights(side.directory), dtype="float32")
    model.eval()
    captured: dict[str, np.ndarray] = {}
    modules = dict(model.named_sublayers())
    for label, name in layer_names(side.family, task, hf_config, paddle=True).items():
        _watch(modules[name], label, captured, "register_forward_post_hook")
    feed = {name: paddle.to_tensor(value) for name, value in inputs.items()}
    with paddle.no_grad():
        outputs = model(**feed)
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    names = task.outputs
    return captured | {name: value.numpy().astype(np.float32) for name, value in zip(names, outputs, strict=False)}


def run_hf(side: Checkpoint, task: Task, hf_config: dict, inputs: dict) -> dict[str, np.ndarray]:
    """Layers and outputs of transformers' model."""
    import torch
    import transformers as library

    model = getattr(library, task.hf_class).from_pretrained(str(side.directory)).float()
    model.eval()
    captured: dict[str, np.ndarray] = {}
    modules = dict(model.named_modules())
    for label, name in layer_names(side.family, task, hf_config, paddle=False).items():
        _watch(modules[name], label, captured, "register_forward_hook")
    feed = {name: torch.tensor(value) for name, value in inputs.items()}
    with torch.no_grad():
        outputs = model(**feed, return_dict=True)
    return captured | {name: outputs[name].numpy() for name in task.outputs}


def torch_is_there() -> bool:
    return all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def hf_config_of(side: Checkpoint, task: Task) -> dict:
    """The complete Hugging Face configuration of either side."""
    from convert.config import to_hf

    entries = side.family.entries(task)
    config = side.config
    if side.paddle:
        config, _ = to_hf(config, {}, entries, str(side.directory / "config.json"), labelled=not task.num_labels)
    return complete(config, entries)


def write_reference(directory: Path, task_name: str | None = None) -> Path:
    """Runs transformers on example inputs and keeps inputs, layers and outputs next to the checkpoint, for verify without torch."""
    side = Checkpoint(directory)
    task = side.family.task(task_name) if task_name else side.task
    config = hf_config_of(side, task)
    inputs = example_inputs(side.family, config, task)
    arrays = {f"{INPUT}{name}": value for name, value in inputs.items()} | run_hf(side, task, config, inputs)
    tensors = [
        (name, "int64" if value.dtype == np.int64 else "float32", value.shape, lambda value=value: value)
        for name, value in arrays.items()
    ]
    safetensors.write(directory / REFERENCE, tensors, {"format": "np"})
    return directory / REFERENCE


def read_reference(directory: Path) -> tuple[dict, dict]:
    """(inputs, layers and outputs) that write_reference kept."""
    arrays = {name: tensor.read() for name, tensor in safetensors.read(directory / REFERENCE).items()}
    inputs = {name.removeprefix(INPUT): value for name, value in arrays.items() if name.startswith(INPUT)}
    return inputs, {name: value for name, value in arrays.items() if not name.startswith(INPUT)}


def verify(first: Path, second: Path) -> Comparison:
    """Compares two checkpoints, each of either library, and adds the figures to the conversion's report.

    Raises: ConvertError where they are of different kinds or sizes, or where what is needed to run one of them is missing.
    """
    sides = [Checkpoint(Path(first)), Checkpoint(Path(second))]
    task = next((side.task for side in sides if side.paddle and side.task), None) or sides[0].task or sides[1].task
    if task is None or sides[0].family is not sides[1].family:
        raise ConvertError(f"{first} and {second} are of different families, or their class is unknown")
    _check_sizes(sides, task)
    config = hf_config_of(next((side for side in sides if not side.paddle), sides[0]), task)
    result = Comparison(str(first), str(second))
    inputs, ready = example_inputs(sides[0].family, config, task), {}
    if not torch_is_there():
        kept = next((side for side in sides if not side.paddle and (side.directory / REFERENCE).is_file()), None)
        if kept:
            inputs, ready[kept] = read_reference(kept.directory)
            result.notes.append(f"torch is not installed: compared with {kept.directory / REFERENCE}")
    a, b = (ready[side] if side in ready else _runner(side)(side, task, config, inputs) for side in sides)
    if any(side.new_head() for side in sides):
        result.notes.append("the head is newly initialised: only the layers below it are compared")
        b = {name: value for name, value in b.items() if name not in task.outputs}
    for name in a:
        if name in b:
            result.differences[name] = difference(a[name], b[name], inputs["attention_mask"])
    record(result, sides)
    return result


def _check_sizes(sides: list[Checkpoint], task: Task) -> None:
    """Raises: ConvertError naming the first tensor of the base model that has another shape on the other side, or is not there."""
    family = sides[0].family
    first, second = (
        {pair.hf: pair.shape for pair in family.pairs(family.task("base"), hf_config_of(side, side.task or task))} for side in sides
    )
    for name in {**first, **second}:
        if first.get(name) != second.get(name):
            shapes = [f"{shape} in" if shape else "not there in" for shape in (first.get(name), second.get(name))]
            raise ConvertError(
                f"the checkpoints are of different sizes, so there is nothing to compare: {name} is {shapes[0]} "
                f"{sides[0].directory}, {shapes[1]} {sides[1].directory}"
            )


def record(comparison: Comparison, sides: list[Checkpoint]) -> None:
    """Writes the figures into the report of the side that was converted from the other, if one was."""
    from dataclasses import fields

    for side in sides:
        path = side.directory / JSON_NAME
        kept = read_json(path) if path.is_file() else {}
        if set(kept) == {item.name for item in fields(Report)}:
            report = Report(**{**kept, "parity": comparison.differences})
            with contextlib.suppress(OSError):  # a read-only checkpoint is compared all the same
                report.write(side.directory)


def _runner(side: Checkpoint) -> Callable:
    if side.paddle:
        return run_paddle
    if torch_is_there():
        return run_hf
    raise ConvertError(
        f"{side.directory}: running it needs torch and transformers: pip install -e '.[verify]'. Without them a file "
        f"{REFERENCE} next to the checkpoint would do, and there is none"
    )


def difference(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Largest absolute difference, and the same relative to the largest value, over positions that are not padding.

    a, b: [b, ...], the second axis s where the tensor has one entry a position; mask: [b, s] or [1, b, s].
    """
    if a.shape != b.shape:
        return {"max_abs": float("inf"), "max_rel": float("inf")}
    mask = mask.reshape(-1, mask.shape[-1])  # the choices of a question are rows inside the model
    if a.shape[:2] == mask.shape:
        a, b = a[mask == 1], b[mask == 1]
    gap = float(np.max(np.abs(a.astype(np.float64) - b), initial=0.0))
    return {"max_abs": gap, "max_rel": gap / max(float(np.max(np.abs(a), initial=0.0)), 1e-12)}
