"""Convert a Hugging Face checkpoint to Paddle: open it, make the plan, and write the files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from convert.checkpoint import KEPT_FOLDER, KEPT_TENSORS, HfCheckpoint
from convert.config import ORIGINAL_KEY
from convert.family import Family
from convert.files import atomic_directory, sha256_in_background, write_json
from convert.formats import safetensors
from convert.open_hf import open_hf
from convert.plan_to_paddle import plan_to_paddle
from convert.report import Report, installed_versions
from convert.request import Request
from convert.tensors import write_weights
from convert.tokenizers.to_paddle import count_tokens, write_paddle_tokenizer


def write_paddle(
    source: Path,
    destination: Path,
    families: Mapping[str, Family],
    request: Request,
    *,
    dtype: str = "keep",
    format: str = "safetensors",
    overwrite: bool = False,
    progress: bool = True,
    source_name: str | None = None,
) -> Report:
    """Convert a directory to Paddle.

    `families` are the known families by model_type, `request` is what the user says about the checkpoint, and `source_name` is the
    name of the source in the report (default: its path).
    The other arguments are those of convert.to_paddle.
    """
    started = time.perf_counter()
    checkpoint = open_hf(source, families, request)
    plan = plan_to_paddle(checkpoint, dtype)
    report = Report.of_plan(
        plan,
        direction="to-paddle",
        source=source_name or str(source),
        destination=str(destination),
        family=checkpoint.family.model_type,
        task=checkpoint.task.name,
        target_class=checkpoint.task.paddle_class,
        dtype=dtype,
    )
    report.config_kept_aside = checkpoint.paddle_config.kept_aside
    with atomic_directory(destination, source, checkpoint.directory, overwrite=overwrite) as work:
        digests = sha256_in_background(checkpoint.weights.files)
        write_weights(work, plan.writes, made_by="np", format=format, progress=progress)
        _write_config(checkpoint, work, dtype)
        kept_folder = work / KEPT_FOLDER
        kept_folder.mkdir()
        _keep_ignored_tensors(checkpoint, list(plan.ignored), kept_folder)
        report.tokenizer, notes = write_paddle_tokenizer(checkpoint.tokenizer, work, kept_folder, checkpoint.family)
        report.notes += [*notes, *_tokenizer_too_large(work, checkpoint)]
        report.files = {name: digest.result() for name, digest in digests.items()}
        report.seconds = round(time.perf_counter() - started, 2)
        report.write(work)
    return report


def _write_config(checkpoint: HfCheckpoint, work: Path, dtype: str) -> None:
    """Write Paddle's config.json, with the original inside, and generation_config.json."""
    task, translated = checkpoint.task, checkpoint.paddle_config
    config = {"model_type": checkpoint.family.paddle_type, "architectures": [task.paddle_class], **translated.config}
    if task.num_labels:
        config.update({"num_labels": translated.sizes[task.num_labels], "id2label": None, "label2id": None})
    # the type that from_pretrained computes in: single precision unless the user chose another one, as in transformers
    config["dtype"] = "float32" if dtype == "keep" else dtype
    config["paddlenlp_version"] = installed_versions().get("paddlenlp")
    original = {"model_type": checkpoint.family.model_type, "task": task.name, "untied": task.untied, "config": checkpoint.config}
    config[ORIGINAL_KEY] = original
    if checkpoint.generation:
        config[ORIGINAL_KEY]["generation"] = checkpoint.generation
    write_json(work / "config.json", config)
    if checkpoint.generation or checkpoint.family.seq2seq or task.name == "causal_lm":
        write_json(work / "generation_config.json", translated.generation)


def _tokenizer_too_large(work: Path, checkpoint: HfCheckpoint) -> list[str]:
    """Return a note if the tokenizer has more tokens than the model has embeddings."""
    count, rows = count_tokens(work), checkpoint.paddle_config.sizes["vocab_size"]
    if count <= rows:
        return []
    return [f"the tokenizer has {count} tokens, but the model's embedding only {rows} rows: they do not belong together"]


def _keep_ignored_tensors(checkpoint: HfCheckpoint, names: Sequence[str], folder: Path) -> None:
    """Store the tensors that Paddle's class has no place for, so that the conversion back is complete."""
    if names:
        tensors = [checkpoint.weights.tensors[name] for name in names]
        entries = [(tensor.name, tensor.dtype, tensor.shape, tensor.read) for tensor in tensors]
        safetensors.write(folder / KEPT_TENSORS, entries, {"format": "pt"})
