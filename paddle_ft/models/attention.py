"""Compute attention through scaled_dot_product_attention, which has flash and memory-efficient kernels on a GPU.

PaddleNLP's models compute softmax(QK') as a tensor [b, h, q, k]. Here the forward of their attention layers is replaced by one that
gives the same results. Parameters and their names do not change, so checkpoints do not either. Calls that ask for attention
weights or use a cache still run PaddleNLP's own forward.

Shapes: b batch, q queries, k keys, h heads, d size of a head.
"""

from __future__ import annotations

import inspect
from types import MethodType

import paddle
from paddle.nn.functional import scaled_dot_product_attention

from paddle_ft.models.architectures import architectures, find_architecture, import_by_name
from paddle_ft.models.architectures.record import Architecture, CausalDecoder
from paddle_ft.system.errors import UserError
from paddle_ft.system.paddle_compat import additive_mask, replace_forward


def sdpa_forward(layer, query, key=None, value=None, attn_mask=None, cache=None):
    """Compute what the forward of paddle.nn.MultiHeadAttention computes.

    The projections are called as layers because they may have been replaced by others, for example by LoRA.

    Args:
        layer: the attention layer, h heads of size d.
        query: [b, q, h * d].
        key, value: [b, k, h * d]; default: the query.
        attn_mask: broadcast to [b, h, q, k] and added to the scores. In a bool or int mask False and 0 hide a key.
        cache: as in Paddle.

    Returns:
        [b, q, h * d]
    """
    if layer.need_weights or cache is not None:
        return type(layer).forward(layer, query, key, value, attn_mask, cache)
    key = query if key is None else key
    value = query if value is None else value
    projected = (layer.q_proj(query), layer.k_proj(key), layer.v_proj(value))
    q, k, v = (x.reshape([0, 0, layer.num_heads, layer.head_dim]) for x in projected)
    out = attend(q, k, v, attn_mask, layer.dropout, layer.training, layer.causal)
    return layer.out_proj(out.reshape([0, 0, layer.embed_dim]))


def attend(q, k, v, mask, dropout: float, training: bool, causal: bool):
    """Compute softmax(q k' / sqrt(d) + mask) v.

    A causal mask is passed to the kernels as a flag, which excludes any other mask. Other masks are expanded to the whole batch and
    all queries: with a smaller mask the flash kernel reads beyond its end, and the memory-efficient kernel refuses it.

    Args:
        q: [b, q, h, d].
        k, v: [b, k, h, d].
        mask: broadcast to [b, h, q, k], or None.
        dropout: share of the attention weights that are dropped in training.
        training: whether to drop any.
        causal: whether each query sees only keys up to its own position. The mask is then ignored.

    Returns:
        [b, q, h, d]
    """
    if causal:
        return scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, training=training)
    if mask is not None:
        mask = additive_mask(mask, q.dtype)
        while mask.ndim < 4:
            mask = mask.unsqueeze(0)
        mask = mask.expand([_dimension(q, 0), mask.shape[1], _dimension(q, 1), _dimension(k, 1)])
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, training=training)


def _dimension(x, axis: int):
    """Return the size of an axis as a number, or as a tensor if it is unknown while train.compile traces."""
    return x.shape[axis] if x.shape[axis] >= 0 else paddle.shape(x)[axis]


# ---------------------------------------------------------------------------------------------------- a model's layers
def use_attention(model, choice: str) -> bool:
    """Replace the forward of a model's attention layers as model.attention says.

    Args:
        model: the model; it is changed in place.
        choice: "sdpa", "plain" (PaddleNLP's own), or "auto": sdpa on a GPU if the architecture's layers are known, else plain.

    Returns:
        Whether the model now uses scaled_dot_product_attention.

    Raises:
        UserError: the choice is "sdpa" and the model has no attention layer that is known here.
    """
    if choice == "plain" or (choice == "auto" and not paddle.get_device().startswith("gpu")):
        return False
    record = find_architecture(model.config.model_type)
    layers = _attention_layers(model, record) if record else []
    if not layers:
        if choice == "auto":
            return False
        *names, last = [known.name for known in architectures() if known.attention]
        raise UserError(
            f"model.attention: sdpa is not known for models of type {model.config.model_type!r}"
            f" (it is for {', '.join(names)} and {last}). Set it to auto or plain."
        )
    for layer, forward in layers:
        layer.causal = False  # set before each call: whether its mask is causal and hides nothing else
        replace_forward(layer, MethodType(forward, layer))
    if record.causal_decoder:
        _mark_causal_calls(model, record.causal_decoder)
    return True


def _attention_layers(model, record: Architecture) -> list[tuple]:
    """Return each attention layer with the forward that it gets."""
    forwards = {import_by_name(layer): import_by_name(forward) for layer, forward in record.attention.items()}
    return [(layer, forwards[type(layer)]) for layer in model.sublayers() if type(layer) in forwards]


def _mark_causal_calls(model, causal_decoder: CausalDecoder) -> None:
    """Before each call of the decoder, tell its self-attention layers whether the mask is causal and hides nothing else."""
    decoder = causal_decoder.find(model)
    layers = causal_decoder.self_attention(decoder)
    signature = inspect.signature(type(decoder).forward)

    def mark(decoder, args, kwargs):
        arguments = signature.bind(decoder, *args, **kwargs).arguments
        causal = all(arguments.get(name) is None for name in causal_decoder.absent)
        for layer in layers:
            layer.causal = causal

    decoder.register_forward_pre_hook(mark, with_kwargs=True)
