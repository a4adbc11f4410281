"""Activations computed again in the backward pass instead of being kept: less memory, for the time of a second forward pass.

Source: Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost. PaddleNLP's own switches cover some of the families,
and change the order in which BART's gradients are summed; here all are treated alike, and gradients stay the same to the bit.
"""

from __future__ import annotations

import functools

import paddle

from paddle_ft.models.architectures import architecture_of
from paddle_ft.system.paddle_compat import replace_forward


def recompute_activations(model) -> None:
    """Keep only the inputs of each layer of encoder and decoder in training, and run its forward pass twice.

    Dropout draws the same numbers in both. Evaluation and generation are as before, and so is a first layer whose input
    needs no gradient (frozen embeddings).
    """
    for layer in transformer_layers(model):
        replace_forward(layer, _recomputed(layer))


def transformer_layers(model) -> list:
    """Return the layers of encoder and decoder, in the order in which they run."""
    return architecture_of(model).layers_of(model)


def _recomputed(layer):
    from paddle.distributed.fleet.utils import recompute

    forward = layer.forward

    @functools.wraps(forward)
    def wrapped(*inputs, **named_inputs):
        tensors = (value for value in (*inputs, *named_inputs.values()) if isinstance(value, paddle.Tensor))
        if layer.training and any(not tensor.stop_gradient for tensor in tensors):
            return recompute(forward, *inputs, use_reentrant=False, **named_inputs)
        return forward(*inputs, **named_inputs)

    return wrapped
