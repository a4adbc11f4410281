"""Compare an export with the model that it was made of, on a padded batch, and measure both.

The reference is Paddle's dynamic model: its full forward pass for the logits, and paddle_ft's own search for generated ids. The
export is run by the very files that are shipped with it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from paddle_ft.export.graphs import kind_of
from paddle_ft.export.runner import decoders
from paddle_ft.export.runner.tasks import Model
from paddle_ft.export.samples import Samples
from paddle_ft.system.errors import FTError

TOLERANCE = 1e-4  # largest difference of a logit, as a share of the largest logit (at least 1)
SECONDS, MOST_REPEATS, FEWEST_REPEATS = 2.0, 50, 5  # of a latency measurement
GENERATING = ("seq2seq", "causal_lm")  # the kinds that write texts


class VerificationError(FTError):
    """An export does not compute what the run's model computes."""


@dataclass(frozen=True)
class Check:
    """The comparison of an export with its model.

    Attributes:
        tensor: name of the compared tensor.
        difference: its largest absolute difference.
        largest: the largest absolute value of the model's tensor.
        equal: number of inputs with the same prediction: label, tokens, or generated ids.
        inputs: number of inputs.
        origin: where the inputs come from.
    """

    tensor: str
    difference: float
    largest: float
    equal: int
    inputs: int
    origin: str

    @property
    def tolerance(self) -> float:
        """The largest difference that is taken for rounding."""
        return TOLERANCE * max(1.0, self.largest)

    def require_equal(self, hint: str = "") -> None:
        """Raise VerificationError unless the export computes the same. `hint` says what to do if the tensor differs."""
        if not self.difference <= self.tolerance:  # also if it is NaN
            raise VerificationError(
                f"export: the verification failed, nothing is kept: {self.tensor} differs from the model's by {self.difference:.3g}"
                f" (at most {self.tolerance:.1g} is rounding) on {self.origin}.{hint}"
            )
        if self.equal < self.inputs:
            raise VerificationError(
                f"export: the verification failed, nothing is kept: {self.inputs - self.equal} of {self.inputs} predictions differ"
                f" from the model's on {self.origin}, although {self.tensor} differs by {self.difference:.3g} only."
            )


def compare(task: Any, model: Model, samples: Samples) -> Check:
    """Compare the export with the task's model.

    Args:
        task: the task with its model.
        model: the loaded export.
        samples: the inputs.
    """
    import paddle

    task.model.eval()
    with paddle.no_grad():
        compare_kind = _compare_generated if kind_of(task.name) in GENERATING else compare_encoder
        tensor, expected, actual, equal = compare_kind(task, model, samples)
    difference = float(np.abs(expected - actual).max()) if np.isfinite(actual).all() else float("nan")
    same = np.array(equal)
    if samples.texts is not None:
        ours, theirs = task.predict(samples.texts, "predict"), model.predict(samples.texts)
        task.model.eval()
        same &= [a["prediction"] == b["prediction"] for a, b in zip(ours, theirs, strict=True)]
    return Check(tensor, difference, float(np.abs(expected).max()), int(same.sum()), len(same), samples.origin)


# ---------------------------------------------------------------------------------------------------- encoders
def encoder_batch(task: Any, samples: Samples) -> dict[str, np.ndarray]:
    """Return the samples of a classifier or masked language model as one padded batch."""
    ids, mask = decoders.pad(samples.ids, task.model.config.pad_token_id)
    if task.name == "masked_lm":
        positions = np.flatnonzero(ids.reshape(-1) == task.tokenizer.mask_token_id)
        return {"input_ids": ids, "attention_mask": mask, "positions": positions}
    batch = {"input_ids": ids, "attention_mask": mask}
    if task.token_types:
        starts = np.array(samples.second_starts if samples.second_starts else mask.sum(axis=1))
        batch["token_type_ids"] = (np.arange(ids.shape[1]) >= starts[:, None]) * mask
    return batch


def compare_encoder(task: Any, model: Any, samples: Samples) -> tuple[str, np.ndarray, np.ndarray, list[bool]]:
    """Compare the logits of a classifier or masked language model, and the labels or tokens that they predict.

    Args:
        task: the task with its model.
        model: what has the export's graph "model".
        samples: the inputs.

    Returns:
        The tensor's name, its values of the task's model and of the export, and for each input whether the predictions are equal.
    """
    batch = encoder_batch(task, samples)
    expected = task.logits(_tensors(batch)).numpy()
    (actual,) = model.graphs["model"](**batch)
    best = expected.argmax(axis=-1) == actual.argmax(axis=-1)
    if task.name != "masked_lm":
        return "logits", expected, actual, list(best)
    rows = batch["positions"] // batch["input_ids"].shape[1]
    return "logits", expected, actual, [bool(best[rows == row].all()) for row in range(len(samples.ids))]


# ---------------------------------------------------------------------------------------------------- generation
def _compare_generated(task: Any, model: Model, samples: Samples) -> tuple[str, np.ndarray, np.ndarray, list[bool]]:
    """Compare the generated ids, and the logits after each token that the model itself generates."""
    expected_ids = generate_with_model(task, samples.ids)
    actual_ids = generate_with_export(model, samples.ids)
    prompts = [1 if model.settings["kind"] == "seq2seq" else len(ids) for ids in samples.ids]
    expected = model_logits(task, samples.ids, expected_ids, prompts)
    actual = export_logits(model, samples.ids, [ids[p:] for ids, p in zip(expected_ids, prompts, strict=True)])
    return "logits", expected, actual, [a == b for a, b in zip(expected_ids, actual_ids, strict=True)]


def generate_with_model(task: Any, rows: list[list[int]]) -> list[list[int]]:
    """Return the ids that paddle_ft generates for sources or prompts, in one batch."""
    from paddle_ft.export.settings import search_options
    from paddle_ft.generation import generate_all

    return [ids for ids, *_ in generate_all(task.model, rows, search_options(task), len(rows))]


def generate_with_export(model: Model, rows: list[list[int]]) -> list[list[int]]:
    """Return the ids that the export generates for sources or prompts, in one batch."""
    return decoders.generate(model.graphs, rows, model.settings)


def model_logits(task: Any, sources: list[list[int]], sequences: list[list[int]], prompts: list[int]) -> np.ndarray:
    """Return the logits [n, v] after each token of the sequences from the last one of the prompt on, by full forward passes.

    Args:
        task: the task with its model.
        sources: ids of each source (of the prompt, for a decoder-only model).
        sequences: ids of the decoder.
        prompts: number of tokens that each decoder starts with.
    """
    inputs = [ids[:-1] for ids in sequences]
    ids, _ = decoders.pad(inputs, task.model.config.pad_token_id)
    width = ids.shape[1]
    positions = [row * width + at for row, (start, read) in enumerate(zip(prompts, inputs, strict=True))
                 for at in range(start - 1, len(read))]  # fmt: skip
    architecture = task.bundle.architecture
    if task.name == "causal_lm":
        batch = _tensors({"input_ids": ids, "positions": np.array(positions)})
        return architecture.causal_lm_logits(task.model, **batch).numpy()
    source_ids, mask = decoders.pad(sources, task.model.config.pad_token_id)
    batch = {"input_ids": source_ids, "attention_mask": mask, "decoder_input_ids": ids, "target_positions": np.array(positions)}
    return architecture.seq2seq_logits(task.model, _tensors(batch)).numpy()


def export_logits(model: Model, sources: list[list[int]], continuations: list[list[int]]) -> np.ndarray:
    """Return the logits [n, v] for each token of the continuations, by the export's decoders and their cache.

    Args:
        model: the loaded export.
        sources: ids of each source or prompt.
        continuations: the tokens that follow the start token or the prompt.
    """
    settings = model.settings
    if settings["kind"] == "seq2seq":
        decoder: Any = decoders.EncoderDecoder(
            model.graphs, *decoders.pad(sources, settings["pad_token_id"]), settings["decoder_start_token_id"]
        )
    else:
        decoder = decoders.DecoderOnly(model.graphs, *decoders.pad(sources, settings["pad_token_id"], left=True))
    tokens, mask = decoders.pad(continuations, settings["pad_token_id"])
    steps = [decoder.logits]
    steps += [decoder.step(tokens[:, [number]])[:, 0] for number in range(tokens.shape[1] - 1)]
    return np.stack(steps, axis=1)[mask.astype(bool)]


def _tensors(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    import paddle

    return {name: paddle.to_tensor(value) for name, value in batch.items()}


# ---------------------------------------------------------------------------------------------------- latency
def time_model(task: Any, samples: Samples) -> float:
    """Return the median time in seconds of the task's model on the samples as one batch: a forward pass, or the generation.

    Call this before the export is loaded, whose threads would compete with the model's.
    """
    import paddle

    task.model.eval()
    with paddle.no_grad():
        if kind_of(task.name) in GENERATING:
            return median_time(lambda: generate_with_model(task, samples.ids))
        batch = encoder_batch(task, samples)
        return median_time(lambda: task.logits(_tensors(batch)).numpy())


def time_export(task: Any, model: Any, samples: Samples) -> float:
    """Return the median time in seconds of the export on the same batch."""
    if kind_of(task.name) in GENERATING:
        return median_time(lambda: generate_with_export(model, samples.ids))
    batch = encoder_batch(task, samples)
    return median_time(lambda: model.graphs["model"](**batch))


def describe_latency(seconds: float, model_seconds: float, count: int) -> str:
    """Return a line on the median times of an export and of the task's model for a batch of `count`."""
    return (f"latency: {seconds * 1000:.3g} ms, {seconds / model_seconds:.2f} times the dynamic model's"
            f" {model_seconds * 1000:.3g} ms (medians, a batch of {count})")  # fmt: skip


def median_time(compute: Callable[[], Any]) -> float:
    """Return the median of the seconds of several calls, after a first one that is not counted."""
    compute()
    seconds: list[float] = []
    start = time.perf_counter()
    while len(seconds) < FEWEST_REPEATS or (len(seconds) < MOST_REPEATS and time.perf_counter() - start < SECONDS):
        begin = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)
