"""Hugging Face -> Paddle: one directory."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from convert import config as configuration
from convert.config import KEPT
from convert.directories import whole_directory
from convert.dtypes import cast, item_size
from convert.errors import ConvertError
from convert.family import Task, family_of
from convert.formats import StoredTensor, pdparams, safetensors
from convert.plan import Plan, initial, plan_to_paddle, target_dtype, task_of_checkpoint
from convert.report import Report, versions
from convert.rules import Pair
from convert.tensors import PDPARAMS, SAFETENSORS, open_weights, read_json, sha256_in_background
from convert.tokenization import write_paddle_tokenizer

KEPT_FOLDER = "huggingface"  # files of the source that Paddle has no use for and the way back wants
KEPT_TENSORS = "ignored_tensors.safetensors"


def is_paddle(directory: Path) -> bool:
    """Whether the directory holds a Paddle checkpoint (else: Hugging Face's layout)."""
    if (directory / PDPARAMS).is_file() or (directory / f"{PDPARAMS}.index.json").is_file():
        return True
    config = read_json(directory / "config.json")
    return KEPT in config or "paddlenlp_version" in config


class Source:
    """A Hugging Face checkpoint, opened and understood, with nothing loaded: what to-paddle and inspect both need."""

    def __init__(self, directory: Path, task: str, keep_fields: Sequence[str] = (), *, plan: bool = True):
        """Raises: ConvertError where the checkpoint cannot be represented in PaddleNLP."""
        self.directory = directory
        self.where = str(directory / "config.json")
        if not directory.is_dir():
            raise ConvertError(f"{directory}: no such directory")
        self.config = read_json(directory / "config.json")
        if is_paddle(directory):
            raise ConvertError(f"{directory}: already a Paddle checkpoint; to-hf leads the other way")
        generation = directory / "generation_config.json"
        self.generation = read_json(generation) if generation.is_file() else {}
        self.family = family_of(self.config, self.where, paddle=False)
        self.weights = open_weights(directory)
        self.asked = task != "auto"
        self.keep_fields = (*self.family.harmless, *keep_fields)
        self._translate(self.family.task(task) if self.asked else self._detect())
        if plan:
            self.plan = self.plan_for(self.task)

    def _detect(self) -> Task:
        sizes = self._sizes(self.family.task("base"))
        return task_of_checkpoint(self.family, self.config, self.weights.tensors, sizes, self.where)

    def _sizes(self, task: Task) -> dict:
        entries = self.family.entries(task)
        return configuration.to_paddle(self.config, self.generation, entries, self.keep_fields, self.where).sizes

    def _translate(self, task: Task) -> None:
        """Settles on the task's class, or on the one for untied heads where the checkpoint needs it."""
        if task.refused:
            raise ConvertError(f"{self.directory}: {task.refused}")
        untied = self.family.task(task.name, untied=True)
        if untied.untied and self._head_differs(task):
            task = untied
        self.task = task
        self.translated = configuration.to_paddle(
            self.config, self.generation, self.family.entries(task), self.keep_fields, self.where
        )

    def _head_differs(self, task: Task) -> bool:
        if self.config.get("tie_word_embeddings", True):
            return False
        tensors, prefix = self.weights.tensors, self.family.hf_prefix
        for pair in self.family.pairs(task, self._sizes(task)):
            held = [tensors[name] for name in (pair.hf, pair.hf.removeprefix(prefix), *pair.hf_also) if name in tensors]
            if pair.hf_also and any(held[0].read().tobytes() != other.read().tobytes() for other in held[1:]):
                return True
        return False

    def plan_for(self, task: Task) -> Plan:
        tensors, sizes = self.weights.tensors, self.translated.sizes
        return plan_to_paddle(tensors, self.family, task, sizes, asked=self.asked, where=str(self.directory))


def to_paddle(
    source: Path,
    destination: Path,
    *,
    task: str = "auto",
    dtype: str = "keep",
    format: str = "safetensors",
    overwrite: bool = False,
    keep_fields: Sequence[str] = (),
    progress: bool = True,
    name: str | None = None,
) -> Report:
    """Converts a directory; see convert.to_paddle for the arguments. `name`: what the report calls the source."""
    started = time.perf_counter()
    opened = Source(source, task, keep_fields)
    with whole_directory(destination, source, overwrite=overwrite) as work:
        digests = sha256_in_background(opened.weights.files)
        report = _report(opened, name or str(source), destination, dtype)
        written = _written(opened, dtype)
        total = sum(size for *_, size in written)
        with tqdm(total=total, unit="B", unit_scale=True, desc="converting", disable=not progress, leave=False) as bar:
            tensors = [entry[:4] for entry in written]
            if format in ("safetensors", "both"):
                safetensors.write(work / SAFETENSORS, tensors, {"format": "np"}, bar.update)
            if format in ("pdparams", "both"):
                pdparams.write(work / PDPARAMS, tensors, bar.update)
        _write_config(opened, work, dtype)
        (work / KEPT_FOLDER).mkdir()
        _keep_aside(opened, work / KEPT_FOLDER)
        report.tokenizer = write_paddle_tokenizer(source, work, work / KEPT_FOLDER, opened.config, opened.family)
        report.notes += report.tokenizer.pop("notes", [])
        report.files = {name: future.result() for name, future in digests.items()}
        report.seconds = round(time.perf_counter() - started, 2)
        report.write(work)
    return report


def _written(opened: Source, dtype: str) -> list[tuple]:
    """(name, type, shape, producer, bytes) of everything in Paddle's state dict, shared parameters under each of their names."""
    plan, tensors = opened.plan, opened.weights.tensors
    common = _widest({tensor.dtype for tensor in tensors.values()})
    std = opened.translated.sizes.get("initializer_range", opened.translated.sizes.get("init_std", 0.02))
    result = []
    for pair, held in plan.sources.items():
        original = plan.tied.get(pair)
        stored = tensors[held[0]] if held else tensors[plan.sources[original][0]] if original else None
        source_dtype = stored.dtype if stored else "int64" if pair.init == "positions" else common
        kind = target_dtype(source_dtype, dtype)
        parameters = _parameters(pair, stored, kind, std)
        names = [*zip(pair.paddle, parameters, strict=True), *((also, parameters[0]) for also in pair.paddle_also)]
        size = item_size(kind) * int(_count(pair.paddle_shape))
        result += [(name, kind, pair.paddle_shape, produce, size) for name, produce in names]
    return result


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def _parameters(pair: Pair, stored: StoredTensor | None, kind: str, std: float) -> list:
    """One function a Paddle parameter; each reads the source again, so that no two tensors are in memory."""

    def produce(part: int):
        if stored is None:
            start = initial(pair, std)
            return cast(pair.to_paddle(start)[part], start.dtype.name, kind)
        return cast(pair.to_paddle(stored.read())[part], stored.dtype, kind)

    return [lambda part=part: produce(part) for part in range(len(pair.paddle))]


def _widest(dtypes: set[str]) -> str:
    """The type for tensors that no tensor of the file gives one."""
    return next((name for name in ("float64", "float32", "bfloat16", "float16") if name in dtypes), "float32")


def _write_config(opened: Source, work: Path, dtype: str) -> None:
    task, translated = opened.task, opened.translated
    config = {"model_type": opened.family.paddle_type, "architectures": [task.paddle_class], **translated.config}
    if task.num_labels:
        config.update({"num_labels": translated.sizes[task.num_labels], "id2label": None, "label2id": None})
    # what a plain from_pretrained computes in: as transformers does, single precision unless another was asked for
    config["dtype"] = "float32" if dtype == "keep" else dtype
    config["paddlenlp_version"] = versions().get("paddlenlp")
    config[KEPT] = {"task": task.name, "untied": task.untied, "config": opened.config}
    if opened.generation:
        config[KEPT]["generation"] = opened.generation
    _dump(work / "config.json", config)
    if opened.generation or opened.family.seq2seq or task.name == "causal_lm":
        _dump(work / "generation_config.json", translated.generation)


def _dump(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _keep_aside(opened: Source, folder: Path) -> None:
    """Ignored tensors, so that the way back is complete."""
    ignored = [opened.weights.tensors[name] for name in opened.plan.ignored]
    if ignored:
        tensors = [(t.name, t.dtype, t.shape, t.read) for t in ignored]
        safetensors.write(folder / KEPT_TENSORS, tensors, {"format": "pt"})


def _report(opened: Source, name: str, destination: Path, dtype: str) -> Report:
    plan, task = opened.plan, opened.task
    report = Report(
        "to-paddle", name, str(destination), opened.family.model_type, task.name, task.paddle_class, dtype,
        ignored=dict(plan.ignored), config_kept_aside=opened.translated.kept_aside, versions=versions(),
        notes=[*([task.note] if task.note else []), *opened.translated.notes, *plan.notes],
    )  # fmt: skip
    for pair, held in plan.sources.items():
        how = "transposed" if pair.transpose else f"split into {len(pair.paddle)}" if len(pair.paddle) > 1 else "copied"
        becomes = [*pair.paddle, *pair.paddle_also]
        for source_name in held:
            tensor = opened.weights.tensors[source_name]
            report.tensors[source_name] = {
                "becomes": becomes, "how": f"{pair.layer}, {how}", "shape": list(tensor.shape), "dtype": tensor.dtype,
                "name": next(form for form, stored in plan.names.items() if stored == source_name),
            }  # fmt: skip
        if not held and pair in plan.initialised:
            report.initialised += becomes
        elif not held:
            value = f"tied to {plan.tied[pair].hf}" if pair in plan.tied else f"{pair.init}, which its absence means"
            report.filled_otherwise.update(dict.fromkeys(becomes, value))
    spare = [name for pair in plan.initialised if pair.group in task.spare for name in pair.paddle]
    if spare:
        report.notes.append(f"no output of this task depends on the newly initialised {', '.join(spare)}")
    return report
