"""Share the weight of the input embedding with an output projection that PaddleNLP keeps and saves separately.

Shapes: d hidden size, v vocabulary, n positions.
"""

from __future__ import annotations

import paddle


class TiedProjector(paddle.nn.Layer):
    """Project [n, d] to [n, v] with the embedding's weight and a separate bias."""

    def __init__(self, embedding: paddle.nn.Embedding, bias):
        super().__init__()
        self.bias = bias
        self._shared = [embedding]  # in a list, so that it is not registered as a sublayer here a second time

    def forward(self, x):
        return paddle.matmul(x, self._shared[0].weight, transpose_y=True) + self.bias


def tie_projector(model, name: str, embedding: paddle.nn.Embedding, from_scratch: bool) -> bool:
    """Replace the model's projection by a TiedProjector. save_pretrained still writes the weight that plain PaddleNLP expects.

    Args:
        model: the model; it is changed in place.
        name: the attribute of the model that holds the projection, a Linear [d, v].
        embedding: the input embedding.
        from_scratch: whether the model is new. In a loaded model a projection that differs from the embedding was trained
            separately and is not replaced.

    Returns:
        Whether projection and embedding are tied now.
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
