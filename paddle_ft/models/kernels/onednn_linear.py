"""Linear layers and their gradients by oneDNN. The rest of onednn.py's functions are there.

Shapes: n rows (all dimensions but the last), d inputs, m outputs.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Iterator
from typing import TypeAlias

import paddle

from paddle_ft.models.kernels import operators
from paddle_ft.models.kernels.library import (
    DIFF_DST,
    DST,
    HALVES,
    SRC,
    TRAINING,
    WEIGHTS,
    Kernel,
    Object,
    Pair,
    conversion,
    description,
    empty,
    library,
    product,
    shape,
)

KEPT = 128  # shapes whose kernels are kept; those of a shape take 1.2 MB with gradients
_BIAS, _DIFF_WEIGHTS, _DIFF_BIAS = 41, 161, 169  # arguments of kernels


_Linear: TypeAlias = Pair[
    Kernel, tuple[Kernel, Kernel]
]  # the gradients are those of x, and of the weight (in float32 the bias too)


@functools.lru_cache(KEPT)
def _linear(n: int, d: int, m: int) -> _Linear:
    x, y, bias, weight = shape(n, d), shape(n, m), shape(m), shape(m, d, strides=(1, m))  # oneDNN's weight is [m, d]
    forward = description("inner_product_forward", TRAINING, x, weight, bias, y)

    def make_gradients() -> tuple[Kernel, Kernel]:
        weights = description("inner_product_backward_weights", x, weight, bias, y, forward)
        return (
            product(y, weight, x),  # faster than the gradient of inner_product
            Kernel(weights, [(SRC, x), (DIFF_DST, y), (_DIFF_WEIGHTS, weight), (_DIFF_BIAS, bias)]),
        )

    return Pair(Kernel(forward, [(SRC, x), (WEIGHTS, weight), (_BIAS, bias), (DST, y)]), make_gradients)


def linear(x, weight, bias):
    """Return x [..., d] times weight [d, m] plus bias [m]: [..., m]."""
    d, m = weight.shape
    y = empty(*x.shape[:-1], m)
    if _precision.is_half:
        _half_linear(math.prod(x.shape[:-1]), d, m).output(_half(x), _half(weight), bias, y)
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
    x_gradient, weight_gradient, bias_gradient = paddle.empty_like(x), paddle.empty_like(weight), empty(m)
    data, weights = _linear(math.prod(x.shape[:-1]), d, m).gradient
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
def _half_linear(n: int, d: int, m: int) -> _Linear:
    def halves(rows: int, columns: int, is_turned: bool = False) -> Object:
        return shape(rows, columns, strides=(1, rows) if is_turned else None, kind=HALVES)

    output = description("matmul", halves(n, d), halves(d, m), shape(1, m), shape(n, m))
    return Pair(
        Kernel(output, [(SRC, halves(n, d)), (WEIGHTS, halves(d, m)), (_BIAS, shape(1, m)), (DST, shape(n, m))]),
        lambda: (
            product(halves(n, m), halves(m, d, is_turned=True), shape(n, d)),
            product(halves(d, n, is_turned=True), halves(n, m), shape(d, m)),
        ),
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
    data, weights = _half_linear(math.prod(x.shape[:-1]), d, m).gradient
    data(half, _half(weight), x_gradient)
    weights(_half(x), half, weight_gradient)
    return x_gradient, weight_gradient, operators.sum_of_rows(gradient)


@functools.lru_cache(KEPT)
def _scores(n: int, d: int, v: int) -> Kernel:
    return product(shape(n, d), shape(d, v, strides=(1, d)), shape(n, v))


def scores(x, rows):
    """Return the products of each x [n, d] with each of some rows [v, d]: [n, v]."""
    (n, d), v = x.shape, rows.shape[0]
    y = empty(n, v)
    _scores(n, d, v)(x, rows, y)
    return y
