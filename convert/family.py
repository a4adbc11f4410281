"""What a family file holds, and how families are found: every module in convert/families/ with a `FAMILY`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from convert.config import COMMON, Entry, merged
from convert.errors import ConvertError
from convert.rules import Pair, Rule, expand


@dataclass(frozen=True)
class Task:
    """A model class of both libraries.

    hf_class, paddle_class: their names; head: rules of what stands on the base model; backbone: rules of parts of the base
        model that only some classes have.
    base: the class is the base model itself, whose names carry no prefix.
    spare: groups that Paddle's class has though Hugging Face's has not and no output of the task depends on (BERT's pooler).
    untied: this entry stands in for the one of the same name where the checkpoint's head differs from its embedding and
        Paddle's usual class cannot hold that; `note` says so to the user.
    num_labels: field that counts the labels of Paddle's class, where they are not labels for transformers.
    refused: why PaddleNLP's class cannot be right, whatever its weights.
    outputs: names of transformers' outputs, in the order in which Paddle's class returns them.
    config: fields that only this task has.
    """

    name: str
    hf_class: str
    paddle_class: str
    head: Sequence[Rule] = ()
    backbone: Sequence[Rule] = ()
    base: bool = False
    spare: tuple[str, ...] = ()
    untied: bool = False
    note: str = ""
    num_labels: str | None = None
    outputs: tuple[str, ...] = ("logits",)
    refused: str = ""
    config: Sequence[Entry] = ()


@dataclass(frozen=True)
class Family:
    """All that is known of one architecture.

    model_type: of Hugging Face's config.json; paddle_type: PaddleNLP's name for it.
    config: how configuration fields correspond; backbone: the base model's rules; tasks: its classes.
    ignored: pattern (searched in the name without prefix) -> why such a tensor of the file is not needed.
    layers: (Hugging Face, Paddle) names of the modules whose outputs are compared, `{i}` counting `layer_count`.
    tokenizer: how to build a tokenizer.json from vocabulary files: a name of convert.tokenizers.BUILDERS.
    token_types: the model takes token_type_ids; seq2seq: it has a decoder that is fed ids of its own.
    sizes: computes sizes that the rules need and the configuration does not name.
    harmless: configuration fields that change no computation of this architecture, whatever they sound like.
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
    harmless: Sequence[str] = ()
    sizes: Callable[[dict], dict] | None = None
    ignored: Mapping[str, str] = field(default_factory=dict)

    def pairs(self, task: Task, sizes: dict) -> list[Pair]:
        """Every tensor of the task's class under the sizes of a Hugging Face configuration."""
        if self.sizes:
            sizes = {**sizes, **self.sizes(sizes)}
        prefixes = {} if task.base else {"hf_prefix": self.hf_prefix, "paddle_prefix": self.paddle_prefix}
        return expand((*self.backbone, *task.backbone), task.head, sizes, head_group=f"head of {task.name}", **prefixes)

    def entries(self, task: Task) -> list:
        """The configuration table of the task's class."""
        return merged(COMMON, self.config, task.config)

    def task(self, name: str, *, untied: bool = False) -> Task:
        """The task of that name.

        Raises: ConvertError naming the tasks there are.
        """
        found = [task for task in self.tasks if task.name == name]
        if not found:
            known = ", ".join(dict.fromkeys(task.name for task in self.tasks))
            raise ConvertError(f"{self.model_type} has no task {name!r} in both libraries; it has: {known}")
        return next((task for task in found if task.untied == untied), found[0])

    def task_of_class(self, name: str, *, paddle: bool) -> Task | None:
        """The task whose class of that library is called `name`; stand-ins for untied heads come last."""
        tasks = sorted(self.tasks, key=lambda task: task.untied)
        return next((task for task in tasks if (task.paddle_class if paddle else task.hf_class) == name), None)


@cache
def families() -> dict[str, Family]:
    """Every family by Hugging Face model_type, from the modules of convert.families."""
    import convert.families as package

    modules = (importlib.import_module(f"{package.__name__}.{info.name}") for info in pkgutil.iter_modules(package.__path__))
    found = [family for module in modules for family in getattr(module, "FAMILIES", ())]
    return {family.model_type: family for family in found}


def family_of(config: dict, where: str, *, paddle: bool) -> Family:
    """The family that a configuration belongs to.

    Raises: ConvertError naming the families there are.
    """
    name = config.get("model_type")
    for family in families().values():
        if name == (family.paddle_type if paddle else family.model_type):
            return family
    known = ", ".join(sorted(families()))
    problem = f"model_type {name!r} is not supported" if name else "no model_type, so the architecture is unknown"
    raise ConvertError(f"{where}: {problem}; supported are: {known}")
