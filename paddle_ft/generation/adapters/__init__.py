"""One adapter an architecture. An architecture's record names its class, also a user's own."""

from __future__ import annotations

from paddle_ft.generation.adapter import Adapter
from paddle_ft.models.architectures import Architecture, architectures, import_by_name
from paddle_ft.system.errors import UserError


def make_adapter(model) -> Adapter:
    """Return the adapter of a model. It holds copies of some weights: make a new one after further training.

    Raises:
        UserError: the model is of another class, or configured in a way the adapter does not compute.
    """
    records = [record for record in architectures() if record.generation_adapter]
    name = getattr(getattr(model, "config", None), "model_type", None)
    record = next((record for record in records if record.name == name), None)
    if record is None or not isinstance(model, import_by_name(_generating_class(record))):
        known = " and ".join(_generating_class(record) for record in records)
        raise UserError(f"generation works with {known}, this model is a {type(model).__name__}")
    return import_by_name(record.generation_adapter)(model)


def _generating_class(record: Architecture) -> str:
    """Return the name of the architecture's class that writes texts."""
    return record.model_classes.get("seq2seq") or record.model_classes["causal_lm"]
