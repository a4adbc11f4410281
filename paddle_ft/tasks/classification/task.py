"""Classify texts, or pairs of texts, into two or more classes.

Source of the recipes: the tutorials on DistilBERT and BERT for SST and Quora question pairs (PaddleNLP on AI Studio).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from paddle_ft.config.schema import ModelSection
from paddle_ft.data.batches import attention_mask, pad
from paddle_ft.data.row_texts import AllTexts, RowTexts
from paddle_ft.data.rows import Rows
from paddle_ft.metrics.paired import RowCounts
from paddle_ft.models.request import ModelRequest
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Dataset, EvalResult, EvalStep, Scores, Task, TaskOptions
from paddle_ft.tasks.classification import labels
from paddle_ft.tasks.classification.counts import describe_classes, describe_counts, describe_header, describe_spellings
from paddle_ft.tasks.shared.evaluate import run_eval_steps


class Options(TaskOptions):
    """Classification: a text, or a pair of texts -> a class."""

    name: Literal["classification"] = Field(description="the task")
    max_text_length: int = Field(
        128, ge=3, description="maximum tokens of a text or a pair of texts, with special tokens; longer ones are cut"
    )
    labels: list[str] | None = Field(
        None, description="names of the classes in order; the data's labels are these names or, unless the names are numbers"
        " themselves, their numbers from 0 (null: the classes of the data set if it names them, else the labels of the training"
        " rows, sorted)",
    )  # fmt: skip
    round_labels: bool = Field(
        False, description="labels are scores between 0 and 1, to be rounded as by Python's round(): exactly 0.5 becomes 0"
    )
    loss: Literal["cross_entropy", "binary_cross_entropy_over_softmax"] = Field(
        "cross_entropy", description="the second one is the binary cross-entropy of each class's probability, as in the tutorial"
    )
    class_weights: list[float] | Literal["balanced"] | None = Field(
        None, description="weight of each class's rows in the loss; balanced: rows / (classes * rows of the class)"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target that is spread over all classes")

    @field_validator("labels", mode="before")
    @classmethod
    def _ask_for_quotes(cls, names):
        """Refuse numbers and booleans: YAML reads 010 as 8, and both no and false as the same value."""
        odd = [name for name in names if isinstance(name, (bool, int, float))] if isinstance(names, list) else []
        if odd:
            raise ValueError(f'{odd[0]!r} is no text: write the names in quotes, as in task.labels=\'["0", "1"]\'')
        return names

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, names):
        if names is not None and (len(names) < 2 or len(set(names)) < len(names) or not all(names)):
            raise ValueError("at least two different names are needed")
        return names

    @field_validator("class_weights")
    @classmethod
    def _check_weights(cls, weights):
        if isinstance(weights, list) and not (all(w >= 0 and np.isfinite(w) for w in weights) and any(weights)):
            raise ValueError("weights must be 0 or more, at least one above 0")
        return weights


class Model(ModelSection):
    """The model to fine-tune, and the head on its encoder."""

    head: Literal["auto", "keep", "new"] = Field(  # type: ignore[assignment]  # one value more than other tasks have
        "auto",
        description="what becomes of the head that the checkpoint was trained with. auto: its rows are kept for the classes that it"
        " shares with the data by name, and the others start anew; keep: stop if a trained row would be thrown away; new: it starts"
        " anew as a whole",
    )
    pooling: Literal["first_token", "lstm_attention"] = Field(
        "first_token",
        description="what the head reads. first_token: the first token's state; lstm_attention: all tokens, by a bidirectional LSTM"
        " and attention",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_old_name(cls, data):
        """Read the setting `pooling` under its name in version 0.1: head, linear or lstm_attention."""
        if not isinstance(data, dict) or data.get("head") not in ("linear", "lstm_attention"):
            return data
        others = {name: value for name, value in data.items() if name != "head"}
        return {"pooling": "first_token" if data["head"] == "linear" else "lstm_attention"} | others


class Classification(Task):
    """Predict the class of a text or a pair of texts.

    Attributes:
        names: the names of the classes, by class number.
        token_types: whether the model takes token_type_ids.
        max_input_length: maximum number of tokens of the model's input.
    """

    name = "classification"
    demo_page = "classification"
    head_type = "sequence_classification"
    Options = Options
    Model = Model
    required_fields = ("text", "label")
    optional_fields = ("text_pair",)
    best_metric = "accuracy"
    reference_field = "label"
    takes_pairs = True

    # -------------------------------------------------------------------------------- model
    def model_request(self, train: Rows | None) -> ModelRequest:
        names = labels.class_names(train.texts("label"), self.options, train.classes.get("label", ()))
        settings = {
            "id2label": dict(enumerate(names)),
            "label2id": {name: number for number, name in enumerate(names)},
            "classifier_head": "lstm_attention" if self.config.model.pooling == "lstm_attention" else "linear",
        }
        return ModelRequest(self.head_type, texts=AllTexts(train.rows, ("text", "text_pair")), settings=settings)

    def set_model(self, bundle) -> None:
        from paddle_ft.models.heads import takes_token_types

        super().set_model(bundle)
        self.names = [name for _, name in sorted((int(i), name) for i, name in self.model.config.id2label.items())]
        self.token_types = takes_token_types(self.model)
        self.max_input_length = bundle.architecture.longest_input(self.model.config)
        if self.options.max_text_length > self.max_input_length:
            raise UserError(
                f"task.max_text_length: {self.options.max_text_length} tokens are more than the model's {self.max_input_length}."
            )

    def facts(self) -> dict[str, Any]:
        return {"label_names": self.names}

    # -------------------------------------------------------------------------------- data
    def encode(self, rows: Rows, split: str) -> Dataset:
        """Encode the rows of a split.

        Returns:
            A data set with the columns text (token ids), second (where the second text of each pair begins; only for pairs), label
            [n] (class number) and weight [n] (weight of the row's loss).
        """
        texts = _inputs(rows, split)
        encoded = self.encode_texts(texts, f"tokenise {split}", self.options.max_text_length)
        classes = labels.to_classes(rows.texts("label"), self.names, self.options, split, rows.classes.get("label", ()))
        counts = np.bincount(classes, minlength=len(self.names))
        class_weights = self.options.class_weights if split == "train" else None
        weights = labels.class_weights(class_weights, counts, self.names)
        info = {
            "rows": len(rows),
            "bad_rows": len(rows.bad),
            "truncated_text": encoded.truncated,
            "truncated_text_share": round(encoded.truncated / max(1, len(rows)), 4),
        }
        if len(self.names) <= 20:
            info |= {f"rows of class {name}": int(count) for name, count in zip(self.names, counts, strict=True)}
        columns = {"text": encoded, "label": classes, "weight": weights[classes].astype(np.float32)}
        if encoded.second_starts is not None:
            columns["second"] = encoded.second_starts
        dataset = Dataset(split, rows.rows, columns, encoded.lengths, info)
        if split == "train":
            dataset.decide(*self._train_decisions(rows, classes, counts))
        dataset.decide(*self._label_decisions(rows))
        return dataset

    def _train_decisions(self, rows: Rows, classes: np.ndarray, counts: np.ndarray) -> list[str]:
        """Return what is said about the classes of the training rows [n], their numbers of rows [classes], and the columns."""
        columns = self.config.data.columns
        decisions = describe_classes(self.names, counts)
        if "text_pair" not in columns and not len(rows.missing("text_pair")):
            decisions.append("the data has text_pair, so each row is a pair of texts")
        if isinstance(columns.get("label"), int):
            decisions += describe_header(self.names, counts, classes[0])
        return decisions

    def _label_decisions(self, rows: Rows) -> list[str]:
        """Return what is said about the labels of a split."""
        if self.options.round_labels:
            return []
        values, _ = rows.texts("label").distinct()
        return describe_spellings(values, [labels.normalize(value) for value in values])

    def header_lines(self, dataset: Dataset) -> list[str]:
        """Return the classes with their numbers of training rows."""
        if dataset.split != "train":
            return []
        counts = np.bincount(dataset.columns["label"], minlength=len(self.names))
        return [f"classes: {describe_counts(self.names, counts)}"]

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a padded batch.

        Returns:
            input_ids: [b, s]
            attention_mask: [b, s], 1 for a token and 0 for padding.
            token_type_ids: [b, s], 1 in the second text of a pair. Only if the model takes them.
            label, weight: [b]. Only if the data set has them.
        """
        rows = [dataset.columns["text"][i] for i in indices]
        multiple = self.config.train.pad_to_multiple_of
        batch = {"input_ids": pad(rows, self.model.config.pad_token_id, multiple, self.max_input_length)}
        width, lengths = batch["input_ids"].shape[1], [len(row) for row in rows]
        batch["attention_mask"] = attention_mask(lengths, width)
        if self.token_types:
            seconds = [dataset.columns["second"][i] for i in indices] if "second" in dataset.columns else lengths
            batch["token_type_ids"] = batch["attention_mask"] - attention_mask(seconds, width)
        for name in ("label", "weight"):
            if name in dataset.columns:
                batch[name] = np.array([dataset.columns[name][i] for i in indices])
        return batch

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        return len(batch["input_ids"])

    # -------------------------------------------------------------------------------- training and measuring
    def logits(self, batch: dict[str, Any]):
        """Return the logits of a batch, [b, classes] float32."""
        inputs = {name: value for name, value in batch.items() if name not in ("label", "weight")}
        return self.bundle.architecture.classifier_logits(self.model, inputs).astype("float32")

    def loss(self, batch: dict[str, Any]):
        from paddle_ft.models import losses

        function = getattr(losses, self.options.loss)
        return (function(self.logits(batch), batch["label"], self.options.label_smoothing) * batch["weight"]).sum()

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        return EvalStep(list(self.logits(batch).numpy().astype(np.float64)))

    def probabilities(self, dataset: Dataset, label: str) -> np.ndarray:
        """Return the probability of every class, [n, classes] float64, in the rows' order."""
        return _softmax(run_eval_steps(self, dataset, label).rows)

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        return self.score(dataset, _softmax(result.rows))

    def score(self, dataset: Dataset, probabilities: np.ndarray) -> Scores:
        """Return the metrics of predicted probabilities [n, classes].

        "loss" is the cross-entropy, whatever loss the model was trained with.
        """
        from paddle_ft.metrics.classification import classification_scores, cross_entropy

        true = np.asarray(dataset.columns["label"])
        figures = classification_scores(true, probabilities, bootstrap=self.config.eval.bootstrap_samples)
        predictions = [
            {
                **{name: row[name] for name in ("text", "text_pair") if name in row},
                "label": self.names[number],
                "prediction": self.names[values.argmax()],
                "probability of the label": round(100 * float(values[number]), 2),
                "confidence": round(100 * float(values.max()), 2),
            }
            for row, number, values in zip(dataset.rows, true, probabilities, strict=True)
        ]
        return Scores({"loss": round(cross_entropy(true, probabilities), 6), **figures}, predictions)

    def row_losses(self, dataset: Dataset, result: EvalResult) -> list[dict[str, float]]:
        from paddle_ft.metrics.classification import row_cross_entropy

        losses = row_cross_entropy(dataset.columns["label"], _softmax(result.rows))
        return [{"nll": round(float(loss), 6), "targets": 1} for loss in losses]

    def row_counts(self, predictions: list[dict[str, Any]], facts: dict[str, Any]) -> list[RowCounts]:
        from paddle_ft.metrics.classification import class_counts

        known = facts.get("label_names") or []
        used = {row[name] for row in predictions for name in ("label", "prediction")}
        numbers = {name: number for number, name in enumerate([*known, *sorted(used - set(known))])}
        true, predicted = (np.array([numbers[row[name]] for row in predictions]) for name in ("label", "prediction"))
        return [class_counts(true, predicted, len(numbers))]

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of predicting the most frequent training class for every row."""
        from paddle_ft.metrics.classification import majority_probabilities

        probabilities = majority_probabilities(train.columns["label"], len(dataset), len(self.names))
        return {"majority": self.score(dataset, probabilities)}

    def preview(self, dataset: Dataset, count: int = 2) -> str:
        blocks = []
        for i in range(min(count, len(dataset))):
            batch = self.collate_fn(dataset, np.array([i]), np.random.default_rng(0))
            tokens = " ".join(str(self.fast_tokenizer.id_to_token(int(token))) for token in batch["input_ids"][0])
            lines = [f"{name:<14}{dataset.rows[i][name]}" for name in ("text", "text_pair") if name in dataset.rows[i]]
            lines += [f"{'label':<14}{self.names[batch['label'][0]]} ({batch['label'][0]} of {len(self.names)} classes)"]
            lines += [f"{'input_ids':<14}{tokens}"]
            if self.token_types:
                lines.append(f"{'token types':<14}{' '.join(map(str, batch['token_type_ids'][0]))}")
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks)

    # -------------------------------------------------------------------------------- new inputs
    def predict(self, texts: list, label: str) -> list[dict[str, Any]]:
        """Return a row for each input: text (and text_pair), prediction, probability, and the probabilities of all classes."""
        rows = [{"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]} for text in texts]
        encoded = self.encode_texts(_inputs(Rows(rows), "input"), "", self.options.max_text_length, cache=False)
        columns = {"text": encoded} if encoded.second_starts is None else {"text": encoded, "second": encoded.second_starts}
        probabilities = self.probabilities(Dataset("input", rows, columns, encoded.lengths), label)
        return [
            {
                **row,
                "prediction": self.names[values.argmax()],
                "probability": round(float(values.max()), 6),
                "probabilities": {name: round(float(value), 6) for name, value in zip(self.names, values, strict=True)},
            }
            for row, values in zip(rows, probabilities, strict=True)
        ]

    def prediction_line(self, row: dict[str, Any]) -> str:
        return "\t".join([row["prediction"], *(f"{name}={value:.4f}" for name, value in row["probabilities"].items())])


def _softmax(logits: list[np.ndarray]) -> np.ndarray:
    """Return the softmax of rows of logits, [n, classes] float64."""
    logits = np.array(logits)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def _inputs(rows: Rows, split: str) -> RowTexts:
    """Return the texts, or the pairs of texts, to tokenise. Raise UserError if only some rows are pairs."""
    is_pair = np.ones(len(rows), dtype=bool)
    is_pair[rows.missing("text_pair")] = False
    odd = np.flatnonzero(is_pair != is_pair[:1])
    if len(odd):
        problem = "has no text_pair, but row 1 has one" if is_pair[0] else "has a text_pair, but row 1 has none"
        raise UserError(f"{split} row {odd[0] + 1}: {problem}: all rows must be pairs, or none.")
    return rows.texts("text", "text_pair") if is_pair[:1].any() else rows.texts("text")
