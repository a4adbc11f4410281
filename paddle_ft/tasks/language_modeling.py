"""What masked and causal language models share: the loss at chosen positions, perplexity, the unigram baseline. No task itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_ft.data.batches import longest_first
from paddle_ft.progress import Progress
from paddle_ft.tasks.base import Dataset, Scores, Task

SHOWN = 100  # rows of predictions-<split>.jsonl


class LanguageModel(Task):
    """Tasks whose batches hold "positions" [n] (places in the flattened batch) and "target_ids" [n] (what is to be said there).

    A subclass gives logits(), train_tokens() and shown_row().
    """

    fields = ("text",)
    best_metric = "perplexity"
    higher_is_better = False

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

    def evaluate(self, dataset: Dataset, label: str) -> Scores:
        """Exact sums over the whole data set, whatever the batches."""
        import paddle
        import paddle.nn.functional as F

        from paddle_ft.metrics.perplexity import perplexity

        rows = len(dataset)
        nll, tokens, right = np.zeros(rows), np.zeros(rows, dtype=np.int64), 0
        guesses: dict[int, np.ndarray] = {}
        self.model.eval()
        with paddle.no_grad(), Progress(rows, label, unit="rows") as bar:
            for indices in longest_first(dataset.lengths, self.config.eval.eval_batch_size):
                batch = self.collate(dataset, indices, np.random.default_rng(0))
                tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
                logits = self.logits(tensors)
                each = F.cross_entropy(logits, tensors["target_ids"], reduction="none").numpy().reshape(-1)
                best = logits.argmax(axis=-1).numpy()
                places = batch["positions"] // batch["input_ids"].shape[1]
                nll[indices] = np.bincount(places, each, minlength=len(indices))
                tokens[indices] = np.bincount(places, minlength=len(indices))
                right += int((best == batch["target_ids"]).sum())
                guesses |= {int(i): best[places == place] for place, i in enumerate(indices) if i < SHOWN}
                bar.update(len(indices))
        self.model.train()
        shown = [self.shown_row(dataset, i, guesses[i], perplexity(nll[i], max(1, tokens[i]))) for i in sorted(guesses)]
        return Scores(self.figures(nll, tokens, right), shown)

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

    def baseline(self, dataset: Dataset, train: Dataset) -> tuple[str, Scores]:
        """Each token by its frequency in the training text."""
        from paddle_ft.metrics.unigram import unigram_nll

        each = unigram_nll(self.train_tokens(train), self.model.config.vocab_size)
        likeliest = int(each.argmin())
        nll, tokens, right = np.zeros(len(dataset)), np.zeros(len(dataset), dtype=np.int64), 0
        for i in range(len(dataset)):
            targets = self.collate(dataset, np.array([i]), np.random.default_rng(0))["target_ids"]
            nll[i], tokens[i], right = each[targets].sum(), len(targets), right + int((targets == likeliest).sum())
        return "unigram", Scores(self.figures(nll, tokens, right))
