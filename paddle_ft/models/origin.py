"""Compare the weights of the checkpoint that a training starts from with those of its model: what is missing, what is left over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.config import ORIGINAL_KEY
from convert.loading import read_weights
from convert.report import JSON_NAME
from paddle_ft.models.resolve import read_config
from paddle_ft.tokenization.load import read_json

_HEAD = re.compile(r"For[A-Z]\w*$")
_OTHER_HEAD = "head of "  # how the converter's report begins the reason for which it left out the head of another task


@dataclass
class Origin:
    """The checkpoint that a training starts from, in Paddle layout.

    Attributes:
        directory: where it is.
        config: contents of its config.json.
        conversion: contents of the converter's report, {} if it was not converted from Hugging Face's format.
        weights: parameter name -> array. Loading the model takes them out.
        shapes: parameter name -> shape. Weights that the converter initialised, because the original has none, are left out.
    """

    directory: Path
    config: dict[str, Any]
    conversion: dict[str, Any]
    weights: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def open(cls, directory: Path) -> Origin:
        """Read a checkpoint. Raise ConvertError if its weights are damaged, UserError if its config.json is."""
        conversion = read_json(directory / JSON_NAME)
        weights, initialised = read_weights(directory), set(conversion.get("initialised") or [])
        shapes = {name: array.shape for name, array in weights.items() if name not in initialised}
        return cls(directory, read_config(directory), conversion, weights, shapes)

    @property
    def own_config(self) -> dict[str, Any]:
        """The configuration that the checkpoint was saved with: Hugging Face's for a converted one."""
        return self.config.get(ORIGINAL_KEY, {}).get("config", {}) if self.conversion else self.config

    @property
    def class_name(self) -> str:
        """The class that the checkpoint was saved from, Hugging Face's for a converted one. "" if config.json does not say it."""
        return next(iter(self.own_config.get("architectures") or []), "")

    @property
    def multi_label(self) -> bool:
        """Whether the checkpoint's head was trained to give a text several classes."""
        return self.own_config.get("problem_type") == "multi_label_classification"

    def has_head_of(self, cls: type) -> bool:
        """Return whether the checkpoint was saved with the head of this class, such as ForSequenceClassification."""
        return head_kind(self.class_name) == head_kind(cls.__name__) != ""

    def missing_weights(self, model) -> list[str]:
        """Return the names of the model's parameters that the checkpoint lacks, or has in another shape."""
        stored = {_without_prefix(name, model): shape for name, shape in self.shapes.items()}
        return [
            names[0]
            for names, shape in _parameters(model)
            if not any(stored.get(_without_prefix(name, model)) == shape for name in names)
        ]

    def unused_weights(self, model) -> list[str]:
        """Return the names of the checkpoint's weights for which the model has no place. A converted one has them in its report."""
        known = {_without_prefix(name, model) for name in model.state_dict()}
        unused = [name for name in self.shapes if _without_prefix(name, model) not in known]
        ignored = self.conversion.get("ignored") or {}
        return unused + [name for name, reason in ignored.items() if str(reason).startswith(_OTHER_HEAD)]


def head_kind(class_name: str) -> str:
    """Return the part of a class's name that names its head: BertForMaskedLM -> ForMaskedLM; "" for a base model."""
    match = _HEAD.search(class_name)
    return match[0] if match else ""


def describe_weights(names: Iterable[str], limit: int = 4) -> str:
    """Return the layers that weights belong to, for a message: "classifier, pre_classifier", or their number if there are many."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    return ", ".join(layers[:limit]) + (f" and {len(layers) - limit} more layers" if len(layers) > limit else "")


def _without_prefix(name: str, model) -> str:
    """Return a parameter's name as in the base model, whose checkpoints have no prefix."""
    return name.removeprefix(f"{model.base_model_prefix}.")


def _parameters(model) -> list[tuple[list[str], tuple[int, ...]]]:
    """Return all names and the shape of each parameter. A tied parameter has several names."""
    names: dict[int, list[str]] = {id(parameter): [] for parameter in model.parameters()}
    tensors = model.state_dict()
    for name, tensor in tensors.items():
        if id(tensor) in names:  # others are buffers
            names[id(tensor)].append(name)
    return [(found, tuple(tensors[found[0]].shape)) for found in names.values() if found]
