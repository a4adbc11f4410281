"""Wrap every private name of Paddle that this project uses, one function each.

Any release may change a private name. tests/system/test_paddle_compat.py calls each function with the installed packages, so a
failing test names what a release broke. Paddle is imported only when a function needs it.

Use the public API where it suffices: `layer.add_parameter` and `layer.register_buffer` also replace what is registered, and
`layer.named_parameters(include_sublayers=False)` and `layer.named_children()` list the direct contents of a layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


# ---------------------------------------------------------------------------------------------------- layers
def replace_forward(layer: Any, forward: Callable) -> None:
    """Make `layer(...)` call `forward` from now on.

    `layer.forward = forward` is not enough: PaddleNLP patches `__setattr__` of Paddle's transformer layers and rewrites every
    function that is assigned as `forward`. Therefore the function goes directly into the instance's `__dict__`.
    """
    layer.__dict__["forward"] = forward


def replaced_forward(layer: Any) -> Callable | None:
    """Return the function that replace_forward set on the layer, or None if the layer uses the forward of its class."""
    return layer.__dict__.get("forward")


def layer_norm_epsilon(layer: Any) -> float:
    """Return the epsilon of a paddle.nn.LayerNorm."""
    return layer._epsilon


def normalized_shape(layer: Any) -> list[int]:
    """Return the trailing dimensions that a paddle.nn.LayerNorm normalizes over."""
    return list(layer._normalized_shape)


# ---------------------------------------------------------------------------------------------------- attention
def additive_mask(mask: Any, dtype: Any) -> Any:
    """Convert an attention mask to numbers that are added to the scores, as paddle.nn.MultiHeadAttention does.

    Args:
        mask: any shape. In a bool or int mask, False or 0 marks positions that must not be attended to. A float mask is only
            cast. None stays None.
        dtype: number format of the scores.
    """
    from paddle.nn.layer.transformer import _convert_attention_mask

    return _convert_attention_mask(mask, dtype)


# ---------------------------------------------------------------------------------------------------- tensors
def is_initialized(tensor: Any) -> bool:
    """Return whether a tensor has memory. An LSTM's dropout state, for example, has none before the first forward pass."""
    return tensor._is_initialized()


def share_buffer(source: Any, target: Any) -> None:
    """Make `target` use the memory of `source` without a copy. Both must have the same shape and number format."""
    source._share_buffer_to(target)


def free_data(tensor: Any) -> None:
    """Free the memory of a tensor. It keeps its shape and name, and share_buffer can give it memory again."""
    tensor._clear_data()


def on_gradient_ready(parameter: Any, callback: Callable) -> None:
    """Call `callback()` in every backward pass, as soon as the parameter's gradient of that pass is complete.

    The public tensor hooks run too early: the gradient has not been added to `parameter.grad` yet.
    """
    parameter._register_backward_hook(callback)


def peak_cpu_bytes() -> int:
    """Return how many bytes of main memory tensors used at most since the last reset_peak_cpu_bytes."""
    import paddle

    return paddle.base.core.host_memory_stat_peak_value("Allocated", 0)


def reset_peak_cpu_bytes() -> None:
    """Let peak_cpu_bytes count from what tensors use now."""
    import paddle

    paddle.base.core.host_memory_stat_reset_peak_value("Allocated", 0)


# ---------------------------------------------------------------------------------------------------- optimizer and scaler
def optimizer_parameters(optimizer: Any) -> list:
    """Return the parameters that an optimizer updates, in its order."""
    return list(optimizer._parameter_list)


def found_overflow(scaler: Any) -> Any:
    """Return whether the last `scaler.unscale_` found a gradient that is not finite, as a bool tensor with one element."""
    return scaler._found_inf


def set_found_overflow(scaler: Any, value: Any) -> None:
    """Set whether the next `scaler.step` skips its update. `value` is a bool tensor with one element."""
    scaler._found_inf = value


# ---------------------------------------------------------------------------------------------------- processes
def global_tcp_store() -> Any:
    """Return the TCP key-value store that all ranks of a training share. Rank 0 hosts it."""
    import paddle

    return paddle.base.core.create_or_get_global_tcp_store()
