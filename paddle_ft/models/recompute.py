"""Activations computed again in the backward pass instead of being kept: memory for one layer at a time, for time.

Source: Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost. PaddleNLP's own switches cover some of the families,
and change the order in which BART's gradients are summed; here all are treated alike, and gradients stay the same to the bit.
"""

from __future__ import annotations

import functools

import paddle

LAYERS = ("TransformerEncoderLayer", "TransformerDecoderLayer", "GPTDecoderLayer")


def recompute_activations(model) -> None:
    """Of each layer of encoder and decoder only the inputs are kept in training, and its forward pass runs twice.

    Dropout draws the same numbers in both. Evaluation and generation are as before, and so is a first layer whose input
    needs no gradient (frozen embeddings).
    """
    for layer in transformer_layers(model):
        layer.__dict__["forward"] = _recomputed(layer)  # PaddleNLP rewrites what is assigned as layer.forward


def transformer_layers(model) -> list:
    """The layers of encoder and decoder, in the order in which they run."""
    return [layer for layer in model.sublayers() if type(layer).__name__ in LAYERS]


def _recomputed(layer):
    from paddle.distributed.fleet.utils import recompute

    forward = layer.forward

    @functools.wraps(forward)
    def wrapped(*inputs, **more):
        tensors = (value for value in (*inputs, *more.values()) if isinstance(value, paddle.Tensor))
        if layer.training and any(not tensor.stop_gradient for tensor in tensors):
            return recompute(forward, *inputs, use_reentrant=False, **more)
        return forward(*inputs, **more)

    return wrapped
