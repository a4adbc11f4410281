"""A task of your own: predict a number, such as stars or a price, from a text.

python -m paddle_ft train --import my_task --config my_stars.yaml --sample
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from paddle_ft.data.batches import pad
from paddle_ft.data.rows import Rows
from paddle_ft.metrics.registry import Metric
from paddle_ft.models.request import ModelRequest
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Dataset, EvalResult, EvalStep, Scores, Task, TaskOptions
from paddle_ft.tasks.shared.evaluate import run_eval_steps
from paddle_ft.tokenization.encode import encode_texts

# How tables, plots and the choice of the best checkpoint treat the figure that `score` reports.
METRICS = (Metric("mae", "mean absolute error", direction="lower", decimals=3),)


class Options(TaskOptions):
    """Regression: a text -> a number. This is the section `task` of the configuration."""

    name: Literal["regression"] = Field(description="the task")
    max_text_length: int = Field(128, ge=3, description="tokens of a text; longer texts are cut")


class Regression(Task):
    """Train a classifier's model with one output, by the squared error."""

    name = "regression"  # task.name in the configuration
    head_type = "sequence_classification"  # which of an architecture's models
    Options = Options
    required_fields = ("text", "value")  # of a row; data.columns says which columns they are
    best_metric = "mae"  # chooses the checkpoint that becomes best/
    reference_field = "value"  # so that metrics of your own can compare it with "prediction"

    def model_request(self, train: Rows | None) -> ModelRequest:
        """Return what a model must have: here one output, and a vocabulary for these texts if it has no tokenizer."""
        texts = [row["text"] for row in train.rows] if train else []
        return ModelRequest(self.head_type, texts, settings={"id2label": {0: "value"}, "label2id": {"value": 0}})

    # -------------------------------------------------------------------------------- features and batches
    def encode(self, rows: Rows, split: str) -> Dataset:
        """Turn the rows of a split into token ids and numbers."""
        texts = [row["text"] for row in rows.rows]
        cache, label = self.config.data.cache, f"tokenise {split}"
        encoded = encode_texts(self.fast_tokenizer, texts, max_length=self.max_length, label=label, cache=cache)
        values = [_number(row["value"], split, number) for number, row in enumerate(rows.rows, start=1)]
        info = {"rows": len(rows), "bad_rows": len(rows.bad), "truncated_text": encoded.truncated,
                "truncated_text_share": round(encoded.truncated / len(rows), 4)}  # fmt: skip
        return Dataset(split, rows.rows, {"text": encoded, "value": values}, encoded.lengths, info)

    @property
    def max_length(self) -> int:
        """The number of tokens that texts are cut to."""
        return min(self.options.max_text_length, self.bundle.architecture.longest_input(self.model.config))

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a padded batch: input_ids and attention_mask [b, s], value [b] where it is known."""
        rows = [dataset.columns["text"][i] for i in indices]
        input_ids = pad(rows, self.model.config.pad_token_id, self.config.train.pad_to_multiple_of, self.max_length)
        mask = np.arange(input_ids.shape[1]) < np.array([len(row) for row in rows])[:, None]
        batch = {"input_ids": input_ids, "attention_mask": mask.astype(np.int64)}
        if "value" in dataset.columns:
            batch["value"] = np.array([dataset.columns["value"][i] for i in indices], dtype=np.float32)
        return batch

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        """Return how many terms the sum of `loss` has. The loop divides by their number in the whole step."""
        return len(batch["input_ids"])

    # -------------------------------------------------------------------------------- training and measuring
    def values(self, batch: dict[str, Any]):
        """Return the predicted numbers, [b]."""
        return self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).astype("float32").squeeze(-1)

    def loss(self, batch: dict[str, Any]):
        """Return the sum of the loss over the batch, not the mean."""
        return (self.values(batch) - batch["value"]).square().sum()

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        """Return one result for each row of a batch."""
        return EvalStep(rows=self.values(batch).numpy().astype(np.float64).tolist())

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        """Return the figures of a split; result.rows holds what `eval_step` gave for every row, in order."""
        return self.score(dataset, result.rows)

    def score(self, dataset: Dataset, predicted: list[float]) -> Scores:
        """Return the figures of predicted numbers, and the rows of predictions-<split>.jsonl. "loss" must be among them."""
        errors = np.array(predicted) - np.array(dataset.columns["value"])
        metrics = {"loss": round(float(np.square(errors).mean()), 6), "mae": round(float(np.abs(errors).mean()), 6)}
        rows = zip(dataset.rows, predicted, strict=True)
        return Scores(metrics, [{**row, "prediction": round(value, 4)} for row, value in rows])

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of what needs no model: the mean of the training rows."""
        mean = float(np.mean(train.columns["value"]))
        return {"mean": self.score(dataset, [mean] * len(dataset))}

    # -------------------------------------------------------------------------------- for people
    def preview(self, dataset: Dataset, count: int = 2) -> str:
        """Return a few rows for --check."""
        return "\n".join(f"{row['value']}  {row['text']}" for row in dataset.rows[:count])

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        """Return a row with "prediction" for each new text: what `python -m paddle_ft predict` writes."""
        encoded = encode_texts(self.fast_tokenizer, texts, max_length=self.max_length, label="", cache=False)
        rows = [{"text": text} for text in texts]
        values = run_eval_steps(self, Dataset("input", rows, {"text": encoded}, encoded.lengths), label).rows
        return [{**row, "prediction": round(value, 4)} for row, value in zip(rows, values, strict=True)]


def _number(text: str, split: str, row: int) -> float:
    """Return a text as a number. Raise UserError, which is shown as one line, if it is none."""
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{split} row {row}: {text!r} is not a number.") from None


TASK = Regression
