"""What masked and causal language models share: the loss at chosen positions, perplexity, the unigram baseline. No task itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from paddle_ft.data.batches import longest_first
from paddle_ft.system.progress import Progress
from paddle_ft.tasks.base import Dataset, Scores, Task

SHOWN = 100  # rows of predictions-<split>.jsonl


class LanguageModel(Task):
    """Tasks whose batches hold "positions" [n] (places in the flattened batch) and "target_ids" [n] (what is to be said there).

    A subclass gives logits(), train_tokens() and shown_row().
    """

    fields = ("text",)
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

    def evaluate(self, dataset: Dataset, label: str) -> Scores:
        """Exact sums over the whole data set, whatever the batches; the rows are shared out among the processes."""
        import paddle
        import paddle.nn.functional as F

        from paddle_ft.metrics.perplexity import perplexity

        mine = self.world.mine(len(dataset))
        results: list[tuple] = [()] * len(mine)  # a row: negative log-likelihood, predicted tokens, right ones, guesses
        self.model.eval()
        with paddle.no_grad(), Progress(len(mine), label, unit="rows") as bar:
            for places in longest_first(dataset.lengths[mine], self.config.eval.eval_batch_size):
                indices = mine[places]
                batch = self.collate(dataset, indices, np.random.default_rng(0))
                tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
                logits = self.logits(tensors)
                each = F.cross_entropy(logits, tensors["target_ids"], reduction="none").numpy().reshape(-1)
                best = logits.argmax(axis=-1).numpy()
                rows = batch["positions"] // batch["input_ids"].shape[1]
                for row, (place, index) in enumerate(zip(places, indices, strict=True)):
                    at = rows == row
                    right = int((best[at] == batch["target_ids"][at]).sum())
                    nll = float(each[at].sum(dtype=np.float64))
                    results[place] = (nll, int(at.sum()), right, best[at] if index < SHOWN else None)
                bar.update(len(indices))
        self.model.train()
        nll, tokens, right, guesses = zip(*self.world.gather(results, len(dataset)), strict=True)
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

    def baseline(self, dataset: Dataset, train: Dataset) -> tuple[str, Scores]:
        """Each token by its frequency in the training text."""
        from paddle_ft.metrics.unigram import unigram_nll

        each = unigram_nll(self.train_tokens(train), self.model.config.vocab_size)
        likeliest = int(each.argmin())
        results = []
        for i in self.world.mine(len(dataset)):
            targets = self.collate(dataset, np.array([i]), np.random.default_rng(0))["target_ids"]
            results.append((float(each[targets].sum()), len(targets), int((targets == likeliest).sum())))
        nll, tokens, right = zip(*self.world.gather(results, len(dataset)), strict=True)
        return "unigram", Scores(self.figures(np.array(nll), np.array(tokens), sum(right)))
