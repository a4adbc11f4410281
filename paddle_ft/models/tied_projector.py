"""An output projection that shares its weight with the input embedding, saved as PaddleNLP's separate one.

Shapes: d hidden size, v vocabulary, n positions.
"""

from __future__ import annotations

import paddle


class TiedProjector(paddle.nn.Layer):
    """[n, d] -> [n, v] through the embedding's own weight, with a bias of its own."""

    def __init__(self, embedding: paddle.nn.Embedding, bias):
        super().__init__()
        self.bias = bias
        self._shared = [embedding]  # in a list: it is registered where it belongs, not here

    def forward(self, x):
        return paddle.matmul(x, self._shared[0].weight, transpose_y=True) + self.bias


def tie_projector(model, name: str, embedding: paddle.nn.Embedding, from_scratch: bool) -> bool:
    """Replace the model's projection by a TiedProjector. save_pretrained still writes it as plain PaddleNLP reads it.

    Args:
        name: the model's attribute, a Linear [d, v].
        from_scratch: False leaves a loaded projection alone that differs from the embedding: it was trained apart.

    Returns:
        Whether they are tied now.
    """
    projector = getattr(model, name)
    if isinstance(projector, TiedProjector):
        return True
    if not from_scratch and not bool((projector.weight.t() == embedding.weight).all()):
        return False
    setattr(model, name, TiedProjector(embedding, projector.bias))

    def add_weight(state: dict) -> None:
        state[f"{name}.weight"] = embedding.weight.detach().t().contiguous()

    model.register_state_dict_hook(add_weight)
    return True
