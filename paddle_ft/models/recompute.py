"""Recompute activations in the backward pass instead of storing them: less memory, at the cost of a second forward pass.

Source: Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost. PaddleNLP's own switches support only some architectures,
and with some they change the order in which gradients are summed. This works for all of them and gives bit-identical gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import paddle

from paddle_ft.models.architectures import architecture_of
from paddle_ft.system.paddle_compat import replace_forward, replaced_forward


def recompute_activations(model) -> None:
    """Make each encoder and decoder layer store only its inputs in training, and run its forward again in the backward pass.

    Dropout uses the same masks in both passes. Evaluation and generation do not change, and neither does a first layer whose
    input needs no gradient (frozen embeddings).
    """
    for layer in transformer_layers(model):
        replace_forward(layer, _recomputed(layer))


def transformer_layers(model) -> list:
    """Return the encoder's and the decoder's layers, in the order in which they run."""
    return architecture_of(model).layers_of(model)


def plain_forward(layer) -> Callable:
    """Return the layer's forward without the wrapper of recompute_activations, if it has one."""
    return getattr(replaced_forward(layer), "__wrapped__", layer.forward)


def _recomputed(layer) -> Callable:
    from paddle.distributed.fleet.utils import recompute

    forward = layer.forward

    @functools.wraps(forward)
    def wrapped(*inputs, **named_inputs):
        tensors = (value for value in (*inputs, *named_inputs.values()) if isinstance(value, paddle.Tensor))
        if layer.training and any(not tensor.stop_gradient for tensor in tensors):
            return recompute(forward, *inputs, use_reentrant=False, **named_inputs)
        return forward(*inputs, **named_inputs)

    return wrapped
