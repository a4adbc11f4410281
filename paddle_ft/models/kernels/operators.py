"""Layers and their gradients by Paddle's operators, with sums over rows as matrix products.

Paddle computes the gradients of biases and layer norms on one thread, element by element; MKL computes a matrix product on all. The
gradient of GELU keeps what its output has computed.

Shapes: n rows (all dimensions but the last), d features. All tensors are float32.
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle.nn import functional

_SLOPE, _CUBIC = (2 / np.pi) ** 0.5, 0.044715  # of the tanh form of GELU


def _as_rows(tensor):
    return tensor.reshape([-1, tensor.shape[-1]])


def sum_of_rows(x):
    """Return the sum [d] of all rows of x [..., d], computed as a matrix product."""
    rows = _as_rows(x)
    return paddle.matmul(paddle.ones([1, rows.shape[0]], dtype=x.dtype), rows).reshape([-1])


def linear(x, weight, bias):
    """Return x [..., d] times weight [d, m] plus bias [m]: [..., m]."""
    return paddle.matmul(x, weight).add_(bias)


def linear_gradient(x, gradient, weight):
    """Return the gradients of x, weight and bias, given that of the output."""
    x_gradient = paddle.matmul(gradient, weight, transpose_y=True)
    return x_gradient, paddle.matmul(_as_rows(x), _as_rows(gradient), transpose_x=True), sum_of_rows(gradient)


def scores(x, rows):
    """Return the products of each x [n, d] with each of some rows [v, d]: [n, v]."""
    return paddle.matmul(x, rows, transpose_y=True)


def layer_norm(x, weight, bias, epsilon: float):
    """Return the layer norm of x over its last dimension, and what layer_norm_gradient needs."""
    return functional.layer_norm(x, x.shape[-1:], weight, bias, epsilon), (x, weight)


def layer_norm_gradient(needed, gradient, epsilon: float):
    """Return the gradients of x, weight and bias, given what layer_norm returned and the gradient of its output.

    With z = (x - mean) / deviation and h = gradient * weight the gradient of x is
    (h - mean(h) - z * mean(h * z)) / deviation.
    Source: the derivative of Ba et al. (2016), Layer Normalization.
    """
    x, weight = needed
    rows, size = _as_rows(gradient), x.shape[-1]
    mean = paddle.full([size, 1], 1 / size, dtype=x.dtype)
    x_rows = _as_rows(x)
    z = x_rows - paddle.matmul(x_rows, mean)
    inverse = (paddle.matmul(z.square(), mean) + epsilon).rsqrt_()
    z.multiply_(inverse)
    h = rows * weight
    result = h - paddle.matmul(h, mean)
    h.multiply_(z)
    result.subtract_(z * paddle.matmul(h, mean)).multiply_(inverse)
    return result.reshape(x.shape), sum_of_rows(z.multiply_(rows)), sum_of_rows(rows)


def gelu(x, approximate: bool):
    """Return GELU(x) = x * phi with phi = P(X <= x) of the normal distribution, or its approximation by tanh, and what is needed.

    Source: Hendrycks and Gimpel (2016), Gaussian Error Linear Units.
    """
    if approximate:
        phi = x.square().scale_(_CUBIC, 1.0).multiply_(x).scale_(_SLOPE).tanh_().scale_(0.5, 0.5)
    else:
        phi = paddle.erf(x * 0.5**0.5).scale_(0.5, 0.5)
    return x * phi, (x, phi)


def gelu_gradient(needed, gradient, approximate: bool):
    """Return the gradient of x, given what gelu returned and the gradient of its output.

    The derivative is phi + x * phi'. phi' is exp(-x^2 / 2) / sqrt(2 pi), for the approximation 2 * phi * (1 - phi) * u' with
    u = sqrt(2 / pi) * (x + 0.044715 * x^3).
    """
    x, phi = needed
    if approximate:
        slope = x.square().scale_(6 * _SLOPE * _CUBIC, 2 * _SLOPE).multiply_(phi).multiply_(1 - phi)
    else:
        slope = x.square().scale_(-0.5).exp_().scale_((2 * np.pi) ** -0.5)
    return slope.multiply_(x).add_(phi).multiply_(gradient)


def dropout(x, kept: np.ndarray, scale: float):
    """Return x times scale where `kept` (booleans of its shape) is true and 0 elsewhere, and what dropout_gradient needs."""
    mask = paddle.to_tensor(np.multiply(kept, np.float32(scale)))
    return x * mask, (mask,)


def dropout_gradient(needed, gradient):
    """Return the gradient of x, given what dropout returned and the gradient of its output."""
    (mask,) = needed
    return gradient * mask


def attention(q, k, v, mask, heads: int, scale: float, kept: np.ndarray | None, factor: float):
    """Return the outputs of an attention layer, and what attention_gradient needs.

    Args:
        q: [b, q, h * d], queries of all heads.
        k, v: [b, k, h * d].
        mask: four dimensions, broadcast to [b, h, q, k], added to the scores; or None.
        heads: h.
        scale: multiplies the scores.
        kept: [b, h, q, k], which weights dropout keeps, as booleans; None: all.
        factor: what multiplies those.

    Returns:
        [b, q, h * d], and what is needed.
    """
    q, k, v = (_split_heads(x, heads) for x in (q * scale, k, v))
    scores = paddle.matmul(q, k, transpose_y=True)
    if mask is not None:
        scores.add_(mask.expand(scores.shape))
    weights = functional.softmax(scores)
    dropped, mask = (weights, None) if kept is None else dropout(weights, kept, factor)
    return _join_heads(paddle.matmul(dropped, v)), (q, k, v, weights, dropped, mask, scale)


def attention_gradient(needed, gradient):
    """Return the gradients of q, k and v, given what attention returned and the gradient of its outputs."""
    q, k, v, weights, dropped, mask, scale = needed
    gradient = _split_heads(gradient, q.shape[1])
    scores = paddle.matmul(gradient, v, transpose_y=True)
    if mask is not None:
        scores = dropout_gradient(mask, scores)
    scores = softmax_gradient(weights, scores)
    results = (
        paddle.matmul(scores, k).scale_(scale),
        paddle.matmul(scores, q, transpose_x=True),
        paddle.matmul(dropped, gradient, transpose_x=True),
    )
    return tuple(_join_heads(x) for x in results)


def softmax_gradient(weights, gradient):
    """Return the gradient of scores whose softmax over the last dimension is w: w * (g - sum(w * g)), given that of w, g."""
    product = weights * gradient
    return product.subtract_(weights * product.sum(-1, keepdim=True))


def _split_heads(x, heads: int):
    """Return [b, h, s, d] of an x [b, s, h * d]."""
    return x.reshape([0, 0, heads, x.shape[-1] // heads]).transpose([0, 2, 1, 3])


def _join_heads(x):
    """Return [b, s, h * d] of an x [b, h, s, d]."""
    return x.transpose([0, 2, 1, 3]).reshape([x.shape[0], x.shape[2], x.shape[1] * x.shape[3]])
