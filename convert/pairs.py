"""Define the correspondence between a tensor of Hugging Face's model and the parameters of Paddle's model."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TensorPair:
    """A tensor of Hugging Face's model, and the parameter or parameters of Paddle's model with the same values.

    Attributes:
        hf: Its name in Hugging Face's model.
        paddle: The names of Paddle's parameters. If there are several, the tensor is their concatenation along the last axis.
        shape: The tensor's shape in Hugging Face's model.
        transpose: Whether Paddle stores the transpose.
        tied_to: Name of the tensor that this one equals in Hugging Face's model if tie_word_embeddings is on. Paddle has a
            separate parameter for it.
        init: Initial value of a new parameter: "normal", "zeros", "ones", or "positions" (the integers from 0).
        optional: Whether a file may leave the tensor out. Its value is then that of `init`.
        paddle_only: Whether only Paddle's model has the tensor. Its value must then be that of `init`.
        group: Name of a part that a checkpoint has completely or not at all; None for tensors that every checkpoint has.
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
        """Return all names of the tensor in Hugging Face's model."""
        return (self.hf, *self.hf_aliases)

    @property
    def paddle_names(self) -> tuple[str, ...]:
        """Return all names of the parameters in Paddle's state dict."""
        return (*self.paddle, *self.paddle_aliases)

    @property
    def paddle_shape(self) -> tuple[int, ...]:
        """Return the shape of each of Paddle's parameters."""
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
        """Return the initial value of a new tensor, in Hugging Face's layout.

        Normal values are drawn with a seed made from the tensor's name, so that every conversion gives the same values.

        Args:
            std: Standard deviation of normal values.
        """
        if self.init == "normal":
            rng = np.random.default_rng(zlib.crc32(self.hf.encode()))
            return rng.normal(0, std, self.shape).astype(np.float32)
        if self.init == "positions":
            return np.arange(self.shape[-1], dtype=np.int64).reshape(self.shape)
        return np.full(self.shape, {"zeros": 0, "ones": 1}[self.init], np.float32)
