"""Define `Family`, the description of an architecture, and `Task`, the description of one of its model classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from convert.errors import ConvertError
from convert.fields import COMMON, Entry, merge_entries
from convert.pairs import TensorPair
from convert.rules import Rule, expand


@dataclass(frozen=True)
class Task:
    """A model class that both libraries have.

    Attributes:
        name: The task, as in `--task`.
        hf_class: Name of transformers' class.
        paddle_class: Name of PaddleNLP's class.
        head: Rules of the layers on top of the base model.
        backbone: Rules of parts of the base model that only some classes have.
        base: Whether the class is the base model itself, whose tensor names have no prefix.
        spare_groups: Groups of tensors that only Paddle's class has and that no output of the task depends on (BERT's pooler).
        untied: Whether the class is for checkpoints whose head differs from the embedding, which PaddleNLP's usual class of this
            task cannot represent.
        note: A note for the user when this class is used.
        num_labels: Name of the field with the number of labels of Paddle's class, if they are not labels for transformers.
        outputs: Names of transformers' outputs, in the order in which Paddle's class returns them.
        refused: Why PaddleNLP's class computes something else with any weights. The task is then refused.
        config: Configuration fields that only this task has.
        guards: Names of parameters of another class that would load the checkpoint too and compute something else. A single number
            is written under each, which that class refuses because of its shape.
    """

    name: str
    hf_class: str
    paddle_class: str
    head: Sequence[Rule] = ()
    backbone: Sequence[Rule] = ()
    base: bool = False
    spare_groups: tuple[str, ...] = ()
    untied: bool = False
    note: str = ""
    num_labels: str | None = None
    outputs: tuple[str, ...] = ("logits",)
    refused: str = ""
    config: Sequence[Entry] = ()
    guards: tuple[str, ...] = ()

    @property
    def head_group(self) -> str:
        """Return the `group` of the head's tensors."""
        return f"head of {self.name}"


@dataclass(frozen=True)
class Family:
    """Everything that the conversion knows about one architecture.

    Attributes:
        model_type: Hugging Face's name, as in config.json.
        paddle_type: PaddleNLP's name.
        hf_prefix: Prefix of the base model's tensors in a Hugging Face model with a head.
        paddle_prefix: The same in a Paddle model.
        config: The table of configuration fields.
        backbone: Rules of the base model.
        tasks: Its model classes.
        layers: (Hugging Face's name, Paddle's name, count) of the modules whose outputs `verify` compares. `count` is the
            configuration field with the number of modules, numbered by `{i}` in the names; None means a single module.
        tokenizer: How a tokenizer.json is built from vocabulary files: a key of convert.tokenizers.builders.BUILDERS, or
            "ready_made" if only an existing tokenizer.json can be used.
        token_types: Whether the model takes token_type_ids.
        seq2seq: Whether the model has a decoder with its own input ids.
        classifies_at_last_token: Whether its sequence classifier reads the last token before the padding. Without a padding id
            transformers then takes one text at a time.
        harmless: Configuration fields that do not change what this architecture computes although their names suggest it.
        sizes: (configuration) -> further sizes that the rules need.
        ignored: Pattern -> reason, for tensors in the file that are not needed. The pattern is searched in the name without
            prefix.
    """

    model_type: str
    paddle_type: str
    hf_prefix: str
    paddle_prefix: str
    config: Sequence[Entry]
    backbone: Sequence[Rule]
    tasks: Sequence[Task]
    layers: Sequence[tuple[str, str, str | None]]
    tokenizer: str
    token_types: bool = False
    seq2seq: bool = False
    classifies_at_last_token: bool = False
    harmless: Sequence[str] = ()
    sizes: Callable[[dict], dict] | None = None
    ignored: Mapping[str, str] = field(default_factory=dict)

    def pairs(self, task: Task, sizes: dict) -> list[TensorPair]:
        """Return the pairs of all tensors of a task's class.

        Args:
            task: One of `tasks`.
            sizes: A complete Hugging Face configuration.
        """
        if self.sizes:
            sizes = {**sizes, **self.sizes(sizes)}
        prefixes = {} if task.base else {"hf_prefix": self.hf_prefix, "paddle_prefix": self.paddle_prefix}
        return expand((*self.backbone, *task.backbone), task.head, sizes, head_group=task.head_group, **prefixes)

    @property
    def base_task(self) -> Task:
        """Return the task of the base model, or the first one if there is none."""
        return next((task for task in self.tasks if task.base), self.tasks[0])

    def entries(self, task: Task) -> list[Entry]:
        """Return the complete table of configuration fields of a task's class."""
        return merge_entries(COMMON, self.config, task.config)

    def task(self, name: str, *, untied: bool = False) -> Task:
        """Return the task of that name.

        Args:
            name: A task name, as in `--task`.
            untied: Whether to prefer the class for checkpoints whose head differs from the embedding.

        Raises:
            ConvertError: The family has no such task; the message names its tasks.
        """
        candidates = [task for task in self.tasks if task.name == name]
        if not candidates:
            known = ", ".join(dict.fromkeys(task.name for task in self.tasks))
            raise ConvertError(f"{self.model_type} has no task {name!r} in both libraries; it has: {known}")
        return next((task for task in candidates if task.untied == untied), candidates[0])

    def task_of_class(self, class_name: str, *, paddle: bool) -> Task | None:
        """Return the task whose class in Paddle's or Hugging Face's library has that name, or None. Untied classes are last."""
        tasks = sorted(self.tasks, key=lambda task: task.untied)
        return next((task for task in tasks if (task.paddle_class if paddle else task.hf_class) == class_name), None)
