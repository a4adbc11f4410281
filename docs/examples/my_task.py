"""A task of your own: predict a number, such as stars or a price, from a text.

python train.py --import my_task --config my_stars.yaml
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

METRICS = (Metric("mae", "mean absolute error", direction="lower", decimals=3),)


class Options(TaskOptions):
    """Regression: a text -> a number."""

    name: Literal["regression"] = Field(description="the task")
    max_text_length: int = Field(128, ge=3, description="tokens of a text; longer texts are cut")


class Regression(Task):
    """Trains a classifier's model with one output, by the squared error."""

    name = "regression"
    head_type = "sequence_classification"
    Options = Options
    required_fields = ("text", "value")
    best_metric = "mae"

    def model_request(self, train: Rows | None) -> ModelRequest:
        texts = [row["text"] for row in train.rows] if train else []
        return ModelRequest(self.head_type, texts, settings={"id2label": {0: "value"}, "label2id": {"value": 0}})

    # -------------------------------------------------------------------------------- features and batches
    def encode(self, rows: Rows, split: str) -> Dataset:
        texts = encode_texts(
            self.fast_tokenizer, [row["text"] for row in rows.rows], max_length=self.options.max_text_length,
            label=f"tokenise {split}", cache=self.config.data.cache,
        )  # fmt: skip
        columns = {"text": texts, "value": [_number(row["value"], split, i) for i, row in enumerate(rows.rows, start=1)]}
        return Dataset(split, rows.rows, columns, texts.lengths, {"rows": len(rows), "bad_rows": len(rows.bad)})

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        rows = [dataset.columns["text"][i] for i in indices]
        input_ids = pad(rows, self.model.config.pad_token_id)
        mask = np.arange(input_ids.shape[1]) < np.array([len(row) for row in rows])[:, None]
        batch = {"input_ids": input_ids, "attention_mask": mask.astype(np.int64)}
        if "value" in dataset.columns:
            batch["value"] = np.array([dataset.columns["value"][i] for i in indices], dtype=np.float32)
        return batch

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        return len(batch["input_ids"])

    # -------------------------------------------------------------------------------- training and measuring
    def values(self, batch: dict[str, Any]):
        """Return the predicted numbers, [b]."""
        return self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).astype("float32").squeeze(-1)

    def loss(self, batch: dict[str, Any]):
        return (self.values(batch) - batch["value"]).square().sum()

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        return EvalStep(rows=self.values(batch).numpy().astype(np.float64).tolist())

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        return self.score(dataset, result.rows)

    def score(self, dataset: Dataset, predicted: list[float]) -> Scores:
        errors = np.array(predicted) - np.array(dataset.columns["value"])
        metrics = {"loss": round(float(np.square(errors).mean()), 6), "mae": round(float(np.abs(errors).mean()), 6)}
        rows = zip(dataset.rows, predicted, strict=True)
        return Scores(metrics, [{**row, "prediction": round(value, 4)} for row, value in rows])

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        mean = float(np.mean(train.columns["value"]))
        return {"mean": self.score(dataset, [mean] * len(dataset))}

    # -------------------------------------------------------------------------------- for people
    def preview(self, dataset: Dataset, count: int = 2) -> str:
        return "\n".join(f"{row['value']}  {row['text']}" for row in dataset.rows[:count])

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        encoded = encode_texts(self.fast_tokenizer, texts, max_length=self.options.max_text_length, label="", cache=False)
        rows = [{"text": text} for text in texts]
        values = run_eval_steps(self, Dataset("input", rows, {"text": encoded}, encoded.lengths), label).rows
        return [{**row, "prediction": round(value, 4)} for row, value in zip(rows, values, strict=True)]


def _number(text: str, split: str, row: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{split} row {row}: {text!r} is not a number.") from None


TASK = Regression
