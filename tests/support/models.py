"""Inspect models, and call the functions of their architecture records."""

from paddle_ft.models.architectures import architecture_of, architectures, import_by_name
from paddle_ft.system.paddle_compat import replaced_forward


def uses_sdpa(layer) -> bool:
    """Return whether use_attention has replaced the layer's forward."""
    forwards = {import_by_name(forward) for record in architectures() for forward in record.attention.values()}
    return getattr(replaced_forward(layer), "__func__", None) in forwards


def masked_lm_logits(model, input_ids, attention_mask, positions):
    """Return Architecture.masked_lm_logits of the model's architecture."""
    return architecture_of(model).masked_lm_logits(model, input_ids, attention_mask, positions)


def causal_lm_logits(model, input_ids, positions):
    """Return Architecture.causal_lm_logits of the model's architecture."""
    return architecture_of(model).causal_lm_logits(model, input_ids, positions)
