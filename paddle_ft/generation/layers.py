"""Hold the weights of layers, and compute the operations that generation steps consist of.

Shapes: i items, t tokens, h heads, d size of a head, r rows, v vocabulary. In vocabulary_scores d is the hidden size.
"""

from __future__ import annotations

from typing import NamedTuple

import paddle
import paddle.nn.functional as F

from paddle_ft.models import kernels
from paddle_ft.system.paddle_compat import layer_norm_epsilon

FEW_ROWS = 32  # up to so many rows the product with the vocabulary is faster with the head on the left


class Linear(NamedTuple):
    """A linear layer: weight [in, out], bias [out]."""

    weight: paddle.Tensor
    bias: paddle.Tensor

    def __call__(self, x):
        return kernels.linear(x, self.weight, self.bias)


class Norm(NamedTuple):
    """A layer norm."""

    weight: paddle.Tensor
    bias: paddle.Tensor
    epsilon: float

    def __call__(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)


def linear_from(layer, scale: float = 1.0) -> Linear:
    """Return a layer's weight and bias, times `scale`. A LoRA adapter that is not merged yet is added to the weight."""
    weight = layer.weight
    if hasattr(layer, "lora_A") and not layer.merged and not layer.disable_lora:
        weight = weight + layer.get_delta_weight()
    return Linear(weight, layer.bias) if scale == 1.0 else Linear(weight * scale, layer.bias * scale)


def concat_outputs(*layers: Linear) -> Linear:
    """Combine layers with the same input into one layer that concatenates their outputs. One matrix product is faster."""
    return Linear(paddle.concat([x.weight for x in layers], axis=1), paddle.concat([x.bias for x in layers]))


def norm_from(layer) -> Norm:
    """Return the weights of a paddle.nn.LayerNorm."""
    return Norm(layer.weight, layer.bias, layer_norm_epsilon(layer))


def residual(x, norm: Norm, norm_first: bool, sublayer):
    """Return x plus the sublayer's output, with the norm before the sublayer or after the sum."""
    return x + sublayer(norm(x)) if norm_first else norm(x + sublayer(x))


def split_heads(x, parts: int, items: int, heads: int):
    """Split [i * t, parts * h * d] into `parts` tensors of [i, h, t, d]."""
    x = x.reshape([items, -1, parts, heads, x.shape[-1] // (parts * heads)])
    return paddle.unbind(x.transpose([2, 0, 3, 1, 4]))


def vocabulary_scores(x, head):
    """Return the float32 scores [r, v] of hidden states x [r, d] for the head [v, d].

    Without oneDNN and with few rows the product is computed as (head x')'. CPU kernels then take 0.55 to 0.75 of the time, with
    both transpositions.
    """
    if kernels.is_onednn_for(x) and not paddle.is_grad_enabled():
        return kernels.fastest().scores(kernels.library.dense(x), head)
    if x.shape[0] <= FEW_ROWS:
        return paddle.matmul(head, x.t().contiguous()).t().contiguous().astype("float32")
    return paddle.matmul(x, head, transpose_y=True).astype("float32")


def join_heads(x):
    """Join [i, h, t, d] to [i * t, h * d]."""
    return x.transpose([0, 2, 1, 3]).reshape([-1, x.shape[1] * x.shape[3]])
