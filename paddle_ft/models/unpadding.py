"""Leave out of an encoder's computation what nothing reads: the padding, and in the last layer the outputs that no head reads.

Everything in an encoder layer but its attention treats each position by itself. So the positions that are padding can be taken out
before the first layer and put back after the last; only the attention needs its queries, keys and values as padded rows. In the
last layer all that follows the attention is needed only where the model's head reads the output: at the first token for a
classifier, at the targets for masked language modelling. The outputs that are read and all gradients stay what they are, to
rounding.

Shapes: b batch, s positions of the longest row, n chosen positions, d features, h heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle.autograd import PyLayer

WORTHWHILE = 0.05  # share of padding from which leaving it out gains more than taking it out and putting it back costs


class Positions:
    """Some positions of a batch.

    Attributes:
        chosen: [n], indices into the flattened batch, in ascending order.
    """

    def __init__(self, chosen: Sequence[int] | np.ndarray, shape: tuple[int, int]):
        """Number the positions of a batch of a shape (b, s)."""
        chosen = np.asarray(chosen, dtype=np.int64)
        self.chosen, self.shape = chosen, shape
        numbers = np.full(shape[0] * shape[1], len(chosen), dtype=np.int64)
        numbers[chosen] = np.arange(len(chosen))
        self._chosen = paddle.to_tensor(chosen)
        self._numbers = paddle.to_tensor(numbers)  # a position that is not chosen has the number n

    def take_out(self, x):
        """Return [1, n, d] of an x [b, s, d] at these positions."""
        return _TakeOut.apply(x, self._chosen, self._numbers)

    def put_back(self, x):
        """Return [b, s, d] of an x [1, n, d], with zeros at all other positions."""
        return _PutBack.apply(x, self._chosen, self._numbers, self.shape)

    def among(self, others: Positions) -> Positions:
        """Return these positions as positions of what `others.take_out` returns, which has all of them."""
        return Positions(np.searchsorted(others.chosen, self.chosen), (1, len(others.chosen)))


class Unpadded(Positions):
    """The positions of a batch that are not padding.

    Attributes:
        mask: the batch's attention mask [b, 1, 1, s], which is added to the scores: 0 for positions that are not padding.
    """

    def __init__(self, mask, kept: np.ndarray):
        """Find them in `kept` [b, s], whether a position is not padding."""
        super().__init__(np.flatnonzero(kept), kept.shape)
        self.mask = mask


def without_padding(mask) -> Unpadded | None:
    """Return the positions that are not padding, or None if there is too little padding or the mask hides anything else.

    Args:
        mask: attention mask that is added to the scores, or None.
    """
    if mask is None or mask.ndim != 4 or mask.shape[1] != 1 or mask.shape[2] != 1 or mask.dtype != paddle.float32:
        return None
    kept = mask.numpy()[:, 0, 0] == 0
    if kept.mean() > 1 - WORTHWHILE or not kept.any(axis=1).all():
        return None
    return Unpadded(mask, kept)


def _take(x, positions):
    return paddle.gather(x.reshape([-1, x.shape[-1]]), positions).unsqueeze(0)


def _put(x, numbers, shape):
    rows = x.reshape([-1, x.shape[-1]])
    rows = paddle.concat([rows, paddle.zeros([1, rows.shape[1]], rows.dtype)])
    return paddle.gather(rows, numbers).reshape([*shape, rows.shape[1]])


class _TakeOut(PyLayer):
    @staticmethod
    def forward(ctx, x, positions, numbers):
        ctx.numbers, ctx.shape = numbers, x.shape[:-1]
        return _take(x, positions)

    @staticmethod
    def backward(ctx, gradient):
        return _put(gradient, ctx.numbers, ctx.shape)


class _PutBack(PyLayer):
    @staticmethod
    def forward(ctx, x, positions, numbers, shape):
        ctx.positions = positions
        return _put(x, numbers, shape)

    @staticmethod
    def backward(ctx, gradient):
        return _take(gradient, ctx.positions)
