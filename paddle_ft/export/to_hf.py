"""Export a run's model for transformers, by the converter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from convert import ConvertError, to_hf, to_paddle, verify
from convert.outputs import torch_is_installed
from paddle_ft.export.check import VerificationError, describe_latency, time_model
from paddle_ft.export.graphs import KINDS
from paddle_ft.export.samples import Samples, choose_samples
from paddle_ft.system.errors import UserError
from paddle_ft.system.progress import print_info


def export_to_hf(task: Any, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Write a model into a folder as a Hugging Face checkpoint, verify it, and return what was found, for people and as figures.

    With torch, transformers computes the comparison, and its predictions and their time are compared with the model's too. Without
    it, the checkpoint is converted back and Paddle computes both.

    Args:
        task: the task with its model.
        folder: an existing, empty folder.

    Raises:
        UserError: the converter does not know the model.
        VerificationError: the outputs differ.
    """
    if hasattr(task.model, "pooling"):
        raise UserError("export: transformers has no class with the LSTM attention head (model.pooling): use --to inference.")
    computed = torch_is_installed()
    samples = choose_samples(task) if computed and task.name in KINDS else None
    model_seconds = None if samples is None else time_model(task, samples)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        saved, back = Path(temporary, "paddle"), Path(temporary, "back")
        saved.mkdir()
        task.bundle.save(saved)
        try:
            print_info("writing the checkpoint for transformers")
            to_hf(saved, folder, overwrite=True)
            print_info("comparing all layers and outputs" + ("" if computed else ", converted back because torch is not installed"))
            if computed:
                result, how = verify(saved, folder), "computed by transformers"
            else:
                to_paddle(folder, back, progress=False)
                result, how = verify(saved, back), "converted back and computed by Paddle, because torch is not installed"
        except ConvertError as error:
            raise UserError(f"export: {error}") from None
    if not result.equal:
        difference = result.differences[str(result.diverging)]["max_abs"]
        raise VerificationError(
            f"export: the verification failed, nothing is kept: {result.diverging} differs from the model's by {difference:.3g}."
        )
    largest = max(values["max_abs"] for values in result.differences.values())
    outputs = f"all {len(result.differences)} layers and outputs equal, largest difference {largest:.2g}"
    lines = [f"verified on a padded batch of synthetic ids, {how}: {outputs}"]
    if samples is None or model_seconds is None:
        reason = "this task is not known here" if computed else "torch and transformers are not installed"
        return [*lines, f"predictions and latency: not compared, because {reason}"], {"difference": largest}
    more, figures = _measure(task, folder, samples, model_seconds)
    return lines + more, {"difference": largest, **figures}


def _measure(task: Any, folder: Path, samples: Samples, model_seconds: float) -> tuple[list[str], dict[str, Any]]:
    """Compare the predictions of transformers and their time with the model's. Return what was found as `export_to_hf` does."""
    from paddle_ft.export.in_transformers import HfModel, compare_predictions, time_predictions

    print_info(f"comparing predictions on {samples.origin}")
    model = HfModel(task, folder)
    equal = compare_predictions(task, model, samples)
    seconds = time_predictions(task, model, samples)
    lines = [f"predictions of transformers on {len(equal)} padded inputs, {samples.origin}: {sum(equal)} of {len(equal)} equal",
             describe_latency(seconds, model_seconds, len(equal))]  # fmt: skip
    figures = {"equal": sum(equal), "inputs": len(equal), "latency_ms": seconds * 1000, "model_latency_ms": model_seconds * 1000}
    return lines, figures
