"""Cache the keys and values of generated tokens without ever copying or reordering beams.

Shapes: i items (rows of the caller's batch), g group (beams or samples of one item), h heads, s slots, d size of a head.
"""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F

STEPS_PER_ALLOCATION = 32  # memory is allocated for so many steps at once


def mask_value(dtype) -> float:
    """Return the number that is added to a masked score. It is finite, so a row whose keys are all masked gives no NaN."""
    return -6e4 if dtype == paddle.float16 else -1e9


def attention(query, keys, values, mask):
    """Compute softmax(query keys' + mask) values.

    Args:
        query: [i, h, g, d], already scaled.
        keys, values: [i, h, s, d].
        mask: added to the scores, broadcast to [i, h, g, s]; or None.

    Returns:
        [i, h, g, d]
    """
    scores = paddle.matmul(query, keys, transpose_y=True)
    if mask is not None:
        scores = scores + mask
    return paddle.matmul(F.softmax(scores), values)


class GroupCache:
    """Self-attention keys and values of all layers: a prefix that the group shares, then g slots for every step.

    Each step writes the g new keys of an item next to each other. Every query of the item is multiplied with all slots of the item,
    and a mask hides the slots that are not on the query's own path. So reordering beams moves mask rows only.
    """

    def __init__(self, items: int, group: int, prefix_mask: np.ndarray, prefix: list):
        """Start with the keys and values of the prefix.

        Args:
            items: number of items.
            group: rows of each item.
            prefix_mask: [i, p], 1 for a token and 0 for padding; p may be 0.
            prefix: (keys, values) of each layer, both [i, h, p, d].
        """
        self.items, self.group, self.steps = items, group, 0
        self.prefix_length = prefix_mask.shape[1]
        self.allocated_steps = 0
        self.heads, self.head_dim = prefix[0][0].shape[1], prefix[0][0].shape[3]
        self.dtype = prefix[0][0].dtype
        masked = mask_value(self.dtype)
        self.mask = np.repeat(np.where(prefix_mask, 0.0, masked)[:, None], group, axis=1).astype("float32")  # [i, g, s]
        self.layers = [[keys, values] for keys, values in prefix]
        self._grow()

    @property
    def slots(self) -> int:
        """Return the number of slots of one item that memory is allocated for."""
        return self.prefix_length + self.allocated_steps * self.group

    def _grow(self) -> None:
        """Allocate memory for more steps. Tensors have the shape [i * h * s, d], so that a step writes whole rows."""
        new_slots = STEPS_PER_ALLOCATION * self.group
        shape = [self.items, self.heads, self.slots, self.head_dim]
        empty = paddle.zeros([self.items, self.heads, new_slots, self.head_dim], dtype=self.dtype)
        for pair in self.layers:
            pair[:] = [paddle.concat([x.reshape(shape), empty], axis=2).reshape([-1, self.head_dim]) for x in pair]
        masked = np.full([self.items, self.group, new_slots], mask_value(self.dtype), dtype="float32")
        self.mask = np.concatenate([self.mask, masked], axis=2)
        self.allocated_steps += STEPS_PER_ALLOCATION

    def begin_step(self) -> None:
        """Make the next g slots of all layers visible, each to its own beam."""
        if self.steps == self.allocated_steps:
            self._grow()
        beams = np.arange(self.group)
        first = self.prefix_length + self.steps * self.group
        self.mask[:, beams, first + beams] = 0.0
        starts = np.arange(self.items * self.heads) * self.slots + first
        self._slot_rows = paddle.to_tensor((starts[:, None] + beams).reshape(-1))
        self._step_mask = paddle.to_tensor(self.mask[:, None]).astype(self.dtype)
        self.steps += 1

    def attend(self, layer: int, query, keys, values):
        """Add this step's keys and values, and attend to each row's path so far.

        Args:
            layer: number of the layer.
            query, keys, values: [i, h, g, d].

        Returns:
            [i, h, g, d]
        """
        shape = [self.items, self.heads, self.slots, self.head_dim]
        pair = self.layers[layer]
        for stored, new in zip(pair, (keys, values), strict=True):
            paddle.scatter_(stored, self._slot_rows, new.reshape([-1, self.head_dim]))
        return attention(query, pair[0].reshape(shape), pair[1].reshape(shape), self._step_mask)

    def reorder(self, parents: np.ndarray) -> None:
        """Continue beam b of item i from beam parents[i, b]."""
        self.mask = np.take_along_axis(self.mask, parents[:, :, None], axis=1)

    def keep(self, items: np.ndarray) -> None:
        """Keep only these items, numbered among the current ones."""
        index = paddle.to_tensor(items)
        rows = [self.items, self.heads * self.slots * self.head_dim]
        for pair in self.layers:
            pair[:] = [paddle.gather(x.reshape(rows), index).reshape([-1, self.head_dim]) for x in pair]
        self.mask = self.mask[items]
        self.items = len(items)
