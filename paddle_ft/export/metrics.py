"""Measure an export on the run's held-out data, with the task's own metrics."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_ft.export.check import export_logits
from paddle_ft.export.graphs import kind_of
from paddle_ft.export.runner import decoders
from paddle_ft.export.runner.tasks import Model
from paddle_ft.tasks.shared.evaluate import evaluate

if TYPE_CHECKING:
    from paddle_ft.data.rows import Rows


def measure(task: Any, model: Model, rows: Rows, split: str, label: str) -> dict[str, float]:
    """Return the metrics of the export on some rows.

    Args:
        task: the task with its model, which computes metrics but no logits.
        model: the loaded export.
        rows: the rows.
        split: name of their split.
        label: name of the progress bar.
    """
    dataset = task.encode(rows, split)
    with _computed_by(task, model):
        metrics = evaluate(task, dataset, label).metrics
    return {name: value for name, value in metrics.items() if isinstance(value, (int, float))}


@contextlib.contextmanager
def _computed_by(task: Any, model: Model) -> Iterator[None]:
    """Let an export compute what the task's model computes in an evaluation."""
    generates = kind_of(task.name) == "seq2seq"
    replaced = {"loss": _loss, "generate": _generate} if generates else {"logits": _logits}
    for name, function in replaced.items():
        setattr(task, name, _bind(function, task, model))
    try:
        yield
    finally:
        for name in replaced:
            delattr(task, name)
        task.model.eval()


def _bind(function: Any, task: Any, model: Model) -> Any:
    return lambda *arguments: function(task, model, *arguments)


def _logits(task: Any, model: Model, batch: dict[str, Any]) -> Any:
    """Return the logits of a batch of an encoder, or of a language model at the batch's positions."""
    import paddle

    arrays = {name: value.numpy() for name, value in batch.items()}
    if task.name == "causal_lm":
        # Padding is on the right here, where no token sees it, so it need not be masked.
        arrays["attention_mask"] = np.ones_like(arrays["input_ids"])
    graph = model.graphs["decoder_first" if task.name == "causal_lm" else "model"]
    return paddle.to_tensor(graph(**{name: arrays[name] for name in graph.inputs})[0])


def _loss(task: Any, model: Model, batch: dict[str, Any]) -> Any:
    """Return the summed cross-entropy of a batch of an encoder-decoder model."""
    import paddle
    import paddle.nn.functional as F

    arrays = {name: batch[name].numpy() for name in ("input_ids", "attention_mask", "labels")}
    sources = [list(ids[mask.astype(bool)]) for ids, mask in zip(arrays["input_ids"], arrays["attention_mask"], strict=True)]
    targets = [list(row[row != -100]) for row in arrays["labels"]]
    logits = export_logits(model, sources, targets)
    return F.cross_entropy(paddle.to_tensor(logits), batch["target_ids"], reduction="sum")


def _generate(task: Any, model: Model, inputs: list[Any], label: str) -> list[str]:
    """Return the text that the export generates for each source."""
    size = task.config.eval.eval_batch_size
    order = sorted(range(len(inputs)), key=lambda i: -len(inputs[i]))
    texts = [""] * len(inputs)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        ids = decoders.generate(model.graphs, [inputs[i] for i in chosen], model.settings)
        for i, text in zip(chosen, task.texts(ids), strict=True):
            texts[i] = text
    return texts
