"""Layers and their gradients by oneDNN, which Paddle uses in inference only.

In training Paddle computes layers by kernels of its own, which are slower (docs/speed.md).

Shapes: n rows (all dimensions but the last), d features. All tensors are float32, contiguous and not empty. A kernel is made at the
first call with a shape and kept.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Iterator, Sequence
from ctypes import c_float, c_uint

import numpy as np
import paddle

from paddle_ft.models.kernels import operators
from paddle_ft.models.kernels.library import (
    ADDED,
    BYTES,
    HALVES,
    Kernel,
    Object,
    attributes,
    conversion,
    description,
    library,
    shape,
)

KEPT = 128  # shapes of each layer whose kernels are kept; those of a linear layer of a shape take 1.2 MB with gradients
KEPT_PRODUCTS = 64  # shapes of attention layers, whose kernels take 0.9 MB with gradients
_TRAINING, _BACKWARD = 64, 128  # the numbers of dnnl_types.h from here on
_GELU_TANH, _GELU_ERF, _SOFTMAX, _MULTIPLY = 0x2B, 0x31, 0x30000, 0x1FFF1
_SCALE_AND_SHIFT = 2 | 4
_SRC, _SRC_1, _DST, _WEIGHTS, _BIAS, _MEAN, _VARIANCE, _SCALE, _SHIFT = 1, 2, 17, 33, 41, 49, 50, 51, 52
_DIFF_SRC, _DIFF_DST, _DIFF_WEIGHTS, _DIFF_BIAS, _DIFF_SCALE, _DIFF_SHIFT = 129, 145, 161, 169, 255, 256


def _empty(*dimensions: int):
    return paddle.empty(dimensions, dtype="float32")  # not the default format, which a user may have set


# ---------------------------------------------------------------------------------------------------- linear
class _LinearShapes:
    """The shapes of a linear layer: x [n, d], weight [d, m] and bias [m], and the kernel of its output y [n, m]."""

    def __init__(self, n: int, d: int, m: int):
        self.x, self.y, self.bias = shape(n, d), shape(n, m), shape(m)
        self.weight = shape(m, d, strides=(1, m))  # oneDNN's is [m, d]
        self.forward = description("inner_product_forward", _TRAINING, self.x, self.weight, self.bias, self.y)
        self.output = Kernel(self.forward, [(_SRC, self.x), (_WEIGHTS, self.weight), (_BIAS, self.bias), (_DST, self.y)])


_linear = functools.lru_cache(KEPT)(_LinearShapes)


@functools.lru_cache(KEPT)
def _linear_gradients(n: int, d: int, m: int) -> tuple[Kernel, Kernel]:
    shapes = _linear(n, d, m)
    x, y, weight, bias = shapes.x, shapes.y, shapes.weight, shapes.bias
    data = description("matmul", y, weight, None, x)  # faster than the gradient of inner_product
    weights = description("inner_product_backward_weights", x, weight, bias, y, shapes.forward)
    return (
        Kernel(data, [(_SRC, y), (_WEIGHTS, weight), (_DST, x)]),
        Kernel(weights, [(_SRC, x), (_DIFF_DST, y), (_DIFF_WEIGHTS, weight), (_DIFF_BIAS, bias)]),
    )


def linear(x, weight, bias):
    """Return x [..., d] times weight [d, m] plus bias [m]: [..., m]."""
    d, m = weight.shape
    y = _empty(*x.shape[:-1], m)
    if _precision.is_half:
        _half_linear(math.prod(x.shape[:-1]), d, m)[0](_half(x), _half(weight), bias, y)
        return y
    _linear(math.prod(x.shape[:-1]), d, m).output(x, weight, bias, y)
    return y


def linear_gradient(x, gradient, weight):
    """Return the gradients of x, weight and bias, given that of the output."""
    d, m = weight.shape
    if _precision.is_half:
        return _half_linear_gradient(x, gradient, weight)
    if not library().has_avx512:
        return operators.linear_gradient(x, gradient, weight)  # MKL's products are faster there
    x_gradient, weight_gradient, bias_gradient = paddle.empty_like(x), paddle.empty_like(weight), _empty(m)
    data, weights = _linear_gradients(math.prod(x.shape[:-1]), d, m)
    data(gradient, weight, x_gradient)
    weights(x, gradient, weight_gradient, bias_gradient)
    return x_gradient, weight_gradient, bias_gradient


# The same in bfloat16: x, the weight and the gradient are rounded to it, and sums are computed in float32.
class _Precision(threading.local):
    is_half = False


_precision = _Precision()


@contextlib.contextmanager
def bfloat16() -> Iterator[None]:
    """Compute the matrix products of linear layers and their gradients in bfloat16 within the context, in this thread."""
    before, _precision.is_half = _precision.is_half, True
    try:
        yield
    finally:
        _precision.is_half = before


@functools.lru_cache(KEPT)
def _half_linear(n: int, d: int, m: int) -> tuple[Kernel, Kernel, Kernel]:
    def halves(rows: int, columns: int, is_turned: bool = False) -> Object:
        return shape(rows, columns, strides=(1, rows) if is_turned else None, kind=HALVES)

    output = description("matmul", halves(n, d), halves(d, m), shape(1, m), shape(n, m))
    return (
        Kernel(output, [(_SRC, halves(n, d)), (_WEIGHTS, halves(d, m)), (_BIAS, shape(1, m)), (_DST, shape(n, m))]),
        _product(halves(n, m), halves(m, d, is_turned=True), shape(n, d)),
        _product(halves(d, n, is_turned=True), halves(n, m), shape(d, m)),
    )


@functools.lru_cache(KEPT)
def _to_half(size: int) -> Kernel:
    return conversion(shape(size), shape(size, kind=HALVES))


def _half(x):
    y = paddle.empty(x.shape, dtype="bfloat16")
    _to_half(math.prod(x.shape))(x, y)
    return y


def _half_linear_gradient(x, gradient, weight):
    d, m = weight.shape
    x_gradient, weight_gradient, half = paddle.empty_like(x), paddle.empty_like(weight), _half(gradient)
    _, data, weights = _half_linear(math.prod(x.shape[:-1]), d, m)
    data(half, _half(weight), x_gradient)
    weights(_half(x), half, weight_gradient)
    return x_gradient, weight_gradient, operators.sum_of_rows(gradient)


@functools.lru_cache(KEPT)
def _scores(n: int, d: int, v: int) -> Kernel:
    return _product(shape(n, d), shape(d, v, strides=(1, d)), shape(n, v))


def scores(x, rows):
    """Return the products of each x [n, d] with each of some rows [v, d]: [n, v]."""
    (n, d), v = x.shape, rows.shape[0]
    y = _empty(n, v)
    _scores(n, d, v)(x, rows, y)
    return y


# ---------------------------------------------------------------------------------------------------- layer norm
@functools.lru_cache(KEPT)
def _layer_norm(n: int, d: int, epsilon: float) -> tuple[Kernel, Kernel]:
    x, row, number, settings = shape(n, d), shape(d), shape(n), (c_float(epsilon), c_uint(_SCALE_AND_SHIFT))
    forward = description("layer_normalization_forward", _TRAINING, x, x, number, *settings)
    backward = description("layer_normalization_backward", _BACKWARD, x, x, x, number, *settings, forward)
    inputs = [(_SRC, x), (_SCALE, row), (_SHIFT, row), (_MEAN, number), (_VARIANCE, number)]
    outputs = [(_DIFF_SRC, x), (_DIFF_SCALE, row), (_DIFF_SHIFT, row)]
    return Kernel(forward, [*inputs, (_DST, x)]), Kernel(backward, [*inputs, (_DIFF_DST, x), *outputs])


def layer_norm(x, weight, bias, epsilon: float):
    """Return the layer norm of x over its last dimension, and what layer_norm_gradient needs."""
    d = x.shape[-1]
    n = math.prod(x.shape[:-1])
    y, needed = paddle.empty_like(x), (x, weight, bias, _empty(n), _empty(n))  # mean and variance of each row
    _layer_norm(n, d, epsilon)[0](*needed, y)
    return y, needed


def layer_norm_gradient(needed, gradient, epsilon: float):
    """Return the gradients of x, weight and bias, given what layer_norm returned and the gradient of its output."""
    x, weight, bias, *_ = needed
    d = x.shape[-1]
    results = paddle.empty_like(x), paddle.empty_like(weight), paddle.empty_like(bias)
    _layer_norm(math.prod(x.shape[:-1]), d, epsilon)[1](*needed, gradient, *results)
    return results


# ---------------------------------------------------------------------------------------------------- GELU
@functools.lru_cache(KEPT)
def _gelu(size: int, approximate: bool) -> tuple[Kernel, Kernel]:
    x, kind, zeros = shape(size), _GELU_TANH if approximate else _GELU_ERF, (c_float(0), c_float(0))
    forward = description("eltwise_forward", _TRAINING, kind, x, x, *zeros)
    backward = description("eltwise_backward", kind, x, x, x, *zeros, forward)
    return Kernel(forward, [(_SRC, x), (_DST, x)]), Kernel(backward, [(_SRC, x), (_DIFF_DST, x), (_DIFF_SRC, x)])


def gelu(x, approximate: bool):
    """Return GELU(x) or its approximation by tanh, and what gelu_gradient needs."""
    y = paddle.empty_like(x)
    _gelu(math.prod(x.shape), approximate)[0](x, y)
    return y, (x,)


def gelu_gradient(needed, gradient, approximate: bool):
    """Return the gradient of x, given what gelu returned and the gradient of its output."""
    (x,) = needed
    result = paddle.empty_like(x)
    _gelu(math.prod(x.shape), approximate)[1](x, gradient, result)
    return result


# ---------------------------------------------------------------------------------------------------- dropout
@functools.lru_cache(KEPT)
def _masked(size: int, scale: float) -> Kernel:
    x, mask = shape(size), shape(size, kind=BYTES)
    return Kernel(description("binary", _MULTIPLY, x, mask, x, settings=attributes(scale)), [(_SRC, x), (_SRC_1, mask), (_DST, x)])


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
def _softmax(n: int, d: int) -> tuple[Kernel, Kernel]:
    x, last = shape(n, d), 1
    forward = description("softmax_forward", _TRAINING, _SOFTMAX, x, x, last)
    backward = description("softmax_backward", _SOFTMAX, x, x, x, last, forward)
    return Kernel(forward, [(_SRC, x), (_DST, x)]), Kernel(backward, [(_DST, x), (_DIFF_DST, x), (_DIFF_SRC, x)])


class _Products:
    """The matrix products of an attention layer, which copy no head out of its row."""

    def __init__(self, b: int, q: int, k: int, h: int, d: int, scale: float, mask: tuple[int, ...] | None):
        """Make the kernels.

        Args:
            b, q, k, h, d: batch, queries, keys, heads, size of a head.
            scale: multiplies the scores.
            mask: the shape of what is added to the scores, such as (b, 1, 1, k); None: nothing is added.
        """
        queries, keys, turned_keys = _heads(b, q, h, d), _heads(b, k, h, d), _turned_heads(b, k, h, d)
        square = shape(b, h, q, k)
        turned = shape(b, h, k, q, strides=(h * q * k, q * k, 1, k))
        added = None if mask is None else shape(*mask)
        scores = attributes(scale, added), [] if added is None else [(ADDED, added)]
        self.scores = _product(queries, turned_keys, square, *scores)  # of queries and keys
        self.outputs = _product(square, keys, queries)  # of weights and values
        self._make_gradients = lambda: (
            _product(queries, turned_keys, square),
            _product(square, keys, queries, attributes(scale)),
            _product(turned, queries, keys, attributes(scale)),
            _product(turned, queries, keys),
        )

    @functools.cached_property
    def gradients(self) -> tuple[Kernel, Kernel, Kernel, Kernel]:
        """The kernels of gradients, which evaluation does without.

        They multiply the gradient of outputs and values (gives that of weights), the gradient of scores and keys (of queries), the
        gradient of scores and queries (of keys), weights and the gradient of outputs (of values).
        """
        return self._make_gradients()


_products = functools.lru_cache(KEPT_PRODUCTS)(_Products)


def _heads(b: int, s: int, h: int, d: int) -> Object:
    return shape(b, h, s, d, strides=(s * h * d, d, h * d, 1))


def _turned_heads(b: int, s: int, h: int, d: int) -> Object:
    return shape(b, h, d, s, strides=(s * h * d, d, 1, h * d))


def _product(
    x: Object, y: Object, result: Object, settings: Object | None = None, more: Sequence[tuple[int, Object]] = ()
) -> Kernel:
    return Kernel(description("matmul", x, y, None, result, settings=settings), [(_SRC, x), (_WEIGHTS, y), (_DST, result), *more])


def attention(q, k, v, mask, heads: int, scale: float, kept: np.ndarray | None, factor: float):
    """Return the outputs of an attention layer, and what attention_gradient needs. Arguments: as in operators.attention."""
    (b, n, features), m = q.shape, k.shape[1]
    if mask is not None and mask.shape[0] != b:
        mask = mask.expand([b, *mask.shape[1:]]).contiguous()  # oneDNN has a slow kernel for the same mask in all rows
    added = mask is not None and mask.shape[1] == 1 and mask.shape[3] == m
    products = _products(b, n, m, heads, features // heads, scale, tuple(mask.shape) if added else None)
    weights, outputs = _empty(b, heads, n, m), paddle.empty_like(q)
    products.scores(q, k, weights, *([mask] if added else []))
    if mask is not None and not added:
        weights.add_(mask.expand(weights.shape))
    _softmax(b * heads * n, m)[0](weights, weights)
    products.outputs(weights if kept is None else _drop(weights, kept, factor), v, outputs)
    return outputs, (products, q, k, v, weights, kept, factor)


def attention_gradient(needed, gradient):
    """Return the gradients of q, k and v, given what attention returned and the gradient of its outputs."""
    products, q, k, v, weights, kept, factor = needed
    scores, results = paddle.empty_like(weights), tuple(paddle.empty_like(x) for x in (q, k, v))
    of_weights, of_queries, of_keys, of_values = products.gradients
    of_weights(gradient, v, scores)
    dropped = weights
    if kept is not None:
        dropped = _drop(weights, kept, factor)
        _masked(math.prod(scores.shape), factor)(scores, kept, scores)
    if library().has_avx512:
        _softmax(math.prod(scores.shape[:-1]), scores.shape[-1])[1](weights, scores, scores)
    else:
        scores = operators.softmax_gradient(weights, scores)  # oneDNN has no fast kernel for AVX2
    of_queries(scores, k, results[0])
    of_keys(scores, q, results[1])
    of_values(dropped, gradient, results[2])
    return results
