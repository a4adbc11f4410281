"""The graphs of an export: layers that compute with a run's model what its exported programs compute.

An encoder-only model is one graph. A model that generates is several: `encoder` for an encoder-decoder model, `decoder_first` for
the tokens that the decoder starts with, and `decoder_next` for one further token with a cache of keys and values. `make_graphs`
returns those of a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paddle_ft.system.errors import UserError

if TYPE_CHECKING:
    from paddle_ft.export.graphs.layer import Graph

# What a run of these tasks becomes. Tasks that are not here have --to hf alone.
KINDS = {
    "classification": "classification",
    "masked_lm": "masked_lm",
    "summarization": "seq2seq",
    "lyrics": "seq2seq",
    "causal_lm": "causal_lm",
}


def kind_of(task_name: str) -> str:
    """Return the kind of the graphs and of the runner for a task. Raise UserError for a task without."""
    if task_name not in KINDS:
        known = ", ".join(KINDS)
        raise UserError(f"export: a run of {task_name} has no inference program here (only {known} have): use --to hf.")
    return KINDS[task_name]


def make_graphs(task: Any) -> dict[str, Graph]:
    """Return name -> graph of a task with its model. Raise UserError if the model's architecture has no graphs."""
    from paddle_ft.export.graphs.encoder import Classifier, MaskedLanguageModel
    from paddle_ft.models.architectures import import_by_name

    kind, architecture = kind_of(task.name), task.bundle.architecture
    if kind == "classification":
        return {"model": Classifier(task.model, task.token_types)}
    if kind == "masked_lm":
        return {"model": MaskedLanguageModel(task.model, architecture)}
    if architecture.export_graphs is None:
        raise UserError(f"export: generation with {architecture.name} has no inference program here: use --to hf.")
    return import_by_name(architecture.export_graphs)(task.model)
