"""Speed up Linear, LayerNorm, Dropout and attention in training on a CPU, with Paddle's results.

On a CPU Paddle computes the gradients of biases and layer norms on one thread, element by element, draws dropout masks with a
slow random generator, and adds a mask [b, 1, 1, k] to scores [b, h, q, k] seventy times as slowly as one of the scores' shape. Here
sums over rows are matrix products, which MKL computes, masks are expanded first, dropout masks come from NumPy, the gradient of
GELU keeps what its output has computed, and encoders leave out what nothing reads. benchmarks/profile_step.py measures the gain.

Shapes: n rows (all dimensions but the last), d features. Attention: b batch, q queries, k keys, h heads, d size of a head.
"""

from __future__ import annotations

from types import MethodType

import numpy as np
import paddle
from paddle import nn
from paddle.autograd import PyLayer

from paddle_ft.models.reading import read_positions
from paddle_ft.models.unpadding import Positions, without_padding
from paddle_ft.system.paddle_compat import (
    additive_mask,
    layer_norm_epsilon,
    normalized_shape,
    project_qkv,
    replace_forward,
    replaced_forward,
)

_SLOPE, _CUBIC = (2 / np.pi) ** 0.5, 0.044715  # of the tanh form of GELU


def use_cpu_layers(model) -> None:
    """Replace the forward of the model's layers in place.

    Evaluation and frozen layers still use Paddle's forward. Layers whose forward is replaced already (model.attention=sdpa) are
    not changed.
    """
    for layer in model.sublayers(include_self=True):
        if type(layer) in _FORWARD and replaced_forward(layer) is None:
            replace_forward(layer, MethodType(_FORWARD[type(layer)], layer))
        if getattr(layer, "activation", None) is nn.functional.gelu:
            layer.activation = _gelu


def _as_rows(tensor):
    return tensor.reshape([-1, tensor.shape[-1]])


def _sum_of_rows(rows):
    """Return the sum [d] of rows [n, d], computed as a matrix product."""
    return paddle.matmul(paddle.ones([1, rows.shape[0]]), rows).reshape([-1])


class _Linear(PyLayer):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return paddle.matmul(x, weight).add_(bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensor()
        rows = _as_rows(gradient)
        return (
            paddle.matmul(gradient, weight, transpose_y=True),
            paddle.matmul(_as_rows(x), rows, transpose_x=True),
            _sum_of_rows(rows),
        )


class _LayerNorm(PyLayer):
    """Layer normalization with a gradient made of matrix products.

    With z = (x - mean) / deviation and h = gradient * weight the gradient of x is
    (h - mean(h) - z * mean(h * z)) / deviation.
    Source: the derivative of Ba et al. (2016), Layer Normalization.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, epsilon):
        ctx.save_for_backward(x, weight)
        ctx.epsilon = epsilon
        return nn.functional.layer_norm(x, x.shape[-1:], weight, bias, epsilon)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensor()
        rows, size = _as_rows(gradient), x.shape[-1]
        mean = paddle.full([size, 1], 1 / size)
        x_rows = _as_rows(x)
        z = x_rows - paddle.matmul(x_rows, mean)
        inverse = (paddle.matmul(z.square(), mean) + ctx.epsilon).rsqrt_()
        z.multiply_(inverse)
        h = rows * weight
        result = h - paddle.matmul(h, mean)
        h.multiply_(z)
        result.subtract_(z * paddle.matmul(h, mean)).multiply_(inverse)
        return result.reshape(x.shape), _sum_of_rows(z.multiply_(rows)), _sum_of_rows(rows)


class _Gelu(PyLayer):
    """GELU(x) = x * phi with phi = P(X <= x) of the normal distribution, or its approximation by tanh.

    The derivative is phi + x * phi'. phi' is exp(-x^2 / 2) / sqrt(2 pi), for the approximation 2 * phi * (1 - phi) * u' with
    u = sqrt(2 / pi) * (x + 0.044715 * x^3). Source: Hendrycks and Gimpel (2016), Gaussian Error Linear Units.
    """

    @staticmethod
    def forward(ctx, x, approximate):
        if approximate:
            phi = x.square().scale_(_CUBIC, 1.0).multiply_(x).scale_(_SLOPE).tanh_().scale_(0.5, 0.5)
        else:
            phi = paddle.erf(x * 0.5**0.5).scale_(0.5, 0.5)
        ctx.save_for_backward(x, phi)
        ctx.approximate = approximate
        return x * phi

    @staticmethod
    def backward(ctx, gradient):
        x, phi = ctx.saved_tensor()
        if ctx.approximate:
            slope = x.square().scale_(6 * _SLOPE * _CUBIC, 2 * _SLOPE).multiply_(phi).multiply_(1 - phi)
        else:
            slope = x.square().scale_(-0.5).exp_().scale_((2 * np.pi) ** -0.5)
        return slope.multiply_(x).add_(phi).multiply_(gradient)


class _Dropout(PyLayer):
    @staticmethod
    def forward(ctx, x, p):
        # Paddle's generator gives the seed, so that paddle.seed and recompute, which restores its state, control this mask too
        generator = np.random.SFC64(int(paddle.randint(0, 2**31 - 1, [1])))
        threshold = max(1, round((1 - p) * 65536))
        draws = generator.random_raw(-(-x.size // 4)).view(np.uint16)[: x.size].reshape(x.shape)  # four draws of 64 bits
        mask = paddle.to_tensor(np.multiply(draws < threshold, np.float32(65536 / threshold)))
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, gradient):
        (mask,) = ctx.saved_tensor()
        return gradient * mask


# ---------------------------------------------------------------------------------------------------- forward of each layer
def _has_gradient(x) -> bool:
    return not x.stop_gradient and paddle.is_grad_enabled() and x.dtype == paddle.float32


def _needs_gradient(layer, x) -> bool:
    return layer.training and _has_gradient(x)


def _linear(layer, x):
    if not _needs_gradient(layer, x) or layer.bias is None or layer.weight.stop_gradient or layer.bias.stop_gradient:
        return nn.Linear.forward(layer, x)
    return _Linear.apply(x, layer.weight, layer.bias)


def _layer_norm(layer, x):
    plain = len(normalized_shape(layer)) > 1 or layer.weight is None or layer.bias is None
    if not _needs_gradient(layer, x) or plain or layer.weight.stop_gradient or layer.bias.stop_gradient:
        return nn.LayerNorm.forward(layer, x)
    return _LayerNorm.apply(x, layer.weight, layer.bias, layer_norm_epsilon(layer))


def _dropout(layer, x):
    if not _needs_gradient(layer, x) or not 0 < layer.p < 1 or layer.mode != "upscale_in_train" or layer.axis is not None:
        return nn.Dropout.forward(layer, x)
    return _Dropout.apply(x, layer.p)


def _gelu(x, approximate=False):
    return _Gelu.apply(x, approximate) if _has_gradient(x) else nn.functional.gelu(x, approximate)


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
    if unpadded is not None:
        heads = [0, 0, layer.num_heads, layer.head_dim]
        projected = (project(query) for project in (layer.q_proj, layer.k_proj, layer.v_proj))
        q, k, v = (unpadded.put_back(x).reshape(heads).transpose([0, 2, 1, 3]) for x in projected)
        attn_mask = unpadded.mask
    elif cache is None and not layer.need_weights and _needs_gradient(layer, query):
        q, k, v = project_qkv(layer, query, query if key is None else key, query if value is None else value)
    else:
        return nn.MultiHeadAttention.forward(layer, query, key, value, attn_mask, cache)
    scores = paddle.matmul(q * layer.head_dim**-0.5, k, transpose_y=True)
    if attn_mask is not None:
        scores.add_(additive_mask(attn_mask, scores.dtype).expand(scores.shape))
    weights = nn.functional.softmax(scores)
    if 0 < layer.dropout < 1:
        weights = _Dropout.apply(weights, layer.dropout)
    out = paddle.matmul(weights, v).transpose([0, 2, 1, 3]).reshape([0, 0, layer.embed_dim])
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
    if ours and plain and _needs_gradient(encoder, src):
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
