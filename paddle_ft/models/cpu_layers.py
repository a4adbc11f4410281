"""Speed up Linear, LayerNorm, Dropout and attention in training on a CPU, with Paddle's results.

On a CPU Paddle computes the gradients of biases and layer norms on one thread, element by element, and draws dropout masks with a
slow random generator. Together they take a third of a step. Here sums over rows are matrix products, which MKL computes, and
dropout masks come from NumPy. benchmarks/profile_step.py measures the gain of each.

Shapes: n rows (all dimensions but the last), d features. Attention: b batch, q queries, k keys, h heads, d size of a head.
"""

from __future__ import annotations

from types import MethodType

import numpy as np
import paddle
from paddle import nn
from paddle.autograd import PyLayer

from paddle_ft.system.paddle_compat import (
    additive_mask,
    layer_norm_epsilon,
    normalized_shape,
    project_qkv,
    replace_forward,
    replaced_forward,
)


def use_cpu_layers(model) -> None:
    """Replace the forward of the model's layers in place.

    Evaluation and frozen layers still use Paddle's forward. Layers whose forward is replaced already (model.attention=sdpa) are
    not changed.
    """
    for layer in model.sublayers(include_self=True):
        if type(layer) in _FORWARD and replaced_forward(layer) is None:
            replace_forward(layer, MethodType(_FORWARD[type(layer)], layer))


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
        z = _as_rows(x) - paddle.matmul(_as_rows(x), mean)
        inverse = (paddle.matmul(z.square(), mean) + ctx.epsilon).rsqrt_()
        z.multiply_(inverse)
        h = rows * weight
        result = h - paddle.matmul(h, mean)
        result.subtract_(z * paddle.matmul(h * z, mean)).multiply_(inverse)
        return result.reshape(x.shape), _sum_of_rows(rows * z), _sum_of_rows(rows)


class _Dropout(PyLayer):
    @staticmethod
    def forward(ctx, x, p):
        # Paddle's generator gives the seed, so that paddle.seed and recompute, which restores its state, control this mask too
        generator = np.random.Generator(np.random.SFC64(int(paddle.randint(0, 2**31 - 1, [1]))))
        threshold = max(1, round((1 - p) * 65536))
        draws = generator.integers(0, 65536, x.shape, np.uint16)
        mask = paddle.to_tensor(np.multiply(draws < threshold, np.float32(65536 / threshold)))
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, gradient):
        (mask,) = ctx.saved_tensor()
        return gradient * mask


# ---------------------------------------------------------------------------------------------------- forward of each layer
def _needs_gradient(layer, x) -> bool:
    return layer.training and not x.stop_gradient and paddle.is_grad_enabled() and x.dtype == paddle.float32


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


def _attention(layer, query, key=None, value=None, attn_mask=None, cache=None):
    """Compute what paddle.nn.MultiHeadAttention computes, with the dropout mask of _Dropout.

    Args:
        layer: the attention layer, h heads of size d.
        query: [b, q, h * d].
        key, value: [b, k, h * d]; default: the query.
        attn_mask: broadcast to [b, h, q, k], added to the scores.
        cache: as in Paddle.

    Returns:
        [b, q, h * d]
    """
    if cache is not None or layer.need_weights or not 0 < layer.dropout < 1 or not _needs_gradient(layer, query):
        return nn.MultiHeadAttention.forward(layer, query, key, value, attn_mask, cache)
    q, k, v = project_qkv(layer, query, query if key is None else key, query if value is None else value)
    scores = paddle.matmul(q * layer.head_dim**-0.5, k, transpose_y=True)
    if attn_mask is not None:
        scores = scores + additive_mask(attn_mask, scores.dtype)
    weights = _Dropout.apply(nn.functional.softmax(scores), layer.dropout)
    out = paddle.matmul(weights, v).transpose([0, 2, 1, 3])
    return layer.out_proj(out.reshape([0, 0, layer.embed_dim]))


_FORWARD = {nn.Linear: _linear, nn.LayerNorm: _layer_norm, nn.Dropout: _dropout, nn.MultiHeadAttention: _attention}
