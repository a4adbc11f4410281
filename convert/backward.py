"""Paddle -> Hugging Face: one directory."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convert import config as configuration
from convert.config import KEPT
from convert.directories import whole_directory
from convert.dtypes import cast
from convert.errors import ConvertError
from convert.family import family_of
from convert.formats import StoredTensor, safetensors
from convert.forward import KEPT_FOLDER, KEPT_TENSORS, is_paddle
from convert.parity import task_of
from convert.plan import initial, same, spellings, target_dtype
from convert.report import JSON_NAME, Report, versions
from convert.rules import Pair
from convert.tensors import SAFETENSORS, open_weights, read_json, sha256_in_background
from convert.tokenization import write_hf_tokenizer


class PaddleSource:
    """A Paddle checkpoint, opened and matched with the rules, with nothing loaded."""

    def __init__(self, directory: Path, task: str = "auto"):
        """Raises: ConvertError listing every tensor without a place and every place without a tensor."""
        if not directory.is_dir():
            raise ConvertError(f"{directory}: no such directory")
        self.directory, self.where = directory, str(directory / "config.json")
        self.config = read_json(directory / "config.json")
        if not is_paddle(directory):
            raise ConvertError(f"{directory}: not a Paddle checkpoint; to-paddle leads the other way")
        self.family = family_of(self.config, self.where, paddle=True)
        self.task = self.family.task(task) if task != "auto" else task_of(self.config, self.family, paddle=True)
        if self.task is None:
            known = ", ".join(dict.fromkeys(task.paddle_class for task in self.family.tasks))
            raise ConvertError(f"{self.where}: architectures names no class that transformers has too ({known}); say --task")
        self.kept = self.config.get(KEPT, {})
        if not isinstance(self.kept, dict) or not all(isinstance(self.kept.get(x, {}), dict) for x in ("config", "generation")):
            raise ConvertError(f"{self.where}: {KEPT} must hold what to-paddle kept of the original; remove it if it is damaged")
        generation = directory / "generation_config.json"
        generation = read_json(generation) if generation.is_file() else {}
        entries = self.family.entries(self.task)
        self.hf_config, self.hf_generation = configuration.to_hf(
            self.config, generation, entries, self.where, labelled=not self.task.num_labels
        )
        sizes = configuration.complete(self.hf_config, entries)
        self.tie = bool(sizes["tie_word_embeddings"])
        self.pairs = self.family.pairs(self.task, sizes)
        self.weights = open_weights(directory)
        self.stored = self._match()
        self.whole = False

    def _match(self) -> dict[str, StoredTensor]:
        """Paddle's tensors by their name in the class; shared parameters must agree under all their names."""
        known = {name for pair in self.pairs for name in (*pair.paddle, *pair.paddle_also)}
        found, problems = {}, []
        for name, tensor in self.weights.tensors.items():
            form = next((form for form in spellings(name, self.family.paddle_prefix) if form in known), None)
            if form is None or form in found:
                problems.append(f"{name} {tensor.shape}: no place for it in {self.task.hf_class}")
            else:
                found[form] = tensor
        for pair in self.pairs:
            held = [name for name in (pair.paddle[0], *pair.paddle_also) if name in found]
            if held:
                found.setdefault(pair.paddle[0], found[held[0]])
            problems += [f"{name} {pair.paddle_shape}: missing" for name in pair.paddle if name not in found]
            for name in (*pair.paddle, *held):
                if name in found and found[name].shape != pair.paddle_shape:
                    problems.append(f"{name}: shape {found[name].shape}, the configuration makes it {pair.paddle_shape}")
            problems += [f"{name}: differs from {held[0]}, of which it is another name" for name in held[1:]
                         if found[name].shape == found[held[0]].shape and not same(found[name], found[held[0]])]  # fmt: skip
            if pair.paddle_only and pair.paddle[0] in found and found[pair.paddle[0]].read().any():
                problems.append(f"{pair.paddle[0]}: was trained, and {self.task.hf_class} has no such tensor")
        if problems:
            raise ConvertError(
                f"{self.directory}: the tensors do not fit {self.task.hf_class}; nothing was written:\n  "
                + "\n  ".join(dict.fromkeys(problems))
            )
        return found


def to_hf(
    source: Path,
    destination: Path,
    *,
    task: str = "auto",
    dtype: str = "keep",
    overwrite: bool = False,
    progress: bool = True,
) -> Report:
    """Converts a directory; see convert.to_hf for the arguments."""
    started = time.perf_counter()
    opened = PaddleSource(source, task)
    with whole_directory(destination, source, overwrite=overwrite) as work:
        digests = sha256_in_background(opened.weights.files)
        report = Report(
            "to-hf", str(source), str(destination), opened.family.model_type, opened.task.name, opened.task.hf_class,
            dtype, versions=versions(),
        )  # fmt: skip
        tensors = _written(opened, dtype, report)
        total = sum(int(np.prod(shape)) * 4 for _, _, shape, _ in tensors)
        with tqdm(total=total, unit="B", unit_scale=True, desc="converting", disable=not progress, leave=False) as bar:
            safetensors.write(work / SAFETENSORS, tensors, {"format": "pt"}, bar.update)
        _write_config(opened, work, dtype)
        report.tokenizer = write_hf_tokenizer(source, work, source / KEPT_FOLDER)
        report.files = {name: future.result() for name, future in digests.items()}
        report.seconds = round(time.perf_counter() - started, 2)
        report.write(work)
    return report


def _origin(opened: PaddleSource) -> dict:
    """What the conversion's report says about the tensors there were: name in the class -> (name in the file, type)."""
    path = opened.directory / JSON_NAME
    report = read_json(path) if path.is_file() else {}
    if report.get("target_class") != opened.task.paddle_class:
        return {}
    try:
        return {entry["name"]: (name, entry["dtype"]) for name, entry in report["tensors"].items()}
    except (KeyError, TypeError, AttributeError):
        raise ConvertError(f"{path}: damaged; remove it to convert without what it tells of the original") from None


def _written(opened: PaddleSource, dtype: str, report: Report) -> list[tuple]:
    """(name, type, shape, producer) of everything the Hugging Face file holds, in the original's order where there was one."""
    origin = _origin(opened)
    by_hf = {pair.hf: pair for pair in opened.pairs}
    drifted = [pair for pair in opened.pairs if _drifted(opened, pair, by_hf)]
    if drifted:
        opened.hf_config["tie_word_embeddings"] = False
        opened.tie = False
        names = ", ".join(pair.hf for pair in drifted)
        report.notes.append(f"{names} has drifted from the embedding: exported untied (tie_word_embeddings = false)")
    result = {}
    for pair in opened.pairs:
        if pair.paddle_only:
            continue
        wanted = [name for name in (pair.hf, *pair.hf_also) if name in origin]
        if not wanted and pair.optional and np.array_equal(opened.stored[pair.paddle[0]].read(), initial(pair, 0.0)):
            continue  # leaving it out means the same
        if origin and not wanted and pair.group in opened.task.spare:
            continue  # the original did without, and nothing depends on it
        if not origin and pair.group in opened.task.spare:
            report.ignored.update(dict.fromkeys(pair.paddle, f"{opened.task.hf_class} has no {pair.group}"))
            continue
        tied = pair.tied_to is not None and opened.tie
        if not wanted and not tied:
            wanted = [pair.hf]
        if not opened.tie and (drifted or not origin) and (pair.hf_also or pair.tied_to):
            wanted = [pair.hf, *pair.hf_also]
        held = [opened.stored[name] for name in pair.paddle]
        for name in wanted:
            file_name, _ = origin.get(name, (name, None))
            kind = target_dtype(held[0].dtype, dtype)
            result[file_name] = (file_name, kind, pair.shape, _producer(pair, held, kind))
        how = "transposed" if pair.transpose else "joined" if len(pair.paddle) > 1 else "copied"
        for name, tensor in zip(pair.paddle, held, strict=True):
            report.tensors[name] = {
                "becomes": wanted, "how": f"{pair.layer}, {how}" if wanted else f"tied to {pair.tied_to}",
                "shape": list(tensor.shape), "dtype": tensor.dtype, "name": name,
            }  # fmt: skip
    extra = opened.directory / KEPT_FOLDER / KEPT_TENSORS
    if origin and extra.is_file():
        for name, tensor in safetensors.read(extra).items():
            result.setdefault(name, (name, tensor.dtype, tensor.shape, tensor.read))
            report.filled_otherwise[name] = "kept aside by the conversion to Paddle"
        opened.whole = not drifted  # every tensor of the original is there again, other heads' too
    return list(result.values())


def _drifted(opened: PaddleSource, pair: Pair, by_hf: dict[str, Pair]) -> bool:
    """Whether a parameter that transformers would tie holds another value than what it would be tied to."""
    if not opened.tie or pair.tied_to is None:
        return False
    original = opened.stored[by_hf[pair.tied_to].paddle[0]]
    return not same(opened.stored[pair.paddle[0]], original, transpose=pair.transpose)


def _producer(pair: Pair, held: Sequence[StoredTensor], kind: str):
    return lambda: cast(pair.to_hf([tensor.read() for tensor in held]), held[0].dtype, kind)


def _write_config(opened: PaddleSource, work: Path, dtype: str) -> None:
    """Fields keep their places; only what no longer holds is changed."""
    config = dict(opened.hf_config)
    if not opened.whole and (config.get("architectures") or [None])[0] != opened.task.hf_class:
        config["architectures"] = [opened.task.hf_class]
    config["model_type"] = opened.family.model_type
    if not opened.kept or dtype != "keep":
        config["torch_dtype"] = dtype if dtype != "keep" else next(iter(opened.weights.tensors.values())).dtype
    (work / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if opened.hf_generation:
        text = json.dumps(opened.hf_generation, indent=2, ensure_ascii=False) + "\n"
        (work / "generation_config.json").write_text(text, encoding="utf-8")
