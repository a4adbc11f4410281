"""What the rest of the program asks of a task: rows, features, batches, loss, scores. A task knows nothing of how models are
loaded or saved, of devices, of processes, or of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from paddle_ft.config.schema import BaseConfig, ModelSection, Section
from paddle_ft.data.rows import Rows
from paddle_ft.models.request import ModelRequest
from paddle_ft.system.errors import UserError


@dataclass
class Dataset:
    """The encoded rows of one split.

    Attributes:
        rows: the texts as read.
        columns: encoded features by name, each indexable by row number.
        lengths: [n] tokens of each row, for grouping rows of similar length.
        info: facts to report (rows, truncated, bad rows).
    """

    split: str
    rows: list[dict[str, str]]
    columns: dict[str, Any]
    lengths: np.ndarray
    info: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def head(self, n: int) -> Dataset:
        """Return the first n rows."""
        columns = {name: [column[i] for i in range(min(n, len(self)))] for name, column in self.columns.items()}
        return Dataset(self.split, self.rows[:n], columns, self.lengths[:n], self.info)


@dataclass
class Scores:
    """The result of an evaluation: figures by name ("loss", "rougeL", "rougeL_ci", ...) and one dictionary a prediction."""

    metrics: dict[str, Any]
    predictions: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class EvalStep:
    """What one batch of an evaluation gives.

    Attributes:
        rows: one result a row of the batch, or None for a task that needs sums alone.
        loss: the loss summed over the batch's targets; targets: how many there are. Both 0 where `rows` says it all.
    """

    rows: list[Any] | None = None
    loss: float = 0.0
    targets: int = 0


@dataclass
class EvalResult:
    """What a whole evaluation gives: the results of all rows in order, the mean loss a target, the generated texts."""

    rows: list[Any]
    loss: float
    texts: list[str]


@dataclass(frozen=True)
class Flag:
    """A flag of `generate` that runs of one task have. It is None where it is not set.

    Attributes:
        name: with "_" where the command line has "-".
        type: of its value.
        metavar: what --help calls the value.
        help: its line in --help.
    """

    name: str
    type: type
    metavar: str
    help: str


class TaskOptions(Section):
    """What this task alone can set."""


class Task:
    """One kind of training. A subclass lies in a module of this folder, or of a user's own, and is published there as TASK.

    Attributes:
        name: what `task.name` calls it.
        head_type: which of an architecture's model classes it trains; a key of Architecture.model_classes.
        Options, Model, sections: its sections of the configuration.
        required_fields, optional_fields: what a row must and may have.
        best_metric: the metric that decides which checkpoint is kept as best/.
        reference_field: the field of a prediction's row that holds what "prediction" should be, for metrics of a user's own.
        generates_by_chance: whether `generate` draws random numbers even where it does not sample.
        generation_flags: this task's own flags of `generate`.
        takes_pairs: whether `predict` also takes (text, text_pair) tuples.
    """

    name: ClassVar[str]
    head_type: ClassVar[str]
    Options: ClassVar[type[Section]] = TaskOptions
    Model: ClassVar[type[ModelSection]] = ModelSection
    sections: ClassVar[dict[str, type[Section]]] = {}
    required_fields: ClassVar[tuple[str, ...]]
    optional_fields: ClassVar[tuple[str, ...]] = ()
    best_metric: ClassVar[str]
    reference_field: ClassVar[str | None] = None
    generates_by_chance: ClassVar[bool] = False
    generation_flags: ClassVar[tuple[Flag, ...]] = ()
    takes_pairs: ClassVar[bool] = False

    def __init__(self, config: BaseConfig):
        self.config = config
        self.options = config.task

    # -------------------------------------------------------------------------------- rows and model
    def prepare_rows(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        """Turn the rows of all splits as read into those that are encoded: split, clean, pair. Facts go into Rows.info."""
        return rows

    def prepare_split(self, rows: Rows, split: str) -> Rows:
        """Do the same for one split alone, for an evaluation where the others cannot be had. Nothing is split."""
        return rows

    def model_request(self, train: Rows | None) -> ModelRequest:
        """Return what the task needs of a new model. `train`: rows that a new tokenizer may be built from."""
        texts = [text for row in (train.rows if train else []) for text in row.values()]
        return ModelRequest(self.head_type, texts=texts)

    def set_model(self, bundle) -> None:
        """Use a model (models.bundle.ModelBundle) from now on. Raise UserError where it does not fit the task's options."""
        self.bundle = bundle
        self.model, self.tokenizer, self.fast_tokenizer = bundle.model, bundle.tokenizer, bundle.fast_tokenizer

    # -------------------------------------------------------------------------------- features and batches
    def encode(self, rows: Rows, split: str) -> Dataset:
        """Turn texts into token ids."""
        raise NotImplementedError

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return some rows as one padded batch of arrays. `rng` is the only source of randomness."""
        raise NotImplementedError

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        """Return how many predictions the loss of this batch sums over. The loop divides by their number in the whole step."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------- training and measuring
    def loss(self, batch: dict[str, Any]):
        """Return the sum (not the mean) of the loss over the batch's targets, a scalar tensor."""
        raise NotImplementedError

    def eval_dataset(self, dataset: Dataset) -> Dataset:
        """Return the data set as it is scored: without noise, with fixed masks."""
        return dataset

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        """Return what `scores` needs of one batch of tensors. The model is in eval mode and no gradient is kept.

        indices: [b] the batch's rows in the data set.
        """
        raise NotImplementedError

    def eval_inputs(self, dataset: Dataset) -> list | None:
        """Return the inputs to generate from in an evaluation, or None for a task that does not generate."""
        return None

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        """Return all figures of an evaluation, and predictions for people to read."""
        raise NotImplementedError

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of what needs no model, by name, the main one first."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Return what results.json tells under "data" beside the facts of each split."""
        return {}

    def run_files(self) -> dict[str, str]:
        """Return what the run keeps of its data in the folder texts/: file name -> content. Called after `encode`."""
        return {}

    # -------------------------------------------------------------------------------- for people
    def preview(self, dataset: Dataset, count: int = 2) -> str:
        """Return rows as the model sees them, for people."""
        raise NotImplementedError

    def predict(self, texts: list, label: str) -> list[dict[str, Any]]:
        """Return predictions for new inputs, in order. `texts`: strings, with takes_pairs also (text, text_pair)."""
        raise NotImplementedError

    def prediction_line(self, row: dict[str, Any]) -> str:
        """Return a row of `predict` as one line of plain text."""
        return str(row["prediction"]).replace("\n", " ")

    def generate(self, inputs: list, label: str) -> list[str]:
        """Return a generated text for each of `eval_inputs`, in order."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------- python -m paddle_ft generate
    def generate_texts(
        self, flags: dict[str, Any], search: dict[str, Any], show: Callable[[str], None] | None
    ) -> Iterator[dict[str, Any]]:
        """Yield what `generate` writes: a row a text, with the text under "text".

        Args:
            flags: values of generation_flags by name; beside them "run", the run's path, and "seed", None where not set.
            search: how tokens are chosen, as keywords of GenerationOptions (num_beams, do_sample, top_k, seed, ...).
            show: with --stream: takes the text piece by piece as it is generated.
        """
        raise UserError(f"generate: a run of {self.name} does not write texts from prompts; use predict for new inputs.")
