"""Find the generation adapter of a model. The record of each architecture names its adapter class."""

from __future__ import annotations

from paddle_ft.generation.adapter import Adapter
from paddle_ft.models.architectures import Architecture, architectures, import_by_name
from paddle_ft.system.errors import UserError


def make_adapter(model) -> Adapter:
    """Return the adapter of a model. It copies some weights, so make a new one after further training.

    Raises:
        UserError: no adapter can generate with the model's class, or with its configuration.
    """
    records = [record for record in architectures() if record.generation_adapter]
    name = getattr(getattr(model, "config", None), "model_type", None)
    record = next((record for record in records if record.name == name), None)
    if record is None or not isinstance(model, import_by_name(_generating_class(record))):
        known = " and ".join(_generating_class(record) for record in records)
        raise UserError(f"generation works with {known}, this model is a {type(model).__name__}")
    return import_by_name(record.generation_adapter)(model)


def _generating_class(record: Architecture) -> str:
    """Return the name of the architecture's class that generates text."""
    return record.model_classes.get("seq2seq") or record.model_classes["causal_lm"]
