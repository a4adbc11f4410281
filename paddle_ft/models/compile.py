"""train.compile: the layers of encoder and decoder as one static program each (paddle.jit.to_static), in training only.

Only the stack of layers is traced: embeddings, heads and losses stay as they are, and so do the parameters and their names.
Batch size and lengths are left open in the program, so that it is made once and not for each shape of a batch.
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
    """Run the model's stacks of layers as static programs in training mode from now on, and as before in any other.

    Raises:
        UserError: the model has no such stack; at the first step: to_static cannot trace it.
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
    if on_cpu():  # threads that pass small operators to each other cost more than they bring
        paddle.set_flags({"FLAGS_new_executor_serial_run": True})
    for stack in stacks:
        replace_forward(stack, CompiledStack(stack, names[type(stack)]))


class _Program(paddle.nn.Layer):
    """A stack as a layer that takes tensors alone, which is what to_static asks for. It has the stack's own parameters."""

    def __init__(self, stack, plain, names: tuple[str, ...]):
        super().__init__()
        self.stack = stack
        self._plain, self._names = plain, names

    def forward(self, tensors: list):
        return self._plain(**{name: tensors[place] for place, name in enumerate(self._names)})


class CompiledStack:
    """A stack's forward: a program for each kind of input (a training has one), the stack's own forward for all else.

    Attributes:
        names: the arguments that are tensors and go into a program.
        programs: by number formats, fixed sizes and gradients of the tensors.
    """

    def __init__(self, stack, names: tuple[str, ...]):
        self.stack, self.plain, self.names = stack, stack.forward, names
        self.signature = inspect.signature(self.plain)
        self.programs: dict[tuple, paddle.nn.Layer] = {}

    def __call__(self, *inputs, **named_inputs):
        arguments = self.signature.bind(*inputs, **named_inputs).arguments
        tensors = [arguments.pop(name, None) for name in self.names]
        if not self.stack.training or any(x is None for x in tensors) or any(map(_is_request, arguments.values())):
            return self.plain(*inputs, **named_inputs)
        causal = getattr(self.stack.layers[0].self_attn, "causal", False)
        key = (causal, *((*_open_shape(x), x.dtype, x.stop_gradient) for x in tensors))
        if key in self.programs:
            return self.programs[key](tensors)
        return self._compile(key, tensors)

    def _compile(self, key: tuple, tensors: list):
        """Make the program for inputs like these, run it and keep it."""
        specs = [InputSpec(_open_shape(x), x.dtype, stop_gradient=x.stop_gradient) for x in tensors]
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
        self.programs[key] = program
        return result


def _open_shape(tensor) -> list[int | None]:
    """Return the shape with batch and lengths left open: hidden states [b, s, d], masks [s, s] or [b, 1 or h, s, s]."""
    fixed = {3: 2, 4: 1}.get(tensor.ndim)
    return [size if axis == fixed else None for axis, size in enumerate(tensor.shape)]


def _is_request(value) -> bool:
    """Return whether an argument asks for more than the last hidden states: a cache, attention weights, all states."""
    if isinstance(value, tuple | list):
        return any(item is not None for item in value)
    return value is not None and value is not False
