"""Find the record of an architecture. Each architecture is one module here, or a user's own module named with --import.

Looking up a record does not import PaddleNLP.
"""

from __future__ import annotations

from paddle_ft.models.architectures.record import Architecture, CausalDecoder, import_by_name
from paddle_ft.system.errors import UserError
from paddle_ft.system.plugins import find_plugin, plugin_names

__all__ = ["Architecture", "CausalDecoder", "architecture_of", "architectures", "architectures_for", "find_architecture",
           "import_by_name"]  # fmt: skip


def architectures() -> list[Architecture]:
    """Return all architectures, ours and the user's, sorted by their `order`."""
    names = plugin_names(__name__, "ARCHITECTURE", without=("record",))
    return sorted((find_plugin(__name__, "ARCHITECTURE", name) for name in names), key=lambda record: record.order)


def architectures_for(head_type: str) -> list[Architecture]:
    """Return the architectures that have a class for a head type. The first is the default for a model from scratch."""
    return [record for record in architectures() if head_type in record.model_classes]


def find_architecture(model_type: str | None, head_type: str | None = None) -> Architecture | None:
    """Return the architecture of a model_type, or None. With a head type, it must have a class for that."""
    records = architectures() if head_type is None else architectures_for(head_type)
    return next((record for record in records if record.name == model_type), None)


def architecture_of(model) -> Architecture:
    """Return the architecture of a loaded model.

    Raises:
        UserError: its model_type is unknown.
    """
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    if record := find_architecture(model_type):
        return record
    known = ", ".join(record.name for record in architectures())
    raise UserError(f"a {type(model).__name__} (model type {model_type!r}) is of no architecture known here: {known}.")
