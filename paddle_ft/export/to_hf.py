"""Export a run's model for transformers, by the converter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from convert import ConvertError, to_hf, to_paddle, verify
from convert.outputs import torch_is_installed
from paddle_ft.export.check import VerificationError
from paddle_ft.system.errors import UserError


def export_to_hf(task: Any, folder: Path) -> list[str]:
    """Write a model into a folder as a Hugging Face checkpoint, verify it, and return what was found.

    With torch, transformers computes the comparison. Without it, the checkpoint is converted back and Paddle computes both.

    Args:
        task: the task with its model.
        folder: an existing, empty folder.

    Raises:
        UserError: the converter does not know the model.
        VerificationError: the outputs differ.
    """
    if hasattr(task.model, "pooling"):
        raise UserError("export: transformers has no class with the LSTM attention head (model.pooling): use --to inference.")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        saved, back = Path(temporary, "paddle"), Path(temporary, "back")
        saved.mkdir()
        task.bundle.save(saved)
        try:
            to_hf(saved, folder, overwrite=True)
            if torch_is_installed():
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
    return [f"verified on a padded batch of synthetic ids, {how}: {outputs}", "latency: not measured for this format"]
