"""What masked and causal language models share: the loss at chosen positions, perplexity, the unigram baseline. No task itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_ft.tasks.base import Dataset, EvalResult, EvalStep, Scores, Task

SHOWN = 100  # rows of predictions-<split>.jsonl


class LanguageModel(Task):
    """Tasks whose batches hold "positions" [n] (places in the flattened batch) and "target_ids" [n] (what is to be said there).

    A subclass gives logits(), train_tokens() and shown_row().
    """

    required_fields = ("text",)
    best_metric = "perplexity"

    def logits(self, batch: dict[str, Any]):
        """[n, v] at the batch's positions."""
        raise NotImplementedError

    def train_tokens(self, train: Dataset) -> list[np.ndarray]:
        """Ids of the training text, the kind of tokens that are targets, for the unigram baseline."""
        raise NotImplementedError

    def shown_row(self, dataset: Dataset, row: int, guesses: np.ndarray, perplexity: float) -> dict[str, Any]:
        """One line of predictions-<split>.jsonl. guesses: the likeliest token at each of the row's positions."""
        raise NotImplementedError

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        return len(batch["target_ids"])

    def loss(self, batch: dict[str, Any]):
        """Sum of the cross-entropy; the vocabulary projection is computed at the batch's positions alone."""
        import paddle.nn.functional as F

        return F.cross_entropy(self.logits(batch), batch["target_ids"], reduction="sum")

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        """Return for each row: negative log-likelihood, predicted tokens, how many were guessed right, the guesses."""
        import paddle.nn.functional as F

        logits = self.logits(batch)
        targets = batch["target_ids"].numpy()
        nll = F.cross_entropy(logits, batch["target_ids"], reduction="none").numpy().reshape(-1)
        guesses = logits.argmax(axis=-1).numpy()
        row_of = batch["positions"].numpy() // batch["input_ids"].shape[1]
        rows = []
        for row, index in enumerate(indices):
            at = row_of == row
            right = int((guesses[at] == targets[at]).sum())
            rows.append((float(nll[at].sum(dtype=np.float64)), int(at.sum()), right, guesses[at] if index < SHOWN else None))
        return EvalStep(rows)

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        from paddle_ft.metrics.perplexity import perplexity

        nll, tokens, right, guesses = zip(*result.rows, strict=True)
        shown = [
            self.shown_row(dataset, i, guesses[i], perplexity(nll[i], max(1, tokens[i]))) for i in range(min(SHOWN, len(dataset)))
        ]
        return Scores(self.figures(np.array(nll), np.array(tokens), sum(right)), shown)

    def figures(self, nll: np.ndarray, tokens: np.ndarray, right: int) -> dict[str, Any]:
        """Metrics from sums by row: [rows] negative log-likelihood, [rows] predicted tokens, and how many were guessed right."""
        from paddle_ft.metrics.perplexity import perplexity, perplexity_interval

        total, count = float(nll.sum()), int(tokens.sum())
        samples = self.config.eval.bootstrap_samples
        interval = perplexity_interval(nll, tokens, seed=self.config.seed, n=samples)
        return {
            "loss": round(total / count, 6),
            "perplexity": round(perplexity(total, count), 4),
            "perplexity_ci": [round(end, 4) for end in interval],
            "accuracy": round(100 * right / count, 2),
            "tokens": count,
        }

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of predicting each token by its frequency in the training text."""
        from paddle_ft.metrics.unigram import unigram_nll

        dataset = self.eval_dataset(dataset)
        each = unigram_nll(self.train_tokens(train), self.model.config.vocab_size)
        likeliest = int(each.argmin())
        rows = []
        for i in range(len(dataset)):
            targets = self.collate_fn(dataset, np.array([i]), np.random.default_rng(0))["target_ids"]
            rows.append((float(each[targets].sum()), len(targets), int((targets == likeliest).sum())))
        nll, tokens, right = zip(*rows, strict=True)
        return {"unigram": Scores(self.figures(np.array(nll), np.array(tokens), sum(right)))}
