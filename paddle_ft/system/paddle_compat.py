"""Every private name of Paddle and PaddleNLP that this project uses, one function each.

A private name may change with any release. tests/system/test_paddle_compat.py tries each function against the installed
packages, and a failure there names what a release broke. Nothing heavy is imported here before a function is called.

Where a public way exists, use it instead: `layer.add_parameter` and `layer.register_buffer` also replace what is registered,
`layer.named_parameters(include_sublayers=False)` and `layer.named_children()` list what a layer itself holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


# ---------------------------------------------------------------------------------------------------- layers
def replace_forward(layer: Any, forward: Callable) -> None:
    """Have `layer(...)` call `forward` from now on.

    A plain assignment does not do: PaddleNLP patches `__setattr__` of Paddle's transformer layers and rewrites every function
    that is assigned as `forward`. So the function is put into the instance's `__dict__`.
    """
    layer.__dict__["forward"] = forward


def replaced_forward(layer: Any) -> Callable | None:
    """Return the function that replace_forward gave to the layer, None if its class's forward is in place."""
    return layer.__dict__.get("forward")


def restore_forward(layer: Any) -> None:
    """Undo replace_forward."""
    layer.__dict__.pop("forward", None)


def layer_norm_epsilon(layer: Any) -> float:
    """Return the epsilon of a paddle.nn.LayerNorm."""
    return layer._epsilon


def normalized_shape(layer: Any) -> list[int]:
    """Return the trailing dimensions that a paddle.nn.LayerNorm normalizes over."""
    return list(layer._normalized_shape)


# ---------------------------------------------------------------------------------------------------- attention
def additive_mask(mask: Any, dtype: Any) -> Any:
    """Return an attention mask as numbers to add to the scores, as paddle.nn.MultiHeadAttention converts it.

    Args:
        mask: any shape; bool or int: False or 0 must not be seen. A float mask is only cast. None stays None.
        dtype: number format of the scores.
    """
    from paddle.nn.layer.transformer import _convert_attention_mask

    return _convert_attention_mask(mask, dtype)


def project_qkv(attention: Any, query: Any, key: Any, value: Any, cache: Any = None) -> tuple:
    """Return queries, keys and values of a paddle.nn.MultiHeadAttention, and the new cache where one is passed.

    Args:
        attention: h heads of size d.
        query: [b, q, h * d].
        key, value: [b, k, h * d].
        cache: MultiHeadAttention.Cache or StaticCache.

    Returns:
        (q [b, h, q, d], k [b, h, k, d], v [b, h, k, d]), with a cache as the fourth.
    """
    return attention._prepare_qkv(query, key, value, cache)


def override_core_attention(cls: type) -> type:
    """Have a subclass of PaddleNLP's GPT attention compute softmax(q k') v by its own method `core_attention`.

    Use as a class decorator. The method takes (q [b, q, h, d], k and v [b, k, h, d], attention_mask, output_attentions);
    `plain_core_attention` is what it replaces.
    """
    cls._core_attention = cls.core_attention
    return cls


def plain_core_attention(attention: Any, q: Any, k: Any, v: Any, attention_mask: Any, output_attentions: bool) -> Any:
    """Compute attention as PaddleNLP's GPT does: [b, q, h * d], with output_attentions (that, weights)."""
    from paddlenlp.transformers.gpt.modeling import MultiHeadAttention

    return MultiHeadAttention._core_attention(attention, q, k, v, attention_mask, output_attentions)


# ---------------------------------------------------------------------------------------------------- tensors
def is_initialized(tensor: Any) -> bool:
    """Return whether a tensor has memory: an LSTM's dropout state has none before the first pass."""
    return tensor._is_initialized()


def share_buffer(source: Any, target: Any) -> None:
    """Make `target` use the memory of `source`, without a copy. Shape and number format must be the same."""
    source._share_buffer_to(target)


def free_data(tensor: Any) -> None:
    """Free the memory of a tensor. Its shape and name stay; share_buffer gives it memory again."""
    tensor._clear_data()


def on_gradient_ready(parameter: Any, callback: Callable) -> None:
    """Call `callback()` in every backward pass, as soon as the parameter's gradient of that pass is complete.

    Public tensor hooks run too early: before the gradient has been added to `parameter.grad`.
    """
    parameter._register_backward_hook(callback)


def allocated_cpu_bytes() -> int:
    """Return how many bytes Paddle's tensors occupy in main memory now."""
    import paddle

    return paddle.base.core.host_memory_stat_current_value("Allocated", 0)


# ---------------------------------------------------------------------------------------------------- optimizer and scaler
def optimizer_parameters(optimizer: Any) -> list:
    """Return the parameters that an optimizer updates, in its order."""
    return list(optimizer._parameter_list)


def found_overflow(scaler: Any) -> Any:
    """Return whether the last `scaler.unscale_` met a gradient that is not finite: a bool tensor of one element."""
    return scaler._found_inf


def set_found_overflow(scaler: Any, value: Any) -> None:
    """Decide by a bool tensor whether `scaler.step` leaves the coming update out."""
    scaler._found_inf = value


# ---------------------------------------------------------------------------------------------------- processes
def global_tcp_store() -> Any:
    """Return the key-value store that the processes of a training share; rank 0 hosts it."""
    import paddle

    return paddle.base.core.create_or_get_global_tcp_store()


# ---------------------------------------------------------------------------------------------------- names in use on this branch
def original_forward(layer: Any) -> Callable:
    """Return the forward beneath one that functools.wraps has wrapped, or the layer's own."""
    return getattr(replaced_forward(layer), "__wrapped__", layer.forward)


register_backward_hook = on_gradient_ready
overflow_found = found_overflow
set_overflow_found = set_found_overflow
