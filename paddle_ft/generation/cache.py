"""Keys and values of what has been generated, kept per item so that beams are never copied or reordered.

Shape legend: i items (rows of the caller's batch), g group (beams or samples of one item), h heads, s slots, d head
size.
"""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F

STEPS_AT_ONCE = 32  # how many steps' room is allocated at a time


def mask_value(dtype) -> float:
    """Return what is added to a score that must not count. It is finite, so that a row without any allowed key has no NaN."""
    return -6e4 if dtype == paddle.float16 else -1e9


def attention(query, keys, values, mask):
    """Compute softmax(query keys' + mask) values. The query is already scaled.

    Args:
        query: [i, h, g, d].
        keys, values: [i, h, s, d].
        mask: broadcast to [i, h, g, s], or None.

    Returns:
        [i, h, g, d]
    """
    scores = paddle.matmul(query, keys, transpose_y=True)
    if mask is not None:
        scores = scores + mask
    return paddle.matmul(F.softmax(scores), values)


class GroupCache:
    """Self-attention keys and values of all layers: a prefix that the group shares, then g slots for every step.

    Each step writes its g new keys side by side. All queries of an item are multiplied with all slots of the item, and a mask
    opens to each of them the slots on its own path. When beams change places only their mask rows move.
    """

    def __init__(self, items: int, group: int, prefix_mask: np.ndarray, prefix: list):
        """
        Args:
            prefix_mask: [i, p] of 0/1, which prefix positions count; p may be 0.
            prefix: for each layer (keys, values), both [i, h, p, d].
        """
        self.items, self.group, self.steps = items, group, 0
        self.prefix_length = prefix_mask.shape[1]
        self.room = 0
        self.heads, self.size = prefix[0][0].shape[1], prefix[0][0].shape[3]
        self.dtype = prefix[0][0].dtype
        closed = mask_value(self.dtype)
        self.mask = np.repeat(np.where(prefix_mask, 0.0, closed)[:, None], group, axis=1).astype("float32")  # [i, g, s]
        self.layers = [[keys, values] for keys, values in prefix]
        self._grow()

    @property
    def slots(self) -> int:
        """The number of slots of one item that memory is allocated for."""
        return self.prefix_length + self.room * self.group

    def _grow(self) -> None:
        """Allocate room for STEPS_AT_ONCE more steps. Tensors are kept as [i * h * s, d], so that a step writes whole rows."""
        new_slots = STEPS_AT_ONCE * self.group
        shape = [self.items, self.heads, self.slots, self.size]
        room = paddle.zeros([self.items, self.heads, new_slots, self.size], dtype=self.dtype)
        for pair in self.layers:
            pair[:] = [paddle.concat([x.reshape(shape), room], axis=2).reshape([-1, self.size]) for x in pair]
        closed = np.full([self.items, self.group, new_slots], mask_value(self.dtype), dtype="float32")
        self.mask = np.concatenate([self.mask, closed], axis=2)
        self.room += STEPS_AT_ONCE

    def begin_step(self) -> None:
        """Open the next g slots, each to its own beam, for all layers."""
        if self.steps == self.room:
            self._grow()
        beams = np.arange(self.group)
        first = self.prefix_length + self.steps * self.group
        self.mask[:, beams, first + beams] = 0.0
        starts = np.arange(self.items * self.heads) * self.slots + first
        self._where = paddle.to_tensor((starts[:, None] + beams).reshape(-1))
        self._open = paddle.to_tensor(self.mask[:, None]).astype(self.dtype)
        self.steps += 1

    def attend(self, layer: int, query, keys, values):
        """Add this step's keys and values, and attend over the path so far.

        Args:
            query, keys, values: [i, h, g, d].

        Returns:
            [i, h, g, d]
        """
        shape = [self.items, self.heads, self.slots, self.size]
        pair = self.layers[layer]
        for stored, new in zip(pair, (keys, values), strict=True):
            paddle.scatter_(stored, self._where, new.reshape([-1, self.size]))
        return attention(query, pair[0].reshape(shape), pair[1].reshape(shape), self._open)

    def reorder(self, parents: np.ndarray) -> None:
        """Let beam b of item i go on from beam parents[i, b]."""
        self.mask = np.take_along_axis(self.mask, parents[:, :, None], axis=1)

    def keep(self, items: np.ndarray) -> None:
        """Drop all items but these, given by their places among the current ones."""
        index = paddle.to_tensor(items)
        rows = [self.items, self.heads * self.slots * self.size]
        for pair in self.layers:
            pair[:] = [paddle.gather(x.reshape(rows), index).reshape([-1, self.size]) for x in pair]
        self.mask = self.mask[items]
        self.items = len(items)
