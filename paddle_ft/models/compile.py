"""Implement train.compile: run the encoder's and the decoder's layers as static programs (paddle.jit.to_static) in training.

Only the stacks of layers are traced. Embeddings, heads, losses, and the parameters with their names do not change. Batch size and
lengths are variable in the program, so it is compiled once and not for each batch shape.
"""

from __future__ import annotations

import inspect
import re
import warnings

import paddle
from paddle.static import InputSpec

from paddle_ft.models.architectures import architectures, find_architecture, import_by_name
from paddle_ft.system.errors import UserError
from paddle_ft.system.paddle_compat import replace_forward
from paddle_ft.system.runtime import on_cpu


def compile_stacks(model) -> None:
    """Make the model run its stacks of layers as static programs in training mode. Other modes do not change.

    Raises:
        UserError: the model has no such stack. The first step raises it if to_static cannot trace the stack.
    """
    record = find_architecture(model.config.model_type)
    names = {import_by_name(cls): names for cls, names in record.stacks.items()} if record else {}
    stacks = [layer for layer in model.sublayers() if type(layer) in names]
    if not stacks:
        *others, last = [known.name for known in architectures() if known.stacks]
        raise UserError(
            f"train.compile: a model of type {model.config.model_type!r} cannot be compiled here"
            f" ({', '.join(others)} and {last} can). Set it to false."
        )
    if on_cpu():  # running small operators on several threads costs more time than it saves
        paddle.set_flags({"FLAGS_new_executor_serial_run": True})
    decoder = record.causal_decoder
    causal_layers = decoder.self_attention(decoder.find(model)) if decoder else []
    for stack in stacks:
        own_layers = [layer for layer in stack.sublayers() if any(layer is other for other in causal_layers)]
        replace_forward(stack, CompiledStack(stack, names[type(stack)], own_layers))


class _Program(paddle.nn.Layer):
    """A stack of layers behind a forward that takes only a list of tensors, as to_static requires."""

    def __init__(self, stack, plain, names: tuple[str, ...]):
        super().__init__()
        self.stack = stack
        self._plain, self._names = plain, names

    def forward(self, tensors: list):
        return self._plain(**{name: tensors[number] for number, name in enumerate(self._names)})


class CompiledStack:
    """The forward of a compiled stack. It falls back to the stack's own forward for calls that cannot be compiled.

    Attributes:
        names: the arguments that are tensors and are passed to a program.
        causal_layers: the stack's attention layers that may use the causal kernel. models/attention.py sets their `causal` before
            each call.
        programs: compiled programs by `causal`, and the dtypes, fixed sizes and gradient flags of the tensors. A training needs
            one.
    """

    def __init__(self, stack, names: tuple[str, ...], causal_layers: list):
        self.stack, self.plain, self.names, self.causal_layers = stack, stack.forward, names, causal_layers
        self.signature = inspect.signature(self.plain)
        self.programs: dict[tuple, paddle.nn.Layer] = {}

    def __call__(self, *inputs, **named_inputs):
        arguments = self.signature.bind(*inputs, **named_inputs).arguments
        tensors = [arguments.pop(name, None) for name in self.names]
        if not self.stack.training or any(x is None for x in tensors) or any(map(_asks_for_more, arguments.values())):
            return self.plain(*inputs, **named_inputs)
        causal = any(getattr(layer, "causal", False) for layer in self.causal_layers)
        key = (causal, *((*_open_shape(x), x.dtype, x.stop_gradient) for x in tensors))
        if key in self.programs:
            return self.programs[key](tensors)
        return self._compile(key, tensors)

    def _compile(self, key: tuple, tensors: list):
        """Compile the program for inputs like these, store it under the key, and return its result."""
        specs = [InputSpec(_open_shape(x), x.dtype, stop_gradient=x.stop_gradient) for x in tensors]
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Tensor do not have 'place' interface")
                program = paddle.jit.to_static(_Program(self.stack, self.plain, self.names), input_spec=[specs], full_graph=True)
                result = program(tensors)
        except MemoryError:
            raise
        except Exception as error:  # to_static raises many types for layers that it cannot trace
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = next((line for line in lines if re.match(r"\w*Error: .", line)), lines[-1] if lines else type(error).__name__)
            name = type(self.stack).__name__
            raise UserError(f"train.compile: to_static cannot compile this model's {name} ({reason}). Set it to false.") from None
        self.programs[key] = program
        return result


def _open_shape(tensor) -> list[int | None]:
    """Return the shape with None for batch and lengths. Hidden states are [b, s, d], masks [s, s] or [b, 1 or h, s, s]."""
    fixed = {3: 2, 4: 1}.get(tensor.ndim)
    return [size if axis == fixed else None for axis, size in enumerate(tensor.shape)]


def _asks_for_more(value) -> bool:
    """Return whether an argument asks for more than the last hidden states: a cache, attention weights or all states."""
    if isinstance(value, tuple | list):
        return any(item is not None for item in value)
    return value is not None and value is not False
