"""A tensor of Hugging Face's model and what holds it in Paddle's model."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TensorPair:
    """A tensor of Hugging Face's model and the parameter, or the several parameters, of Paddle's model that hold it.

    Attributes:
        hf: Its name in Hugging Face's model.
        paddle: The names of Paddle's parameters. If there are several, the tensor is their concatenation along the last axis.
        shape: The tensor's shape in Hugging Face's model.
        transpose: Paddle stores the transpose.
        tied_to: Name of the tensor that this one repeats in Hugging Face's model when tie_word_embeddings is on. Paddle has a
            parameter of its own for it.
        init: How a new parameter starts: "normal", "zeros", "ones", or "positions" (the integers from 0).
        optional: A file may leave the tensor out, which means the value of `init`.
        paddle_only: Hugging Face's model has no such tensor, and its value must be the one of `init`.
        group: Name of the part that a checkpoint has completely or not at all; None for what every checkpoint has.
        hf_aliases: Other names of the same tensor in Hugging Face's model (tied parameters).
        paddle_aliases: Other names of the same parameter in Paddle's state dict.
        layer: Kind of layer, for reports.
    """

    hf: str
    paddle: tuple[str, ...]
    shape: tuple[int, ...]
    transpose: bool = False
    tied_to: str | None = None
    init: str = "normal"
    optional: bool = False
    paddle_only: bool = False
    group: str | None = None
    hf_aliases: tuple[str, ...] = ()
    paddle_aliases: tuple[str, ...] = ()
    layer: str = "Parameter"

    @property
    def hf_names(self) -> tuple[str, ...]:
        return (self.hf, *self.hf_aliases)

    @property
    def paddle_names(self) -> tuple[str, ...]:
        return (*self.paddle, *self.paddle_aliases)

    @property
    def paddle_shape(self) -> tuple[int, ...]:
        """Shape of each of Paddle's parameters."""
        if self.transpose:
            return self.shape[::-1]
        return (*self.shape[:-1], self.shape[-1] // len(self.paddle)) if len(self.paddle) > 1 else self.shape

    def to_paddle(self, tensor: np.ndarray) -> list[np.ndarray]:
        """Return Paddle's parameters, in the order of `paddle`, for a tensor of Hugging Face's model."""
        if self.transpose:
            return [tensor.T]
        return np.split(tensor, len(self.paddle), axis=-1) if len(self.paddle) > 1 else [tensor]

    def to_hf(self, parameters: Sequence[np.ndarray]) -> np.ndarray:
        """Return Hugging Face's tensor for Paddle's parameters: the inverse of `to_paddle`."""
        if self.transpose:
            return parameters[0].T
        return np.concatenate(parameters, axis=-1) if len(parameters) > 1 else parameters[0]

    def initial_value(self, std: float) -> np.ndarray:
        """Return the value that a new tensor starts with, in Hugging Face's layout.

        Normal values are drawn with a seed made from the tensor's name, so that a conversion can be repeated.

        Args:
            std: Standard deviation of normal values.
        """
        if self.init == "normal":
            random = np.random.default_rng(zlib.crc32(self.hf.encode()))
            return random.normal(0, std, self.shape).astype(np.float32)
        if self.init == "positions":
            return np.arange(self.shape[-1], dtype=np.int64).reshape(self.shape)
        return np.full(self.shape, {"zeros": 0, "ones": 1}[self.init], np.float32)
