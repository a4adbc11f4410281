"""Define the interface of a task: rows, features, batches, loss and scores.

A task does not load or save models, and knows nothing about devices, processes or the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from paddle_ft.config.schema import BaseConfig, ModelSection, Section
from paddle_ft.data.row_texts import AllTexts
from paddle_ft.data.rows import Rows
from paddle_ft.metrics.paired import RowCounts, row_means
from paddle_ft.models.request import ModelRequest
from paddle_ft.system.decisions import DECISIONS, unique
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import is_number


@dataclass
class Dataset:
    """The encoded rows of one split.

    Attributes:
        split: its name.
        rows: the rows as they were read.
        columns: features by name, each indexable by row number.
        lengths: [n] number of tokens of each row, for grouping rows of similar length.
        info: facts for the report (number of rows, truncated rows, bad rows). The training takes the entry "decisions" out.
    """

    split: str
    rows: Sequence[dict[str, str]]
    columns: dict[str, Any]
    lengths: np.ndarray
    info: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def decide(self, *decisions: str) -> None:
        """Note what `encode` decides for the user (see system.decisions). It is not printed here."""
        if decisions:
            self.info[DECISIONS] = unique(self.info.get(DECISIONS, []), decisions)

    def take(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """Return a data set of some of the rows."""
        columns = {name: [column[i] for i in indices] for name, column in self.columns.items()}
        return Dataset(self.split, [self.rows[i] for i in indices], columns, self.lengths[indices], self.info)


@dataclass
class Scores:
    """The result of an evaluation.

    Attributes:
        metrics: figures by name ("loss", "rougeL", "rougeL_ci", ...).
        predictions: a dictionary for each prediction that is written to a file.
        losses: what Task.row_losses returns.
    """

    metrics: dict[str, Any]
    predictions: list[dict[str, Any]] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)


@dataclass
class EvalStep:
    """The result of one evaluation batch.

    Attributes:
        rows: a result for each row of the batch, or None for a task that needs only the sums.
        loss: the loss summed over the batch's targets; 0 if the task computes it from `rows`.
        targets: number of the batch's targets; 0 if the task computes the loss from `rows`.
    """

    rows: list[Any] | None = None
    loss: float = 0.0
    targets: int = 0


@dataclass
class EvalResult:
    """The result of all evaluation batches.

    Attributes:
        rows: the results of all rows, in order.
        loss: mean loss of a target.
        texts: the generated texts, [] for a task that does not generate.
    """

    rows: list[Any]
    loss: float
    texts: list[str]


@dataclass(frozen=True)
class Flag:
    """A flag of the command `generate` for runs of one task. Its value is None if it is not set.

    Attributes:
        name: the flag's name, with "_" instead of the command line's "-".
        type: type of the value.
        metavar: name of the value in --help.
        help: description in --help.
    """

    name: str
    type: type
    metavar: str
    help: str


class TaskOptions(Section):
    """Settings that only this task has."""


class Task:
    """Base class of all tasks. A module publishes its subclass as TASK.

    A task defines the methods in REQUIRED. The others have defaults; a task whose `eval_inputs` returns inputs also defines
    `generate`.

    Attributes:
        REQUIRED: names of the methods that a task must define.
        name: the task's name in `task.name`.
        head_type: which of an architecture's model classes it trains, a key of Architecture.model_classes.
        Options: its `task` section of the configuration.
        Model: its `model` section.
        sections: further sections by name.
        required_fields, optional_fields: fields that a row must have, and fields that it may have.
        best_metric: the metric that decides which checkpoint becomes best/.
        reference_field: the field of a prediction row with the correct "prediction", for the user's own metrics; None: it has none.
        generates_by_chance: whether `generate` draws random numbers even without sampling.
        generation_flags: flags that the command `generate` has for this task.
        takes_pairs: whether `predict` also takes (text, text_pair) tuples.
        file_source: the source that reads the user's own files, if data.source is null or they replace a split of another source.
            None: each line of a .txt file and each record of a table is a row.
        train_batch: makes a batch for a training step, with the arguments of `collate_fn`. None: collate_fn makes it.
        demo_page: the module of paddle_ft/demo/pages with the task's demo page; "": the page that fits every task.
        on_step: called after each token that `predict` or `generate_texts` generates; an exception that it raises stops the
            generation. None: nothing is called.
    """

    REQUIRED: ClassVar = (
        "encode", "collate_fn", "count_targets", "loss", "eval_step", "scores", "baselines", "preview", "predict",
    )  # fmt: skip

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
    file_source: ClassVar[str | None] = None
    train_batch: Callable[..., dict[str, np.ndarray]] | None = None
    demo_page: ClassVar[str] = ""
    on_step: Callable[[], None] | None = None

    def __init__(self, config: BaseConfig):
        self.config = config
        self.options = config.task

    # -------------------------------------------------------------------------------- rows and model
    def prepare_rows(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        """Return the rows to encode, made from the rows as read: split, cleaned, paired. Facts about this go into Rows.info.

        What is decided for the user is noted with Rows.decide.
        """
        return rows

    def prepare_split(self, rows: Rows, split: str) -> Rows:
        """Do the same for one split whose other splits are not available, as when a finished run is evaluated."""
        return rows

    def model_request(self, train: Rows | None) -> ModelRequest:
        """Return what the task needs of its model. A new tokenizer is built from the training rows `train`."""
        return ModelRequest(self.head_type, texts=AllTexts(train.rows) if train else ())

    def set_model(self, bundle) -> None:
        """Use this model (a models.bundle.ModelBundle). Raise UserError if it does not fit the task's options."""
        self.bundle = bundle
        self.model, self.tokenizer, self.fast_tokenizer = bundle.model, bundle.tokenizer, bundle.fast_tokenizer
        if self.model.config.pad_token_id is None:
            raise UserError("model: its config.json has no pad_token_id. Set it to the number of the tokenizer's padding token.")

    def model_decisions(self) -> list[str]:
        """Return what the task decides about the loaded model that a training starts from (see system.decisions)."""
        return []

    # -------------------------------------------------------------------------------- features and batches
    def encode_texts(self, texts: Sequence, label: str, max_length: int | None = None, cache: bool = True):
        """Return the token ids of texts, or of pairs of texts (tokenization.encode.encode_texts).

        Args:
            texts: the texts, or the pairs.
            label: name of the progress bar.
            max_length: number of tokens to cut each text to.
            cache: whether to use the cache on disk, unless data.cache is off.
        """
        from paddle_ft.tokenization.encode import encode_texts

        cache = cache and self.config.data.cache
        return encode_texts(self.fast_tokenizer, texts, max_length=max_length, label=label, cache=cache)

    def encode(self, rows: Rows, split: str) -> Dataset:
        """Return the rows of a split as token ids and other features."""
        raise NotImplementedError

    def collate_fn(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return some rows as one padded batch of arrays. All randomness must come from `rng`."""
        raise NotImplementedError

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        """Return the number of targets in the batch. The training step divides the summed loss by their number in all batches."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------- training and measuring
    def loss(self, batch: dict[str, Any]):
        """Return the sum (not the mean) of the loss over the batch's targets, a scalar tensor."""
        raise NotImplementedError

    def eval_dataset(self, dataset: Dataset) -> Dataset:
        """Return the data set in the form that is evaluated, for example without noise or with fixed masks."""
        return dataset

    def eval_step(self, batch: dict[str, Any], indices: np.ndarray) -> EvalStep:
        """Return what `scores` needs of one batch. The model is in eval mode, without gradients.

        Args:
            batch: what collate_fn returned, as tensors.
            indices: [b], numbers of the batch's rows in the data set.
        """
        raise NotImplementedError

    def eval_inputs(self, dataset: Dataset) -> list | None:
        """Return the inputs that an evaluation generates from, or None for a task that does not generate."""
        return None

    def scores(self, dataset: Dataset, result: EvalResult) -> Scores:
        """Return the metrics and the predictions of an evaluation."""
        raise NotImplementedError

    def row_losses(self, dataset: Dataset, result: EvalResult) -> list[dict[str, float]]:
        """Return what each row of an evaluation adds to the loss, for the comparison of runs (metrics.perplexity.loss_counts).

        Without it (an empty list), runs of the task are compared without their loss.
        """
        return []

    def row_counts(self, predictions: list[dict[str, Any]], facts: dict[str, Any]) -> list[RowCounts]:
        """Return what each prediction adds to the metrics besides the loss, for the comparison of runs.

        By default these are the means of the numbers and truth values (in percent) that every prediction has. Only those that are
        called like a metric of the task are used.

        Args:
            predictions: the rows of predictions-<split>.jsonl.
            facts: "data" of results.json.
        """
        values = {
            name: [100.0 * row[name] if isinstance(row[name], bool) else row[name] for row in predictions]
            for name in predictions[0]
            if all(is_number(row.get(name)) or isinstance(row.get(name), bool) for row in predictions)
        }
        return [row_means(values)] if values else []

    def baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Return the scores of baselines without a model by name, the main baseline first."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Return entries for "data" in results.json, besides the facts about each split."""
        return {}

    def run_files(self) -> dict[str, str]:
        """Return files for the run's folder texts/: file name -> content. Called after `encode`."""
        return {}

    # -------------------------------------------------------------------------------- for people
    def header_lines(self, dataset: Dataset) -> list[str]:
        """Return lines about an encoded split for the header, besides its numbers of rows and of truncated rows."""
        return []

    def preview(self, dataset: Dataset, count: int = 2) -> str:
        """Return the first rows as the model sees them, as text for people."""
        raise NotImplementedError

    def predict(self, texts: list, label: str) -> list[dict[str, Any]]:
        """Return a prediction for each input, in order. Inputs are texts, or with takes_pairs also (text, text_pair) tuples."""
        raise NotImplementedError

    def prediction_line(self, row: dict[str, Any]) -> str:
        """Return a row of `predict` as one line of plain text."""
        return str(row["prediction"]).replace("\n", " ")

    def generate(self, inputs: list, label: str) -> list[str]:
        """Return a generated text for each input of `eval_inputs`, in order."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------- python -m paddle_ft generate
    def generate_texts(
        self, flags: dict[str, Any], search: dict[str, Any], show: Callable[[str], None] | None
    ) -> Iterator[dict[str, Any]]:
        """Yield a row for each text that the command `generate` writes. The row has the text under "text".

        Args:
            flags: values of generation_flags by name, and "run" (the run's path) and "seed". A flag that is not set is None.
            search: how tokens are chosen, as keywords of GenerationOptions (num_beams, do_sample, top_k, seed, ...).
            show: called with each piece of the text as it is generated (--stream), or None.

        Raises:
            UserError: the task cannot do this, or the flags contradict each other.
        """
        raise UserError(f"generate: a run of {self.name} does not write texts from prompts; use predict for new inputs.")
