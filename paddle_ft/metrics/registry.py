"""What each figure of an evaluation is called, which direction is better, and how it is written. One entry a metric.

The training loop, the tables, the plots and the report look a figure up here by its key in results.json and nowhere else. A
user's module, named with --import, adds entries of its own as METRICS = (Metric(...), ...): to describe what a task of their own
reports, or, with `compute`, to add a figure to a task that exists (user_metrics.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import user_plugins


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        key: its name in results.json, metrics.jsonl and eval.best_metric.
        label: its name in plots and the report. Default: the key with spaces for underscores.
        unit: of the value, for the axis of a plot.
        direction: which values are better; "none" for a count, which no run should be chosen by.
        decimals: places shown. None: two, and none for a whole number.
        in_report: whether tables of the report show it.
        in_plot: whether the plot of scores, whose axis goes from 0 to 100, shows it.
        compute: for a figure that no task reports: (predictions [n], references [n]) -> one number, or a list of one number a
            row, whose mean is the figure and is given a 95 % interval.
        tasks: names of the tasks whose predictions `compute` is applied to.
    """

    key: str
    label: str = ""
    unit: str = ""
    direction: Literal["higher", "lower", "none"] = "higher"
    decimals: int | None = None
    in_report: bool = True
    in_plot: bool = False
    compute: Callable[[list, list], Any] | None = None
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        if isinstance(self.tasks, str) or bool(self.compute) != bool(self.tasks):
            raise ValueError(f'Metric {self.key!r}: compute goes with the tasks it is for, such as tasks=("summarization",)')

    @property
    def title(self) -> str:
        """The label, or what stands for one."""
        return self.label or self.key.replace("_", " ")

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower value is better. A figure without a direction counts as one where higher is better."""
        return self.direction == "lower"

    def is_better(self, value: float, other: float) -> bool:
        """Return whether `value` is better than `other`. Equal values and NaN are not."""
        return value < other if self.lower_is_better else value > other


# Tables show the metrics in this order.
METRICS = (
    Metric("rouge1", "ROUGE-1", "%", decimals=2, in_plot=True),
    Metric("rouge2", "ROUGE-2", "%", decimals=2, in_plot=True),
    Metric("rougeL", "ROUGE-L", "%", decimals=2, in_plot=True),
    Metric("rougeLsum", "ROUGE-Lsum", "%", decimals=2, in_plot=True),
    Metric("bleu4", "BLEU-4", "%", decimals=2, in_plot=True),
    Metric("accuracy", unit="%", decimals=2, in_plot=True),
    Metric("f1", "F1", "%", decimals=2, in_plot=True),
    Metric("f1_macro", "macro F1", "%", decimals=2, in_plot=True),
    Metric("matthews", "Matthews correlation", "%", decimals=2, in_plot=True),
    Metric("ece", "calibration error (ECE)", "%", "lower", decimals=2, in_plot=True),
    Metric("perplexity", unit="per token", direction="lower", decimals=2),
    Metric("loss", unit="nats", direction="lower", decimals=3),
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
    Metric("tokens", unit="tokens", direction="none", in_report=False),
)


def known_metrics() -> dict[str, Metric]:
    """Return all metrics by key, ours first. A user's entry replaces ours of the same key.

    Raises:
        UserError: METRICS of a user's module holds something else than Metric.
    """
    metrics = {metric.key: metric for metric in METRICS}
    for entries in user_plugins("METRICS"):
        for entry in entries:
            if not isinstance(entry, Metric):
                raise UserError(f"METRICS of an --import module: {entry!r} is no Metric of paddle_ft.metrics.registry.")
            metrics[entry.key] = entry
    return metrics


def find_metric(key: str) -> Metric:
    """Return the metric of that key. For an unknown key higher is better, and its label comes from the key."""
    return known_metrics().get(key) or Metric(key)
