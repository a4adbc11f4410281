"""Layers and their gradients by oneDNN, which Paddle uses in inference only.

In training Paddle computes layers by kernels of its own, which are slower (docs/speed.md).

Shapes: n rows (all dimensions but the last), d features. All tensors are float32, contiguous and not empty. A kernel is made at the
first call with a shape and kept.
"""

from __future__ import annotations

import functools
import math
from ctypes import c_float, c_uint
from typing import TypeAlias

import numpy as np
import paddle

from paddle_ft.models.kernels import operators
from paddle_ft.models.kernels.library import (
    ADDED,
    BYTES,
    DIFF_DST,
    DST,
    SRC,
    TRAINING,
    Kernel,
    Object,
    Pair,
    attributes,
    description,
    empty,
    library,
    product,
    shape,
)
from paddle_ft.models.kernels.onednn_linear import bfloat16, linear, linear_gradient, scores

__all__ = ["attention", "attention_gradient", "bfloat16", "dropout", "dropout_gradient", "gelu", "gelu_gradient", "layer_norm",
           "layer_norm_gradient", "linear", "linear_gradient", "scores"]  # fmt: skip

KEPT = 128  # shapes of each layer whose kernels are kept
KEPT_PRODUCTS = 64  # shapes of attention layers, whose kernels take 0.9 MB with gradients
_BACKWARD = 128  # the numbers of dnnl_types.h from here on
_GELU_TANH, _GELU_ERF, _SOFTMAX, _MULTIPLY = 0x2B, 0x31, 0x30000, 0x1FFF1
_SCALE_AND_SHIFT = 2 | 4
_SRC_1, _MEAN, _VARIANCE, _SCALE, _SHIFT, _DIFF_SRC, _DIFF_SCALE, _DIFF_SHIFT = 2, 49, 50, 51, 52, 129, 255, 256


# ---------------------------------------------------------------------------------------------------- layer norm
@functools.lru_cache(KEPT)
def _layer_norm(n: int, d: int, epsilon: float) -> Pair[Kernel, Kernel]:
    x, row, number, settings = shape(n, d), shape(d), shape(n), (c_float(epsilon), c_uint(_SCALE_AND_SHIFT))
    forward = description("layer_normalization_forward", TRAINING, x, x, number, *settings)
    inputs = [(SRC, x), (_SCALE, row), (_SHIFT, row), (_MEAN, number), (_VARIANCE, number)]

    def make_gradient() -> Kernel:
        backward = description("layer_normalization_backward", _BACKWARD, x, x, x, number, *settings, forward)
        return Kernel(backward, [*inputs, (DIFF_DST, x), (_DIFF_SRC, x), (_DIFF_SCALE, row), (_DIFF_SHIFT, row)])

    return Pair(Kernel(forward, [*inputs, (DST, x)]), make_gradient)


def layer_norm(x, weight, bias, epsilon: float):
    """Return the layer norm of x over its last dimension, and what layer_norm_gradient needs."""
    d = x.shape[-1]
    n = math.prod(x.shape[:-1])
    y, needed = paddle.empty_like(x), (x, weight, bias, empty(n), empty(n))  # mean and variance of each row
    _layer_norm(n, d, epsilon).output(*needed, y)
    return y, needed


def layer_norm_gradient(needed, gradient, epsilon: float):
    """Return the gradients of x, weight and bias, given what layer_norm returned and the gradient of its output."""
    x, weight, bias, *_ = needed
    d = x.shape[-1]
    results = paddle.empty_like(x), paddle.empty_like(weight), paddle.empty_like(bias)
    _layer_norm(math.prod(x.shape[:-1]), d, epsilon).gradient(*needed, gradient, *results)
    return results


# ---------------------------------------------------------------------------------------------------- GELU
@functools.lru_cache(KEPT)
def _gelu(size: int, approximate: bool) -> Pair[Kernel, Kernel]:
    x, kind, zeros = shape(size), _GELU_TANH if approximate else _GELU_ERF, (c_float(0), c_float(0))
    forward = description("eltwise_forward", TRAINING, kind, x, x, *zeros)

    def make_gradient() -> Kernel:
        backward = description("eltwise_backward", kind, x, x, x, *zeros, forward)
        return Kernel(backward, [(SRC, x), (DIFF_DST, x), (_DIFF_SRC, x)])

    return Pair(Kernel(forward, [(SRC, x), (DST, x)]), make_gradient)


def gelu(x, approximate: bool):
    """Return GELU(x) or its approximation by tanh, and what gelu_gradient needs."""
    y = paddle.empty_like(x)
    _gelu(math.prod(x.shape), approximate).output(x, y)
    return y, (x,)


def gelu_gradient(needed, gradient, approximate: bool):
    """Return the gradient of x, given what gelu returned and the gradient of its output."""
    (x,) = needed
    result = paddle.empty_like(x)
    _gelu(math.prod(x.shape), approximate).gradient(x, gradient, result)
    return result


# ---------------------------------------------------------------------------------------------------- dropout
@functools.lru_cache(KEPT)
def _masked(size: int, scale: float) -> Kernel:
    x, mask = shape(size), shape(size, kind=BYTES)
    return Kernel(description("binary", _MULTIPLY, x, mask, x, settings=attributes(scale)), [(SRC, x), (_SRC_1, mask), (DST, x)])


def _drop(x, kept: np.ndarray, scale: float):
    y = paddle.empty_like(x)
    _masked(math.prod(x.shape), scale)(x, kept, y)
    return y


def dropout(x, kept: np.ndarray, scale: float):
    """Return x times scale where `kept` (booleans of its shape) is true and 0 elsewhere, and what dropout_gradient needs."""
    return _drop(x, kept, scale), (kept, scale)


def dropout_gradient(needed, gradient):
    """Return the gradient of x, given what dropout returned and the gradient of its output."""
    return _drop(gradient, *needed)


# ---------------------------------------------------------------------------------------------------- attention
@functools.lru_cache(KEPT)
def _softmax(n: int, d: int) -> Pair[Kernel, Kernel]:
    x, last = shape(n, d), 1
    forward = description("softmax_forward", TRAINING, _SOFTMAX, x, x, last)

    def make_gradient() -> Kernel:
        backward = description("softmax_backward", _SOFTMAX, x, x, x, last, forward)
        return Kernel(backward, [(DST, x), (DIFF_DST, x), (_DIFF_SRC, x)])

    return Pair(Kernel(forward, [(SRC, x), (DST, x)]), make_gradient)


_Products: TypeAlias = Pair[tuple[Kernel, Kernel], tuple[Kernel, Kernel, Kernel, Kernel]]


@functools.lru_cache(KEPT_PRODUCTS)
def _products(b: int, q: int, k: int, h: int, d: int, scale: float, mask: tuple[int, ...] | None) -> _Products:
    """Return the matrix products of an attention layer, which copy no head out of its row.

    Args:
        b, q, k, h, d: batch, queries, keys, heads, size of a head.
        scale: multiplies the scores.
        mask: the shape of what is added to the scores, such as (b, 1, 1, k); None: nothing is added.

    Returns:
        What multiplies queries and keys, and weights and values. For the gradients: the gradient of outputs and values (gives that
        of weights), the gradient of scores and keys (of queries), the gradient of scores and queries (of keys), weights and the
        gradient of outputs (of values).
    """
    queries, keys, turned_keys = _heads(b, q, h, d), _heads(b, k, h, d), _turned_heads(b, k, h, d)
    square, turned = shape(b, h, q, k), shape(b, h, k, q, strides=(h * q * k, q * k, 1, k))
    added = None if mask is None else shape(*mask)
    scores = product(queries, turned_keys, square, attributes(scale, added), [] if added is None else [(ADDED, added)])
    return Pair(
        (scores, product(square, keys, queries)),
        lambda: (
            product(queries, turned_keys, square),
            product(square, keys, queries, attributes(scale)),
            product(turned, queries, keys, attributes(scale)),
            product(turned, queries, keys),
        ),
    )


def _heads(b: int, s: int, h: int, d: int) -> Object:
    return shape(b, h, s, d, strides=(s * h * d, d, h * d, 1))


def _turned_heads(b: int, s: int, h: int, d: int) -> Object:
    return shape(b, h, d, s, strides=(s * h * d, d, 1, h * d))


def attention(q, k, v, mask, heads: int, scale: float, kept: np.ndarray | None, factor: float):
    """Return the outputs of an attention layer, and what attention_gradient needs. Arguments: as in operators.attention."""
    (b, n, features), m = q.shape, k.shape[1]
    if mask is not None and mask.shape[0] != b:
        mask = mask.expand([b, *mask.shape[1:]]).contiguous()  # oneDNN has a slow kernel for the same mask in all rows
    added = mask is not None and mask.shape[1] == 1 and mask.shape[3] == m
    products = _products(b, n, m, heads, features // heads, scale, tuple(mask.shape) if added else None)
    weights, outputs = empty(b, heads, n, m), paddle.empty_like(q)
    scores_of, outputs_of = products.output
    scores_of(q, k, weights, *([mask] if added else []))
    if mask is not None and not added:
        weights.add_(mask.expand(weights.shape))
    _softmax(b * heads * n, m).output(weights, weights)
    outputs_of(weights if kept is None else _drop(weights, kept, factor), v, outputs)
    return outputs, (products, q, k, v, weights, kept, factor)


def attention_gradient(needed, gradient):
    """Return the gradients of q, k and v, given what attention returned and the gradient of its outputs."""
    products, q, k, v, weights, kept, factor = needed
    scores, results = paddle.empty_like(weights), tuple(paddle.empty_like(x) for x in (q, k, v))
    of_weights, of_queries, of_keys, of_values = products.gradient
    of_weights(gradient, v, scores)
    dropped = weights
    if kept is not None:
        dropped = _drop(weights, kept, factor)
        _masked(math.prod(scores.shape), factor)(scores, kept, scores)
    if library().has_avx512:
        _softmax(math.prod(scores.shape[:-1]), scores.shape[-1]).gradient(weights, scores, scores)
    else:
        scores = operators.softmax_gradient(weights, scores)  # oneDNN has no fast kernel for AVX2
    of_queries(scores, k, results[0])
    of_keys(scores, q, results[1])
    of_values(dropped, gradient, results[2])
    return results
