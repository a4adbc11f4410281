"""Attention of PaddleNLP's models through scaled_dot_product_attention: flash or memory-efficient kernels on a GPU.

PaddleNLP's models compute softmax(QK') as a tensor of [b, h, q, k]. Here the forward of a model's attention layers is replaced by
one with the same results. Parameters and their names stay, so what is saved stays what it was. A call that asks for attention
weights or comes with a cache is computed plainly.

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
from paddle_ft.system.paddle_compat import additive_mask, replace_forward, replaced_forward


def sdpa_forward(layer, query, key=None, value=None, attn_mask=None, cache=None):
    """Compute what paddle.nn.MultiHeadAttention computes. Its projections are called as layers, whatever stands in their place.

    Args:
        query: [b, q, h * d].
        key, value: [b, k, h * d]; default: the query.
        attn_mask: broadcast to [b, h, q, k], added to the scores; bool or int: False or 0 must not be seen.

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


def gpt_sdpa_forward(
    layer, query, key, value, attention_mask=None, use_cache=False, past_key_value=None, output_attentions=False
):  # fmt: skip
    """Compute what the attention of PaddleNLP's GPT computes. Its use_flash_attention must stay off: that path ignores the mask.

    Args:
        query, key, value: [b, s, h * d], all the same.
        attention_mask: [b, 1, q, k], added to the scores.

    Returns:
        [b, s, h * d]
    """
    config = layer.config
    if output_attentions or use_cache or attention_mask is None or config.sequence_parallel:
        plain = type(layer).forward
        return plain(layer, query, key, value, attention_mask, use_cache, past_key_value, output_attentions)
    heads, size = layer.num_attention_heads, layer.head_dim
    if config.fuse_attention_qkv:
        q, k, v = paddle.split(layer.qkv_proj(query).reshape([0, 0, heads, 3 * size]), 3, axis=-1)
    else:
        key = query if key is None else key
        value = query if value is None else value
        projected = (layer.q_proj(query), layer.k_proj(key), layer.v_proj(value))
        q, k, v = (x.reshape([0, 0, heads, size]) for x in projected)
    if past_key_value is not None:
        k, v = (paddle.concat([past, new], axis=1) for past, new in zip(past_key_value, (k, v), strict=True))
    if config.scale_qk_coeff != 1.0:
        q = q * config.scale_qk_coeff**0.5
    out = attend(q, k, v, attention_mask, config.attention_probs_dropout_prob, layer.training, layer.causal)
    return layer.out_proj(out.reshape([0, 0, heads * size]))


def attend(q, k, v, mask, dropout: float, training: bool, causal: bool):
    """Compute softmax(q k' / sqrt(d) + mask) v.

    The kernels take a causal mask as a flag, and then no other. Any other mask must be expanded to all rows of the batch and all
    queries: the flash kernel reads rows of the batch that are not there, the memory-efficient one refuses a mask without q rows.

    Args:
        q: [b, q, h, d].
        k, v: [b, k, h, d].
        mask: broadcast to [b, h, q, k], or None.

    Returns:
        [b, q, h, d]
    """
    if causal:
        return scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, training=training)
    if mask is not None:
        mask = additive_mask(mask, q.dtype)
        while mask.ndim < 4:
            mask = mask.unsqueeze(0)
        mask = mask.expand([_size(q, 0), mask.shape[1], _size(q, 1), _size(k, 1)])
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, training=training)


def _size(x, axis: int):
    """Return a number, or a tensor where the size is open (train.compile)."""
    return x.shape[axis] if x.shape[axis] >= 0 else paddle.shape(x)[axis]


# ---------------------------------------------------------------------------------------------------- a model's layers
def use_attention(model, choice: str) -> bool:
    """Make a model's attention what model.attention asks for.

    Args:
        choice: "sdpa"; "plain", PaddleNLP's own; "auto": sdpa on a GPU where the model's layers are known, else plain.

    Returns:
        Whether it is computed by scaled_dot_product_attention.

    Raises:
        UserError: sdpa is asked for and the model has no attention layer known here.
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
        layer.causal = False  # whether this call's mask lets a token see itself and those before it, and nothing else
        replace_forward(layer, MethodType(forward, layer))
    if record.causal_decoder:
        _mark_causal_calls(model, record.causal_decoder)
    return True


def uses_sdpa(layer) -> bool:
    """Return whether use_attention has replaced the layer's forward."""
    return getattr(replaced_forward(layer), "__func__", None) in (sdpa_forward, gpt_sdpa_forward)


def _attention_layers(model, record: Architecture) -> list[tuple]:
    """Return (layer, forward) of each attention layer."""
    forwards = {import_by_name(layer): import_by_name(forward) for layer, forward in record.attention.items()}
    return [(layer, forwards[type(layer)]) for layer in model.sublayers() if type(layer) in forwards]


def _mark_causal_calls(model, place: CausalDecoder) -> None:
    """Have the decoder mark its self-attention layers, call by call, whether their mask is a causal one and nothing else."""
    decoder = place.find(model)
    layers = [layer.self_attn for layer in decoder.decoder.layers]
    signature = inspect.signature(type(decoder).forward)

    def mark(decoder, args, kwargs):
        arguments = signature.bind(decoder, *args, **kwargs).arguments
        causal = all(arguments.get(name) is None for name in place.absent)
        for layer in layers:
            layer.causal = causal

    decoder.register_forward_pre_hook(mark, with_kwargs=True)
