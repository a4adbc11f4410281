"""Language model heads: from hidden states to logits at chosen positions, through the embedding where the original ties them.

PaddleNLP builds each architecture's head in its own way; here they are one function for masked and one for causal models.
Shapes: b batch, s sequence, d hidden, v vocabulary, n chosen positions.
"""

from __future__ import annotations

from typing import Any

import paddle


class TiedProjector(paddle.nn.Layer):
    """[n, d] -> [n, v] through the embedding's own weight, with a bias of its own."""

    def __init__(self, embedding: paddle.nn.Embedding, bias):
        super().__init__()
        self.bias = bias
        self._shared = [embedding]  # in a list: it is registered where it belongs, not here

    def forward(self, x):
        return paddle.matmul(x, self._shared[0].weight, transpose_y=True) + self.bias


def tie_projector(model, embedding: paddle.nn.Embedding, from_scratch: bool) -> bool:
    """Makes DistilBERT's output projection the transposed input embedding, as the original has it.

    PaddleNLP's is a Linear [d, v] of its own. It is written as such by save_pretrained, so that plain PaddleNLP loads it.
    A loaded projection that differs from the embedding was trained apart: it is left so. Returns whether they are tied.
    """
    projector = model.vocab_projector
    if isinstance(projector, TiedProjector):
        return True
    if not from_scratch and not bool((projector.weight.t() == embedding.weight).all()):
        return False
    model.vocab_projector = TiedProjector(embedding, projector.bias)

    def add_weight(state: dict) -> None:
        state["vocab_projector.weight"] = embedding.weight.detach().t().contiguous()

    model.register_state_dict_hook(add_weight)
    return True


def _hidden(model, **inputs):
    """[b, s, d] of the encoder or decoder under the head."""
    outputs = getattr(model, model.base_model_prefix)(**inputs)
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _chosen(hidden, positions):
    """[b, s, d] -> [n, d]. positions: [n] places in the flattened batch."""
    return hidden.reshape([-1, hidden.shape[-1]]).index_select(positions)


def _distilbert(model, x):
    return model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(x))))


MASKED_LM_HEADS: dict[str, Any] = {
    "bert": lambda model, x: model.cls.predictions(x),
    "distilbert": _distilbert,
    "roberta": lambda model, x: model.lm_head(x),
}


def masked_lm_logits(model, input_ids, attention_mask, positions):
    """[n, v] logits at positions [n] of the flattened batch; input_ids and attention_mask (1: token) are [b, s]."""
    hidden = _hidden(model, input_ids=input_ids, attention_mask=attention_mask)
    return MASKED_LM_HEADS[model.config.model_type](model, _chosen(hidden, positions))


def causal_lm_logits(model, input_ids, positions):
    """[n, v] logits at positions [n] of the flattened batch. Padding must stand on the right, where no token looks."""
    hidden = _chosen(_hidden(model, input_ids=input_ids), positions)
    return paddle.matmul(hidden, model.lm_head.weight, transpose_y=True)


def freeze_row(parameter, row: int) -> list[tuple]:
    """Stop the gradient of row `row` of a [v, d] parameter, whichever way the parameter is used.

    Returns:
        [(parameter, row)] for training.optim.FrozenRows, which undoes AdamW's weight decay of the row. Empty where the whole
        parameter is frozen.
    """
    if parameter.stop_gradient:
        return []
    index = paddle.to_tensor([row])

    @paddle.no_grad()
    def without(gradient):
        return paddle.index_fill(gradient, index, 0, 0.0)

    parameter.register_hook(without)
    return [(parameter, row)]
