"""train.compile: the encoder's and decoder's layers as one static program (paddle.jit.to_static), for training alone.

Only the stack of layers is traced: embeddings, heads and losses stay as they are, and so do the parameters and their names.
Batch and lengths are left open in the program, so that it is made once and not for each shape of a batch.
"""

from __future__ import annotations

import inspect
import re
import warnings

import paddle
from paddle.static import InputSpec
from paddlenlp.transformers.gpt.modeling import TransformerDecoder as GPTDecoder

from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import on_cpu

# The tensors that a stack of layers takes
STACKS = {
    paddle.nn.TransformerEncoder: ("src", "src_mask"),
    paddle.nn.TransformerDecoder: ("tgt", "memory", "tgt_mask", "memory_mask"),
    GPTDecoder: ("hidden_states", "attention_mask"),
}


def compile_stacks(model) -> None:
    """From now on the model's stacks of layers run as static programs in training mode, and as before in any other.

    Raises UserError for a model without such a stack; at the first step if to_static cannot trace it.
    """
    stacks = [layer for layer in model.sublayers() if type(layer) in STACKS]
    if not stacks:
        raise UserError(
            f"train.compile: a model of type {model.config.model_type!r} cannot be compiled here"
            " (bert, roberta, ernie, distilbert, bart and gpt can). Set it to false."
        )
    if on_cpu():  # threads that pass small operators to each other cost more than they bring
        paddle.set_flags({"FLAGS_new_executor_serial_run": True})
    for stack in stacks:
        stack.__dict__["forward"] = _Compiled(stack)  # PaddleNLP rewrites what is assigned as stack.forward


class _Program(paddle.nn.Layer):
    """A stack as a layer that takes tensors alone, which is what to_static asks for. It has the stack's own parameters."""

    def __init__(self, stack, plain, names: tuple[str, ...]):
        super().__init__()
        self.stack = stack
        self._plain, self._names = plain, names

    def forward(self, tensors: list):
        return self._plain(**{name: tensors[place] for place, name in enumerate(self._names)})


class _Compiled:
    """A stack's forward: a program for each kind of input (there is one in a training), the stack's own for all else."""

    def __init__(self, stack):
        self.stack, self.plain, self.names = stack, stack.forward, STACKS[type(stack)]
        self.signature = inspect.signature(self.plain)
        self.programs: dict[tuple, paddle.nn.Layer] = {}

    def __call__(self, *inputs, **more):
        given = self.signature.bind(*inputs, **more).arguments
        tensors = [given.pop(name, None) for name in self.names]
        if not self.stack.training or any(x is None for x in tensors) or any(map(_asked, given.values())):
            return self.plain(*inputs, **more)
        kind = (getattr(self.stack.layers[0].self_attn, "causal", False), *((*_open(x), x.dtype, x.stop_gradient) for x in tensors))
        if kind in self.programs:
            return self.programs[kind](tensors)
        return self._first(kind, tensors)

    def _first(self, kind: tuple, tensors: list):
        specs = [InputSpec(_open(x), x.dtype, stop_gradient=x.stop_gradient) for x in tensors]
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Tensor do not have 'place' interface")
                program = paddle.jit.to_static(_Program(self.stack, self.plain, self.names), input_spec=[specs], full_graph=True)
                result = program(tensors)
        except MemoryError:
            raise
        except Exception as error:  # whatever to_static meets in layers it was not tried on
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = next((line for line in lines if re.match(r"\w*Error: .", line)), lines[-1] if lines else type(error).__name__)
            name = type(self.stack).__name__
            raise UserError(f"train.compile: to_static cannot compile this model's {name} ({reason}). Set it to false.") from None
        self.programs[kind] = program
        return result


def _open(tensor) -> list[int | None]:
    """The shape with batch and lengths left open: hidden states [b, s, d], masks [s, s] or [b, 1 or h, s, s]."""
    fixed = {3: 2, 4: 1}.get(tensor.ndim)
    return [size if axis == fixed else None for axis, size in enumerate(tensor.shape)]


def _asked(value) -> bool:
    """Whether an argument asks for more than the last hidden states: a cache, attention weights, all states."""
    if isinstance(value, tuple | list):
        return any(item is not None for item in value)
    return value is not None and value is not False
