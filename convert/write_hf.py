"""Convert a Paddle checkpoint to Hugging Face: open it, make the plan, and write the files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from convert.checkpoint import KEPT_FOLDER, PaddleCheckpoint, open_paddle
from convert.family import Family
from convert.files import atomic_directory, sha256_in_background, write_json
from convert.plan import Plan
from convert.plan_to_hf import plan_to_hf
from convert.report import Report
from convert.tensors import write_weights
from convert.tokenizers.to_hf import write_hf_tokenizer


def write_hf(
    source: Path,
    destination: Path,
    families: Mapping[str, Family],
    *,
    task: str = "auto",
    dtype: str = "keep",
    overwrite: bool = False,
    progress: bool = True,
) -> Report:
    """Convert a directory to Hugging Face.

    `families` are the known families by model_type. The other arguments are those of convert.to_hf.
    """
    started = time.perf_counter()
    checkpoint = open_paddle(source, families, task=task)
    plan = plan_to_hf(checkpoint, dtype)
    report = Report.of_plan(
        plan,
        direction="to-hf",
        source=str(source),
        destination=str(destination),
        family=checkpoint.family.model_type,
        task=checkpoint.task.name,
        target_class=checkpoint.task.hf_class,
        dtype=dtype,
    )
    with atomic_directory(destination, source, overwrite=overwrite) as work:
        digests = sha256_in_background(checkpoint.weights.files)
        write_weights(work, plan.writes, made_by="pt", progress=progress)
        _write_config(checkpoint, plan, work, dtype)
        report.tokenizer = write_hf_tokenizer(source, work, source / KEPT_FOLDER)
        report.files = {name: digest.result() for name, digest in digests.items()}
        report.seconds = round(time.perf_counter() - started, 2)
        report.write(work)
    return report


def _write_config(checkpoint: PaddleCheckpoint, plan: Plan, work: Path, dtype: str) -> None:
    """Write config.json and generation_config.json. The fields keep the original's order."""
    config = {**checkpoint.hf_config, **plan.config_changes, "model_type": checkpoint.family.model_type}
    if not checkpoint.converted or dtype != "keep":
        config["torch_dtype"] = dtype if dtype != "keep" else next(iter(checkpoint.weights.tensors.values())).dtype
    write_json(work / "config.json", config)
    if checkpoint.hf_generation:
        write_json(work / "generation_config.json", checkpoint.hf_generation)
