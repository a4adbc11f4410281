"""The arithmetic of layers on a CPU, and their gradients: by oneDNN where it is there, else by Paddle's operators.

onednn.py and operators.py have the same functions. cpu_layers.py makes layers of them.
"""

from __future__ import annotations

import functools
import os
from types import ModuleType

import numpy as np
import paddle
from paddle.nn import functional

from paddle_ft.models.kernels import library, onednn, operators

HIDE = "PADDLE_FT_ONEDNN"  # environment variable; 0 hides oneDNN, so that its gain can be measured


@functools.cache
def fastest() -> ModuleType:
    """Return the module with the functions to use: onednn if it can be used and computes what operators computes."""
    return onednn if os.environ.get(HIDE) != "0" and _agree() else operators


def linear(x, weight, bias):
    """Return x [..., d] times weight [d, m] plus bias [m]: by oneDNN on a CPU if no gradient is wanted, else by Paddle."""
    if (
        is_onednn_for(x)
        and bias is not None
        and weight.dtype == x.dtype
        and weight.is_contiguous()
        and not paddle.is_grad_enabled()
    ):
        return onednn.linear(library.dense(x), weight, bias)
    return functional.linear(x, weight, bias)


def is_onednn_for(x) -> bool:
    """Return whether oneDNN computes with a tensor: it is on a CPU, of float32 numbers, and has any."""
    return x.place.is_cpu_place() and x.dtype == paddle.float32 and 0 not in x.shape and fastest() is onednn


def has_bfloat16() -> bool:
    """Return whether oneDNN can be used and this processor computes in bfloat16 (avx512_bf16 or amx_bf16)."""
    return fastest() is onednn and library.library().has_bfloat16


def _agree() -> bool:
    """Return whether both modules compute the same from a few numbers."""
    with paddle.no_grad():
        try:
            pairs = list(zip(_results(onednn), _results(operators), strict=True))
        except (library.OneDNNError, OSError, AttributeError):  # AttributeError: the library lacks a function
            return False
        return all(paddle.allclose(ours, theirs, 1e-4, 1e-5) for ours, theirs in pairs)


def _numbers(start: float, count: int):
    return paddle.linspace(start, 2, count, dtype="float32")


def _results(kernels: ModuleType) -> list:
    """Return the tensors that the functions of a module compute from a few numbers."""
    x, gradient, weight = (_numbers(start, 24).reshape([2, 4, 3]) for start in (-2.0, -1.0, 0.5))
    row, bias, square = weight[0, 0].clone(), weight[1, 1].clone(), weight[0, :3].clone()
    kept = np.arange(24).reshape(2, 4, 3) % 4 > 0
    y, needed = kernels.layer_norm(x, row, bias, 1e-5)
    results = [y, *kernels.layer_norm_gradient(needed, gradient, 1e-5)]
    results += [
        kernels.linear(x, square, bias),
        *kernels.linear_gradient(x, gradient, square),
        kernels.scores(x[0].clone(), square),
    ]
    y, needed = kernels.dropout(x, kept, 1.5)
    results += [y, kernels.dropout_gradient(needed, gradient)]
    for approximate in (False, True):
        y, needed = kernels.gelu(x, approximate)
        results += [y, kernels.gelu_gradient(needed, gradient, approximate)]
    for mask in (None, _numbers(-1.0, 8).reshape([2, 1, 1, 4])):
        y, needed = kernels.attention(x, x, x, mask, 1, 0.5, np.arange(32).reshape(2, 1, 4, 4) % 5 > 0, 1.25)
        results += [y, *kernels.attention_gradient(needed, gradient)]
    return results
