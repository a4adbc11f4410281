"""Summarise texts with an encoder-decoder model such as BART, scored with ROUGE and BLEU against the lead baseline.

Source: the tutorial on BART for LCSTS (PaddleNLP on AI Studio); Lewis et al. (2020), BART; Hu et al. (2015), LCSTS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from paddle_ft import metrics
from paddle_ft.config.schema import GenerationSection
from paddle_ft.data import text
from paddle_ft.data.rows import Rows
from paddle_ft.metrics.paired import RowCounts, row_means
from paddle_ft.system.cache import code_digest
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.base import Dataset, EvalResult, Scores, TaskOptions
from paddle_ft.tasks.shared.seq2seq import Seq2Seq

SIMILARITY = "embedding_similarity"  # metric, and field of a prediction


class Options(TaskOptions):
    """Summarisation: a text -> its summary. Lengths are in tokens and include special tokens."""

    name: Literal["summarization"] = Field(description="the task")
    max_source_length: int = Field(512, ge=4, description="maximum tokens of a source; longer ones are cut and counted")
    max_target_length: int = Field(128, ge=4, description="maximum tokens of a target, in training and in generation")
    min_target_length: int = Field(0, ge=0, description="minimum number of tokens that generation writes")
    ignore_pad_token_for_loss: bool = Field(True, description="leave padding out of the loss (label -100)")
    language: Literal["auto", "zh", "en"] = Field(
        "auto", description="language of the texts, for rougeLsum (en only) and the lead baseline; auto: taken from the texts"
    )
    embedding_model: str | None = Field(
        None, description="a directory with an encoder (or another name that model.pretrained may have): summaries and targets are"
        " also compared by the cosine of their vectors, which are the means of its last hidden states",
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_lengths(self):
        if self.min_target_length > self.max_target_length:
            raise ValueError(f"min_target_length ({self.min_target_length}) is above max_target_length ({self.max_target_length})")
        return self


class Summarization(Seq2Seq):
    """Write the summary of a text."""

    name = "summarization"
    demo_page = "summarization"
    Options = Options
    sections = {"generation": GenerationSection}
    best_metric = "rougeL"
    _embedder: Any = None

    def set_model(self, bundle) -> None:
        """Use this model. The one for vectors is loaded here too, so that a wrong name is found before the training."""
        super().set_model(bundle)
        if self.options.embedding_model and self._embedder is None:
            from paddle_ft.models.embed import Embedder

            try:
                self._embedder = Embedder(self.options.embedding_model)
            except UserError as error:
                raise UserError(f"task.embedding_model: {error}") from None

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        scores = self.score(result.texts, dataset)
        scores.metrics = {"loss": round(result.loss, 6), **scores.metrics}
        return scores

    def score(self, texts: list[str], dataset: Dataset) -> Scores:
        """Return ROUGE and BLEU of the predicted texts against the targets, and how they relate to their sources.

        There is one text for each row.
        """
        from paddle_ft.metrics.bleu import bleu4, bleu4_interval
        from paddle_ft.metrics.bootstrap import confidence_interval
        from paddle_ft.metrics.faithfulness import faithfulness
        from paddle_ft.metrics.rouge import rouge

        targets = [row["target"] for row in dataset.rows]
        samples = self.config.eval.bootstrap_samples
        metrics, rouge_l = rouge(texts, targets, language=self.options.language, bootstrap=samples, seed=self.config.seed)
        metrics["bleu4"] = bleu4(texts, targets)
        metrics["bleu4_ci"] = bleu4_interval(texts, targets, seed=self.config.seed, n=samples)
        sources = [row["source"] for row in dataset.rows]
        figures, unsupported = faithfulness(sources, targets, texts)
        metrics |= figures
        metrics["generated_characters"] = round(float(np.mean([len(text) for text in texts])), 2)
        predictions = [
            {"source": row["source"], "target": row["target"], "prediction": text, "rougeL": value}
            | ({"not in the source": ", ".join(facts)} if facts else {})
            for row, text, value, facts in zip(dataset.rows, texts, rouge_l, unsupported, strict=True)
        ]
        if self._embedder is not None:
            similar = self._embedder.similarity(texts, targets, "compare by vectors")
            low, high = confidence_interval(similar, self.config.seed, samples)
            metrics |= {SIMILARITY: round(float(similar.mean()), 4), f"{SIMILARITY}_ci": [round(low, 4), round(high, 4)]}
            for row, value in zip(predictions, similar, strict=True):
                row[SIMILARITY] = round(float(value), 2)
        return Scores(metrics, predictions)

    def row_counts(self, predictions: list[dict[str, Any]], facts: dict[str, Any]) -> list[RowCounts]:
        from paddle_ft.metrics.bleu import bleu_counts
        from paddle_ft.metrics.faithfulness import faithfulness_counts
        from paddle_ft.metrics.rouge import rouge_rows

        texts, targets = [row["prediction"] for row in predictions], [row["target"] for row in predictions]
        names, scores, _ = rouge_rows(texts, targets, self.options.language)
        sources = [row["source"] for row in predictions]
        counts = faithfulness_counts(sources, targets, texts)
        means = dict(zip(names, scores.T, strict=True))
        if all(SIMILARITY in row for row in predictions):
            means[SIMILARITY] = np.array([row[SIMILARITY] for row in predictions])
        return [row_means(means), bleu_counts(texts, targets), counts]

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of the lead baseline: the first N units of the source, with N the mean length of training targets."""
        from paddle_ft.metrics.lead import lead, mean_length

        language, targets = self.options.language, Rows(train.rows).texts("target")
        code = code_digest(Path(metrics.__file__).parent, text.__file__)
        length = targets.remember({"mean_length": language, "code": code}, lambda: mean_length(targets, language))
        scores = self.score(lead([row["source"] for row in dataset.rows], length, language), dataset)
        scores.metrics["lead_length"] = length
        return {"lead": scores}

    def predict(self, texts: list[str], label: str) -> list[dict[str, Any]]:
        encoded = self.encode_texts(texts, "", self.options.max_source_length, cache=False)
        outputs = self.generate([encoded[i] for i in range(len(encoded))], label)
        return [{"source": text, "prediction": output} for text, output in zip(texts, outputs, strict=True)]


TASK = Summarization
