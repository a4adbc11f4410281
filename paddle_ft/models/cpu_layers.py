"""Speed up Linear, LayerNorm, GELU, Dropout and attention on a CPU, with Paddle's results.

On a CPU Paddle's own kernels for training are slow (kernels/), it draws dropout masks with a slow random generator, and adds a mask
[b, 1, 1, k] to scores [b, h, q, k] seventy times as slowly as one of the scores' shape. Here the kernels are others, masks are
expanded first, dropout masks come from NumPy, and encoders leave out what nothing reads. benchmarks/profile_step.py measures the
gain.

Shapes: n rows (all dimensions but the last), d features. Attention: b batch, q queries, k keys, h heads, d size of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MethodType

import numpy as np
import paddle
from paddle import nn
from paddle.autograd import PyLayer

from paddle_ft.models.architectures import find_architecture, import_by_name
from paddle_ft.models.kernels import fastest, is_onednn_for, linear
from paddle_ft.models.kernels.library import dense
from paddle_ft.models.reading import read_positions
from paddle_ft.models.unpadding import Positions, without_padding
from paddle_ft.system.paddle_compat import (
    additive_mask,
    layer_norm_epsilon,
    normalized_shape,
    replace_forward,
    replaced_forward,
)


def use_cpu_layers(model) -> None:
    """Replace the forward of the model's layers in place.

    Frozen layers, and evaluation where there is no oneDNN, still use Paddle's forward. Layers whose forward is replaced already
    (model.attention=sdpa) are not changed.
    """
    forwards = _FORWARD | _forwards_of_architecture(model)
    for layer in model.sublayers(include_self=True):
        if type(layer) in forwards and replaced_forward(layer) is None:
            replace_forward(layer, MethodType(forwards[type(layer)], layer))
        if getattr(layer, "activation", None) is nn.functional.gelu:
            layer.activation = _gelu


def _forwards_of_architecture(model) -> dict[type, Callable]:
    """Return class -> forward of the layers that only the model's architecture has."""
    record = find_architecture(model.config.model_type) if hasattr(model, "config") else None
    named = record.cpu_attention if record else {}
    return {import_by_name(layer): import_by_name(forward) for layer, forward in named.items()}


class _Linear(PyLayer):
    @staticmethod
    def forward(ctx, x, weight, bias):
        x = dense(x)
        ctx.save_for_backward(x, weight)
        return fastest().linear(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensor()
        return fastest().linear_gradient(x, dense(gradient), weight)


class _LayerNorm(PyLayer):
    @staticmethod
    def forward(ctx, x, weight, bias, epsilon):
        y, needed = fastest().layer_norm(dense(x), weight, bias, epsilon)
        ctx.save_for_backward(*needed)
        ctx.epsilon = epsilon
        return y

    @staticmethod
    def backward(ctx, gradient):
        return fastest().layer_norm_gradient(ctx.saved_tensor(), dense(gradient), ctx.epsilon)


class _Gelu(PyLayer):
    @staticmethod
    def forward(ctx, x, approximate):
        y, needed = fastest().gelu(dense(x), approximate)
        ctx.save_for_backward(*needed)
        ctx.approximate = approximate
        return y

    @staticmethod
    def backward(ctx, gradient):
        return fastest().gelu_gradient(ctx.saved_tensor(), dense(gradient), ctx.approximate)


def _draw_kept(shape: Sequence[int], p: float) -> tuple[np.ndarray, float]:
    """Return which numbers dropout keeps, as booleans, and what multiplies those.

    Paddle's generator gives the seed, so that paddle.seed and recompute, which restores its state, control this mask too.
    """
    generator = np.random.SFC64(int(paddle.randint(0, 2**31 - 1, [1])))
    threshold, size = max(1, round((1 - p) * 65536)), math.prod(shape)
    draws = generator.random_raw(-(-size // 4)).view(np.uint16)[:size].reshape(shape)  # four draws of 64 bits
    return draws < threshold, 65536 / threshold


class _Dropout(PyLayer):
    @staticmethod
    def forward(ctx, x, p):
        y, ctx.needed = fastest().dropout(dense(x), *_draw_kept(x.shape, p))
        return y

    @staticmethod
    def backward(ctx, gradient):
        return fastest().dropout_gradient(ctx.needed, dense(gradient))


class _Attention(PyLayer):
    @staticmethod
    def forward(ctx, q, k, v, mask, heads, p, needed):
        (mask,), shape = mask, (q.shape[0], heads, q.shape[1], k.shape[1])  # mask is in a tuple because it gets no gradient
        kept = _draw_kept(shape, p) if 0 < p < 1 else (None, 1.0)
        scale = (q.shape[2] // heads) ** -0.5
        out, ctx.for_gradient = fastest().attention(dense(q), dense(k), dense(v), mask, heads, scale, *kept)
        ctx.needed = needed
        return out

    @staticmethod
    def backward(ctx, gradient):
        gradients = fastest().attention_gradient(ctx.for_gradient, dense(gradient))
        return tuple(x if needed else None for x, needed in zip(gradients, ctx.needed, strict=True))


# ---------------------------------------------------------------------------------------------------- forward of each layer
def attend(q, k, v, mask, heads: int, p: float):
    """Compute the heads of an attention layer: softmax(q k' / sqrt(d) + mask) v with dropout.

    Args:
        q: [b, q, h * d].
        k, v: [b, k, h * d], or [1, k, h * d] for the same keys in all rows.
        mask: broadcast to [b, h, q, k] and added to the scores, or None. In a bool or int mask False and 0 hide a key.
        heads: h.
        p: share of the weights that are dropped; not in evaluation, where no gradient is kept.

    Returns:
        [b, q, h * d]
    """
    if k.shape[0] != q.shape[0]:
        k, v = (x.expand([q.shape[0], *x.shape[1:]]) for x in (k, v))
    if mask is not None:
        mask = dense(additive_mask(mask, q.dtype).reshape([1] * (4 - mask.ndim) + mask.shape))
    if not paddle.is_grad_enabled():
        return fastest().attention(dense(q), dense(k), dense(v), mask, heads, (q.shape[2] // heads) ** -0.5, None, 1.0)[0]
    return _Attention.apply(q, k, v, (mask,), heads, p, [not x.stop_gradient for x in (q, k, v)])


def _has_gradient(x) -> bool:
    return not x.stop_gradient and paddle.is_grad_enabled() and x.dtype == paddle.float32 and 0 not in x.shape


def needs_gradient(layer, x) -> bool:
    """Return whether a layer is in training and the gradient of its input x is needed, so that it is computed here."""
    return layer.training and _has_gradient(x)


def attends_here(layer, query) -> bool:
    """Return whether `attend` computes the heads of an attention layer: for a gradient in training, or by oneDNN in evaluation."""
    in_evaluation = not layer.training and not paddle.is_grad_enabled() and is_onednn_for(query)
    return in_evaluation or needs_gradient(layer, query)


def _linear(layer, x):
    if needs_gradient(layer, x) and layer.bias is not None and not (layer.weight.stop_gradient or layer.bias.stop_gradient):
        return _Linear.apply(x, layer.weight, layer.bias)
    return linear(x, layer.weight, layer.bias)


def _layer_norm(layer, x):
    plain = len(normalized_shape(layer)) > 1 or layer.weight is None or layer.bias is None
    if not needs_gradient(layer, x) or plain or layer.weight.stop_gradient or layer.bias.stop_gradient:
        return nn.LayerNorm.forward(layer, x)
    return _LayerNorm.apply(x, layer.weight, layer.bias, layer_norm_epsilon(layer))


def _dropout(layer, x):
    if not needs_gradient(layer, x) or not 0 < layer.p < 1 or layer.mode != "upscale_in_train" or layer.axis is not None:
        return nn.Dropout.forward(layer, x)
    return _Dropout.apply(x, layer.p)


def _gelu(x, approximate=False):
    if _has_gradient(x):
        return _Gelu.apply(x, approximate)
    if is_onednn_for(x) and not paddle.is_grad_enabled():
        return fastest().gelu(dense(x), approximate)[0]
    return nn.functional.gelu(x, approximate)


def _attention(layer, query, key=None, value=None, attn_mask=None, cache=None):
    """Compute what paddle.nn.MultiHeadAttention computes, with the dropout mask of _Dropout.

    Args:
        layer: the attention layer, h heads of size d.
        query: [b, q, h * d]; [1, n, h * d] in an encoder that leaves padding out (_encoder).
        key, value: [b, k, h * d]; default: the query.
        attn_mask: broadcast to [b, h, q, k], added to the scores.
        cache: as in Paddle.

    Returns:
        The shape of the query; [1, n, h * d] in an encoder's last layer, if only n outputs are read.
    """
    unpadded, kept = layer.__dict__.get("unpadded"), layer.__dict__.get("kept")
    key, value = query if key is None else key, query if value is None else value
    if unpadded is None and (cache is not None or layer.need_weights or not attends_here(layer, query)):
        return nn.MultiHeadAttention.forward(layer, query, key, value, attn_mask, cache)
    projected = [layer.q_proj(query), layer.k_proj(key), layer.v_proj(value)]
    if unpadded is not None:
        projected, attn_mask = [unpadded.put_back(x) for x in projected], unpadded.mask
    out = attend(*projected, attn_mask, layer.num_heads, layer.dropout)
    return layer.out_proj(out if kept is None else kept.take_out(out))


def _encoder_layer(layer, src, src_mask=None, cache=None, output_attentions=False):
    """Compute what the layer's own forward computes, in an encoder's last layer only where it is read.

    Args:
        layer: the encoder layer.
        src: [b, s, d]; [1, n, d] in an encoder that leaves padding out.
        src_mask, cache, output_attentions: as in PaddleNLP.
    """
    read = layer.__dict__.get("read")
    if read is None:
        return type(layer).forward(layer, src, src_mask, cache, output_attentions)
    before = layer.normalize_before
    x = layer.norm1(src) if before else src
    x = read.take_out(src) + layer.dropout1(layer.self_attn(x, x, x, src_mask))
    x = x if before else layer.norm1(x)
    out = layer.linear2(layer.dropout(layer.activation(layer.linear1(layer.norm2(x) if before else x))))
    out = x + layer.dropout2(out)
    return out if before else layer.norm2(out)


def _encoder(encoder, src, src_mask=None, cache=None, output_attentions=False, output_hidden_states=False, return_dict=False):
    """Compute what the encoder's own forward computes, with zeros where there is padding or nothing is read.

    Args:
        encoder: the encoder.
        src: [b, s, d].
        src_mask: broadcast to [b, h, s, s], added to the scores.
        cache, output_attentions, output_hidden_states, return_dict: as in PaddleNLP.
    """
    attentions = [layer.self_attn for layer in encoder.layers]
    ours = all(getattr(replaced_forward(attention), "__func__", None) is _attention for attention in attentions)
    plain = cache is None and not (output_attentions or output_hidden_states or encoder.enable_recompute)
    unpadded = read = None
    if ours and plain and needs_gradient(encoder, src):
        unpadded, positions = without_padding(src_mask), read_positions(*src.shape[:2])
        read = Positions(positions, src.shape[:2]) if positions is not None and len(positions) else None
    for attention in attentions:  # what is stored in the layers stays until the next pass: train.recompute computes them again
        attention.__dict__.update(unpadded=unpadded, kept=unpadded)
    attentions[-1].__dict__["kept"] = read or unpadded
    encoder.layers[-1].__dict__["read"] = read.among(unpadded) if read and unpadded else read
    if unpadded is None and read is None:
        return type(encoder).forward(encoder, src, src_mask, cache, output_attentions, output_hidden_states, return_dict)
    mask = src_mask if unpadded is None else None  # the attention layers have it
    src = src if unpadded is None else unpadded.take_out(src)
    out, kept = type(encoder).forward(encoder, src, mask, return_dict=return_dict), read or unpadded
    if return_dict:
        out.last_hidden_state = kept.put_back(out.last_hidden_state)
        return out
    return kept.put_back(out)


_FORWARD = {
    nn.Linear: _linear,
    nn.LayerNorm: _layer_norm,
    nn.Dropout: _dropout,
    nn.MultiHeadAttention: _attention,
    nn.TransformerEncoderLayer: _encoder_layer,
    nn.TransformerEncoder: _encoder,
}
