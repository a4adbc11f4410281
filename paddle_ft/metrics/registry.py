"""The table of metrics: the name and unit of each, which direction is better, and how its values are written.

The training loop, the tables, the plots and the report look up every metric here, by its key in results.json. A user's module that
is named with --import can add metrics with METRICS = (Metric(...), ...): to describe what a task of their own reports or, with
`compute`, to add a metric to a task that exists (user_metrics.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import user_plugins


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        key: its name in results.json, metrics.jsonl and eval.best_metric.
        label: its name in plots and the report. The default is the key with spaces instead of underscores.
        unit: unit of the value, for the axis of a plot.
        direction: which values are better. "none" is for counts, by which no checkpoint should be chosen.
        decimals: number of decimal places. None: two, but none for a whole number.
        in_report: whether the tables of the report show it.
        plot: where its evaluations are plotted. "scores": in the plot of scores, whose axis goes from 0 to 100. "own": in a plot of
            its own, with one curve for each split. None: nowhere. The plot of the loss is always drawn, with that of the training.
        hidden_by: keys of metrics that are plotted instead of this one. The plot of scores leaves this one out if it shows any of
            them.
        compute: for a metric that no task reports: (predictions [n], references [n]) -> one number, or a list with one number for
            each row. The mean of such a list is reported, with a 95 % interval.
        tasks: names of the tasks whose predictions `compute` is applied to.
    """

    key: str
    label: str = ""
    unit: str = ""
    direction: Literal["higher", "lower", "none"] = "higher"
    decimals: int | None = None
    in_report: bool = True
    plot: Literal["scores", "own"] | None = None
    hidden_by: tuple[str, ...] = ()
    compute: Callable[[list, list], Any] | None = None
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        if isinstance(self.tasks, str) or bool(self.compute) != bool(self.tasks):
            raise ValueError(f'Metric {self.key!r}: compute goes with the tasks it is for, such as tasks=("summarization",)')
        if self.plot not in ("scores", "own", None):
            raise ValueError(f'Metric {self.key!r}: plot is {self.plot!r}, but must be "scores", "own" or None')

    @property
    def title(self) -> str:
        """The label, or its default."""
        return self.label or self.key.replace("_", " ")

    @property
    def title_with_unit(self) -> str:
        """The title with the unit, for the axis of a plot: "loss (nats)", "perplexity per token"."""
        unit = self.unit if not self.unit or self.unit.startswith("per ") else f"({self.unit})"
        return f"{self.title} {unit}".rstrip()

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower value is better. Without a direction, higher counts as better."""
        return self.direction == "lower"

    def is_better(self, value: float, other: float) -> bool:
        """Return whether `value` is better than `other`. This is False for equal values and for NaN."""
        return value < other if self.lower_is_better else value > other


# A run with these scores has many others. Its plot shows only these, so that it stays readable.
ROUGE = ("rouge1", "rouge2", "rougeL")

# Tables show the metrics in this order.
METRICS = (
    Metric("rouge1", "ROUGE-1", "%", decimals=2, plot="scores"),
    Metric("rouge2", "ROUGE-2", "%", decimals=2, plot="scores"),
    Metric("rougeL", "ROUGE-L", "%", decimals=2, plot="scores"),
    Metric("rougeLsum", "ROUGE-Lsum", "%", decimals=2, plot="scores", hidden_by=ROUGE),
    Metric("bleu4", "BLEU-4", "%", decimals=2, plot="scores", hidden_by=ROUGE),
    Metric("accuracy", unit="%", decimals=2, plot="scores", hidden_by=ROUGE),
    Metric("f1", "F1", "%", decimals=2, plot="scores", hidden_by=ROUGE),
    Metric("f1_macro", "macro F1", "%", decimals=2, plot="scores", hidden_by=ROUGE),
    Metric("matthews", "Matthews correlation", "%", decimals=2, plot="scores", hidden_by=ROUGE),
    Metric("ece", "calibration error (ECE)", "%", "lower", decimals=2, plot="scores", hidden_by=ROUGE),
    Metric("perplexity", unit="per token", direction="lower", decimals=2, plot="own"),
    Metric("loss", unit="nats", direction="lower", decimals=3),
    Metric("embedding_similarity", "similarity of the vectors", "%"),
    Metric("unsupported", "numbers and names not in the source", "%", "lower"),
    Metric("unsupported_of_targets", "numbers and names of the targets not in the source", "%", "none"),
    Metric("unsupported_summaries", "summaries with such a number or name", "%", "lower"),
    Metric("copied", "copied from the source", "%", "none"),
    Metric("copied_of_targets", "copied from the source by the targets", "%", "none"),
    Metric("novel_1grams", "novel words", "%", "none"),
    Metric("novel_2grams", "novel 2-grams", "%", "none"),
    Metric("novel_2grams_of_targets", "novel 2-grams of the targets", "%", "none"),
    Metric("novel_3grams", "novel 3-grams", "%", "none"),
    Metric("length_ratio", "length compared with the targets", "%", "none"),
    Metric("distinct1", unit="%"),
    Metric("distinct2", unit="%"),
    Metric("exact_copies", unit="%", direction="lower"),
    Metric("generated_characters", unit="characters", direction="none"),
    Metric("generated_lines", unit="lines", direction="none"),
    Metric("lead_length", unit="characters or words", direction="none"),
    Metric("longest_copy", unit="words", direction="lower"),
    Metric("longest_copy_max", unit="words", direction="lower"),
    Metric("max_bleu", unit="%", direction="lower"),
    Metric("originality", unit="%"),
    Metric("rhyme", unit="%"),
    Metric("rhyme_of_real_lines", unit="%"),
    Metric("rhyme_by_chance", unit="%", direction="none"),
    Metric("slant_rhyme", unit="%"),
    Metric("slant_rhyme_of_real_lines", unit="%"),
    Metric("slant_rhyme_by_chance", unit="%", direction="none"),
    Metric("rhyme_length", "rhyme length in syllables", unit="syllables"),
    Metric("rhyme_length_of_real_lines", "rhyme length of real lines", unit="syllables"),
    Metric("rhyme_length_by_chance", "rhyme length by chance", unit="syllables", direction="none"),
    Metric("tokens", unit="tokens", direction="none", in_report=False),
)


def known_metrics() -> dict[str, Metric]:
    """Return key -> metric for all metrics, ours first. A user's metric replaces ours with the same key.

    Raises:
        UserError: METRICS in a user's module contains something other than a Metric.
    """
    metrics = {metric.key: metric for metric in METRICS}
    for entries in user_plugins("METRICS"):
        for entry in entries:
            if not isinstance(entry, Metric):
                raise UserError(f"METRICS of an --import module: {entry!r} is not a Metric of paddle_ft.metrics.registry.")
            metrics[entry.key] = entry
    return metrics


def find_metric(key: str) -> Metric:
    """Return the metric with this key. For an unknown key, return one with default values, where higher is better."""
    return known_metrics().get(key) or Metric(key)
