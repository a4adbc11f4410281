"""Compute the predictions of an exported checkpoint with transformers, to compare them and their speed with the run's model."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from paddle_ft.export.check import GENERATING, compare_encoder, generate_with_model, median_time, time_export
from paddle_ft.export.graphs import kind_of
from paddle_ft.export.runner import decoders
from paddle_ft.export.samples import Samples
from paddle_ft.export.settings import search_settings
from paddle_ft.system.files import read_object


class HfModel:
    """A checkpoint in transformers.

    Attributes:
        graphs: {"model": computes the logits of an encoder}, as the runner of the other exports has it.
    """

    def __init__(self, task: Any, folder: Path):
        """Load a checkpoint.

        Args:
            task: the task of the run that it was exported from, with its model.
            folder: the checkpoint.
        """
        import transformers

        (name,) = read_object(folder / "config.json")["architectures"]
        self._model = getattr(transformers, name).from_pretrained(str(folder)).float().eval()
        self._kind, config = kind_of(task.name), task.model.config
        self._pad = config.pad_token_id
        self.graphs = {"model": self._logits}
        if self._kind in GENERATING:
            search = {name: value for name, value in search_settings(task).items() if value is not None}
            self._eos = search.get("eos_token_id")
            start = {"decoder_start_token_id": config.decoder_start_token_id} if self._kind == "seq2seq" else {}
            self._model.generation_config = transformers.GenerationConfig(**search, **start, pad_token_id=self._pad)

    def _logits(self, **batch: np.ndarray) -> list[np.ndarray]:
        """Return the logits of an encoder for a batch of check.encoder_batch, at its positions if it has some."""
        import torch

        taken = inspect.signature(self._model.forward).parameters
        with torch.no_grad():
            logits = self._model(**{name: torch.tensor(value) for name, value in batch.items() if name in taken}).logits.numpy()
        return [logits.reshape([-1, logits.shape[-1]])[batch["positions"]] if "positions" in batch else logits]

    def generate(self, rows: list[list[int]]) -> list[list[int]]:
        """Return the ids that transformers' own search generates for sources or prompts, in one batch, without padding."""
        import torch

        left = self._kind == "causal_lm"
        ids, mask = decoders.pad(rows, self._pad, left=left)
        with torch.no_grad():
            found = self._model.generate(torch.tensor(ids), attention_mask=torch.tensor(mask)).tolist()
        start = ids.shape[1] if left else 1
        padding = mask.argmax(axis=1) if left else np.zeros(len(ids), dtype=np.int64)
        return [row[skipped : _end(row, start, self._eos)] for row, skipped in zip(found, padding, strict=True)]


def _end(ids: list[int], start: int, eos: int | None) -> int:
    """Return the length of a sequence up to its first end token after `start`, which is part of it."""
    return ids.index(eos, start) + 1 if eos in ids[start:] else len(ids)


def compare_predictions(task: Any, model: HfModel, samples: Samples) -> list[bool]:
    """Return whether the prediction of each sample is that of the task's model: label, filled tokens or generated ids."""
    import paddle

    task.model.eval()
    with paddle.no_grad():
        if kind_of(task.name) not in GENERATING:
            return compare_encoder(task, model, samples)[-1]
        pairs = zip(generate_with_model(task, samples.ids), model.generate(samples.ids), strict=True)
    return [ours == theirs for ours, theirs in pairs]


def time_predictions(task: Any, model: HfModel, samples: Samples) -> float:
    """Return the median time in seconds of transformers on the samples as one batch: a forward pass, or the generation."""
    if kind_of(task.name) in GENERATING:
        return median_time(lambda: model.generate(samples.ids))
    return time_export(task, model, samples)
