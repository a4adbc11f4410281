"""What the training loop asks of a task. A task knows its data, loss and metrics; nothing of checkpoints or devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from paddle_ft.config.schema import BaseConfig, ModelSection, Section
from paddle_ft.data.rows import Rows
from paddle_ft.models import bundle as models
from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import on_cpu
from paddle_ft.system.world import World


@dataclass
class Dataset:
    """Encoded rows of one split.

    rows: the texts as read; columns: encoded features by name, each indexable by row number; lengths: [n] tokens a row, for
    grouping; info: facts to report (rows, truncated, bad rows).
    """

    split: str
    rows: list[dict[str, str]]
    columns: dict[str, Any]
    lengths: np.ndarray
    info: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def head(self, n: int) -> Dataset:
        """The first n rows."""
        columns = {name: [column[i] for i in range(min(n, len(self)))] for name, column in self.columns.items()}
        return Dataset(self.split, self.rows[:n], columns, self.lengths[:n], self.info)


@dataclass
class Scores:
    """Result of an evaluation: figures by name ("loss", "rougeL", "rougeL_ci", ...) and one row a prediction."""

    metrics: dict[str, Any]
    predictions: list[dict[str, Any]] = field(default_factory=list)


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
    """One kind of training. Subclasses live in a file of this folder and are published there as TASK."""

    name: ClassVar[str]
    kind: ClassVar[str]  # key of models.MODEL_CLASSES
    Options: ClassVar[type[Section]] = TaskOptions
    Model: ClassVar[type[ModelSection]] = ModelSection
    sections: ClassVar[dict[str, type[Section]]] = {}  # further sections of the configuration
    fields: ClassVar[tuple[str, ...]]  # what a row must have
    optional_fields: ClassVar[tuple[str, ...]] = ()
    best_metric: ClassVar[str]  # decides which checkpoint is kept as best/
    generates_by_chance: ClassVar[bool] = False  # whether `generate` draws something even where it does not sample
    generation_flags: ClassVar[tuple[Flag, ...]] = ()  # this task's own flags of `generate`
    takes_pairs: ClassVar[bool] = False  # whether predict also takes (text, text_pair) tuples

    def __init__(self, config: BaseConfig):
        self.config = config
        self.options = config.task
        self.world = World()  # shares rows of evaluation among processes, where there are several

    # -------------------------------------------------------------------------------- model
    def load_model(self, folder: Path, train: Rows | None) -> None:
        """Loads or builds model and tokenizer. `train`: rows that a new tokenizer may be built from."""
        texts = [text for row in (train.rows if train else []) for text in row.values()]
        self._use(models.load(self.kind, self.config.model, folder, lambda: texts, self.special_tokens(train)))

    def special_tokens(self, train: Rows | None) -> dict[str, Any]:
        """Tokens the task adds to the vocabulary, as the tokenizer's add_special_tokens takes them: {"bos_token": "<BOS>",
        "additional_special_tokens": [...]}."""
        return {}

    def ensure_model_files(self) -> None:
        """Fetches the files of the pretrained model and tokenizer. Raises UserError naming those that cannot be had."""
        section = self.config.model
        if section.pretrained is not None:
            models.resolve(section.pretrained, self.kind)
        if section.tokenizer is not None:
            models.resolve(section.tokenizer, self.kind, weights=False)

    def reload_model(self, directory: Path) -> None:
        """Loads what save_model wrote."""
        self._use(models.reload(self.kind, directory))

    def _use(self, loaded: models.Loaded) -> None:
        from paddle_ft.models.attention import use_attention
        from paddle_ft.models.recompute import recompute_activations

        use_attention(loaded.model, self.config.model.attention)
        if on_cpu() and not self.config.train.compile:
            from paddle_ft.models.cpu_layers import use_cpu_layers

            use_cpu_layers(loaded.model)
        if self.config.train.recompute:
            recompute_activations(loaded.model)
        self.loaded = loaded
        self.model, self.tokenizer, self.fast_tokenizer = loaded.model, loaded.tokenizer, loaded.fast_tokenizer

    def save_model(self, directory: Path) -> None:
        models.save(self.loaded, directory)

    # -------------------------------------------------------------------------------- data
    def arrange(self, rows: dict[str, Rows]) -> dict[str, Rows]:
        """From the rows as read, by split, to the rows that are encoded: splitting, cleaning, pairing. Unchanged by default.
        Facts for the report go into Rows.info."""
        return rows

    def arrange_one(self, rows: Rows, split: str) -> Rows:
        """As `arrange`, for an evaluation of one split where the others cannot be had: nothing is split."""
        return rows

    def encode(self, rows: Rows, split: str) -> Dataset:
        """Texts to token ids."""
        raise NotImplementedError

    def collate(self, dataset: Dataset, indices: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Rows to one padded batch of arrays. `rng` is the only source of randomness."""
        raise NotImplementedError

    def count_targets(self, batch: dict[str, np.ndarray]) -> int:
        """How many predictions the loss of this batch sums over. The loop divides by their number in the whole step."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------- training and measuring
    def loss(self, batch: dict[str, Any]):
        """Sum (not mean) of the loss over the batch's targets: a scalar tensor."""
        raise NotImplementedError

    def evaluate(self, dataset: Dataset, label: str) -> Scores:
        """Scores the model on a data set, with progress under `label`."""
        raise NotImplementedError

    def baseline(self, dataset: Dataset, train: Dataset) -> tuple[str, Scores]:
        """Name and scores of what needs no model."""
        raise NotImplementedError

    def other_baselines(self, dataset: Dataset, train: Dataset) -> dict[str, Scores]:
        """Further baselines by name, where one is not enough."""
        return {}

    def facts(self) -> dict[str, Any]:
        """What results.json's "data" tells beside the facts of each split."""
        return {}

    def preview(self, dataset: Dataset, count: int = 2) -> str:
        """Rows as the model sees them, for people."""
        raise NotImplementedError

    def run_files(self) -> dict[str, str]:
        """What the run directory keeps of the data in its folder texts/: file name -> content. Asked for after encode."""
        return {}

    def predict(self, texts: list, label: str) -> list[dict[str, Any]]:
        """Predictions for new inputs, in order. `texts`: str each, with takes_pairs also (text, text_pair)."""
        raise NotImplementedError

    def line(self, row: dict[str, Any]) -> str:
        """A row of `predict` as one line of plain text."""
        return str(row["prediction"]).replace("\n", " ")

    # -------------------------------------------------------------------------------- python -m paddle_ft generate
    def generate_texts(
        self, flags: dict[str, Any], search: dict[str, Any], show: Callable[[str], None] | None
    ) -> Iterator[dict[str, Any]]:
        """Yields what `generate` writes: a row a text, with the text under "text".

        Args:
            flags: values of generation_flags by name; beside them "run", the run's path, and "seed", None where not set.
            search: how tokens are chosen, as keywords of GenerationOptions (num_beams, do_sample, top_k, seed, ...).
            show: with --stream: takes the text piece by piece as it comes into being.
        """
        raise UserError(f"generate: a run of {self.name} does not write texts from prompts; use predict for new inputs.")
