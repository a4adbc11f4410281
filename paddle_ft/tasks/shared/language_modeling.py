"""Base class of masked and causal language models: loss at chosen positions, perplexity, unigram baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from paddle_ft.data.batches import IGNORE_INDEX
from paddle_ft.data.packing import Packing
from paddle_ft.metrics.paired import RowCounts
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Dataset, EvalResult, EvalStep, Scores, Task

MAX_PREDICTIONS = 100  # rows of predictions-<split>.jsonl


class LanguageModel(Task):
    """Base class of tasks that predict tokens at chosen positions of their input.

    The batches must have "positions" [n], indices into the flattened batch, and "target_ids" [n], the tokens to predict there. A
    subclass defines rows_and_labels(), logits(), train_tokens() and prediction_row(). Its Options must have packing.

    Attributes:
        preview_length: number of tokens that the preview shows of an input and its targets. None: all.
    """

    required_fields = ("text",)
    best_metric = "perplexity"
    preview_length: ClassVar[int | None] = None

    def set_model(self, bundle) -> None:
        super().set_model(bundle)
        if self.options.packing and not bundle.architecture.takes_positions(self.model):
            raise UserError(
                f"task.packing: PaddleNLP's models of type {self.model.config.model_type!r} take no positions, so that texts in one"
                " sequence cannot be kept apart. Set it to false."
            )

    def rows_and_labels(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> tuple[list, list]:
        """Return the input ids of some rows, and their labels: what to predict at each position, or -100."""
        raise NotImplementedError

    def train_batch(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return a batch for a training step. With task.packing it has the rows of collate_fn in fewer sequences.

        Returns:
            What collate_fn returns; with task.packing input_ids, attention_mask, segment_ids and position_ids [p, s], positions and
            target_ids [n].
        """
        if not self.options.packing:
            return self.collate_fn(dataset, indices, rng)
        ids, labels = self.rows_and_labels(dataset, indices, rng)
        limit = self.bundle.architecture.longest_input(self.model.config)
        packing = Packing(dataset.lengths[indices], self.config.train.pad_to_multiple_of, limit)
        flat = packing.place(labels, IGNORE_INDEX).reshape(-1)
        positions = np.flatnonzero(flat != IGNORE_INDEX)
        places, ids = packing.inputs(), packing.place(ids, self.tokenizer.pad_token_id)
        mask = (places["segment_ids"] > 0).astype(np.int64)
        return {"input_ids": ids, "attention_mask": mask, **places, "positions": positions, "target_ids": flat[positions]}

    def logits(self, batch: dict[str, Any]):
        """Return the logits at the batch's positions, [n, v]."""
        raise NotImplementedError

    def train_tokens(self, train: Dataset) -> Iterator[np.ndarray]:
        """Yield the token ids of the training texts for the unigram baseline, without tokens that cannot be targets."""
        raise NotImplementedError

    def prediction_row(self, dataset: Dataset, row: int, predicted: np.ndarray, perplexity: float) -> dict[str, Any]:
        """Return one line of predictions-<split>.jsonl.

        Args:
            dataset: the split that is evaluated.
            row: number of the row.
            predicted: the most likely token at each of the row's positions.
            perplexity: perplexity of the row.
        """
        raise NotImplementedError

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        return len(batch["target_ids"])

    def loss(self, batch: dict[str, Any]):
        """Return the summed cross-entropy. The vocabulary projection is computed only at the batch's positions."""
        import paddle.nn.functional as F

        logits = self._packed_logits(batch) if "segment_ids" in batch else self.logits(batch)
        return F.cross_entropy(logits, batch["target_ids"], reduction="sum")

    def _packed_logits(self, batch: dict[str, Any]):
        inputs = {name: batch[name] for name in ("input_ids", "segment_ids", "position_ids", "positions")}
        return self.bundle.architecture.packed_logits(self.model, **inputs)

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        """Return for each row (negative log-likelihood, number of targets, number of correct predictions, predictions, details).

        The predictions are None for rows beyond MAX_PREDICTIONS, and the details are those of target_details.
        """
        import paddle.nn.functional as F

        logits = self.logits(batch)
        targets = batch["target_ids"].numpy()
        nll = F.cross_entropy(logits, batch["target_ids"], reduction="none").numpy().reshape(-1)
        predicted = logits.argmax(axis=-1).numpy()
        row_of = batch["positions"].numpy() // batch["input_ids"].shape[1]
        rows = []
        for row, index in enumerate(indices):
            in_row = row_of == row
            right = predicted[in_row] == targets[in_row]
            row_nll = float(nll[in_row].sum(dtype=np.float64))
            shown = predicted[in_row] if index < MAX_PREDICTIONS else None
            details = self.target_details(batch, in_row, nll[in_row], right)
            rows.append((row_nll, int(in_row.sum()), int(right.sum()), shown, details))
        return EvalStep(rows)

    def target_details(self, batch: dict[str, Any], in_row: np.ndarray, nll: np.ndarray, right: np.ndarray) -> Any:
        """Return what `detail_figures` needs of a row besides its loss.

        Args:
            batch: the batch.
            in_row: [targets of the batch] bool, the targets of the row.
            nll, right: [targets of the row], the loss of each, and whether it was predicted right.
        """
        return None

    def detail_figures(self, details: list[Any]) -> dict[str, Any]:
        """Return further metrics from the target_details of all rows."""
        return {}

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        from paddle_ft.metrics.perplexity import perplexity

        nll, tokens, correct, predicted, details = zip(*result.rows, strict=True)
        predictions = [
            self.prediction_row(dataset, i, predicted[i], perplexity(nll[i], max(1, tokens[i])))
            for i in range(min(MAX_PREDICTIONS, len(dataset)))
        ]
        figures = self.figures(np.array(nll), np.array(tokens), sum(correct)) | self.detail_figures(list(details))
        return Scores(figures, predictions)

    def row_losses(self, dataset: Dataset, result: EvalResult) -> list[dict[str, float]]:
        return [{"nll": round(nll, 6), "targets": targets, "correct": correct} for nll, targets, correct, *_ in result.rows]

    def row_counts(self, predictions: list[dict[str, Any]], facts: dict[str, Any]) -> list[RowCounts]:
        return []  # all is in the losses

    def figures(self, nll: np.ndarray, tokens: np.ndarray, correct: int) -> dict[str, Any]:
        """Return the metrics of a split.

        Args:
            nll: [rows], summed negative log-likelihood of each row.
            tokens: [rows], number of targets of each row.
            correct: number of targets of all rows that were predicted right.
        """
        from paddle_ft.metrics.perplexity import perplexity, perplexity_interval

        total, count = float(nll.sum()), int(tokens.sum())
        samples = self.config.eval.bootstrap_samples
        interval = perplexity_interval(nll, tokens, seed=self.config.seed, n=samples)
        return {
            "loss": round(total / count, 6),
            "perplexity": round(perplexity(total, count), 4),
            "perplexity_ci": [round(end, 4) for end in interval],
            "accuracy": round(100 * correct / count, 2),
            "tokens": count,
        }

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of predicting each token by its frequency in the training text."""
        from paddle_ft.metrics.unigram import unigram_nll

        dataset = self.eval_dataset(dataset)
        token_nll = unigram_nll(self.train_tokens(train), self.model.config.vocab_size)
        most_frequent = int(token_nll.argmin())
        rows = []
        for i in range(len(dataset)):
            targets = self.collate_fn(dataset, np.array([i]), np.random.default_rng(0))["target_ids"]
            rows.append((float(token_nll[targets].sum()), len(targets), int((targets == most_frequent).sum())))
        nll, tokens, correct = zip(*rows, strict=True)
        return {"unigram": Scores(self.figures(np.array(nll), np.array(tokens), sum(correct)))}

    # -------------------------------------------------------------------------------- for people
    def preview(self, dataset: Dataset, count: int = 2) -> str:
        blocks = []
        for i in range(min(count, len(dataset))):
            batch = self.collate_fn(dataset, np.array([i]), np.random.default_rng(0))
            tokens = self.join_tokens(batch["input_ids"][0], self.preview_length)
            blocks.append(f"input    {tokens}\ntargets  {self.preview_targets(batch)}")
        return "\n\n".join(blocks)

    def preview_targets(self, batch: dict[str, np.ndarray]) -> str:
        """Return the targets of a batch as text for people."""
        return self.join_tokens(batch["target_ids"], self.preview_length)

    def join_tokens(self, ids: np.ndarray, limit: int | None = None) -> str:
        """Return the tokens of ids with spaces between them. Beyond `limit` tokens, "..." stands for the others."""
        tokens = " ".join(str(self.fast_tokenizer.id_to_token(int(i))) for i in ids[:limit])
        return tokens if limit is None or len(ids) <= limit else f"{tokens} ..."
