"""Define the base class of exported graphs, and the attention that decoders share.

Shapes: i items, g group (beams of an item), h heads, q queries, k keys, d size of a head.
"""

from __future__ import annotations

from typing import Any, ClassVar

import paddle
import paddle.nn.functional as F

MASKED = -1e9  # added to the scores of keys that must not be seen, as in paddle_ft/generation


class Graph(paddle.nn.Layer):
    """A layer with named inputs and outputs that is saved as a program.

    Attributes:
        inputs: name -> (shape, dtype) of each input; None in a shape is a dimension that may vary.
        outputs: name of each output.
    """

    inputs: dict[str, tuple[list[int | None], Any]]
    outputs: ClassVar[tuple[str, ...]]

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        self.eval()
        # Collected here because paddle.jit.save asks for it while Paddle traces, when a state dict hook of the model, such as that
        # of tied projections, would compute with tensors that the program does not have.
        self._state = [dict([*model.named_parameters(prefix="model"), *model.named_buffers(prefix="model")])]

    def to_static_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the parameters and buffers for paddle.jit.save."""
        return self._state[0]

    def input_spec(self) -> list[Any]:
        """Return the inputs as Paddle describes them."""
        return [paddle.static.InputSpec(shape, dtype, name) for name, (shape, dtype) in self.inputs.items()]


def attend(query: Any, keys: Any, values: Any, bias: Any) -> Any:
    """Compute softmax(query keys' + bias) values.

    Args:
        query: [..., q, d], already scaled.
        keys, values: [..., k, d]
        bias: added to the scores [..., q, k], or None.

    Returns:
        [..., q, d]
    """
    scores = paddle.matmul(query, keys, transpose_y=True)
    return paddle.matmul(F.softmax(scores if bias is None else scores + bias), values)


def split_heads(x: Any, heads: int, size: int) -> Any:
    """Split [i, q, h * d] into [i, q, h, d]."""
    return x.reshape([0, 0, heads, size])


def attend_to_own(query: Any, new: tuple[Any, Any], past: Any, bias: Any) -> Any:
    """Let each row attend to its own keys: those of the cache, and its new one.

    Args:
        query: [i, g, h, d], already scaled.
        new: its keys and values, [i, g, h, d] each.
        past: the cached keys and values, [i, g, h, k, d] each, or None.
        bias: broadcast to [i, g, h, 1, k + 1], or None.

    Returns:
        [i, g, h * d]
    """
    keys, values = (x.unsqueeze(3) for x in new)
    if past is not None:
        keys, values = paddle.concat([past[0], keys], axis=3), paddle.concat([past[1], values], axis=3)
    out = attend(query.unsqueeze(3), keys, values, bias)
    return out.reshape([0, 0, query.shape[2] * query.shape[3]])
