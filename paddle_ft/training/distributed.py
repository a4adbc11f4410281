"""Many processes as one training: every step's gradient is that of all rows of all processes over all their targets.

Gradients are summed once an optimizer step, after accumulation, in flat buckets; no wrapper stands around the model.
Works over NCCL on GPUs and over gloo on CPUs, started by `--devices` or by python -m paddle.distributed.launch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import paddle
import paddle.distributed as dist

from paddle_ft.errors import UserError
from paddle_ft.world import World, launched

BUCKET = 1 << 24  # elements of one all-reduce


@contextlib.contextmanager
def talking():
    """Turns a connection that breaks in the middle of a collective operation into words."""
    try:
        yield
    except (RuntimeError, ValueError, OSError, SystemError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise UserError(
            f"the connection to another process of this training broke, so that process has probably ended: {reason}."
            " Look at its log; go on from the last checkpoint with --resume."
        ) from None


class Group(World):
    """The processes that a launcher has started."""

    def __init__(self):
        try:
            dist.init_parallel_env()
        except (RuntimeError, ValueError, NotImplementedError, OSError) as error:
            raise UserError(f"the processes could not be joined: {error}") from None
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def gather(self, results: list[Any], count: int) -> list[Any]:
        parts: list = []
        with talking():
            dist.all_gather_object(parts, results)
        return [parts[row % self.size][row // self.size] for row in range(count)]

    def total(self, values: list[float]) -> list[float]:
        tensor = paddle.to_tensor(values, dtype="float64")
        with talking():
            dist.all_reduce(tensor)
            return tensor.tolist()

    def wait(self) -> None:
        with talking():
            dist.barrier()


def join() -> World:
    """The group this process was started in, or a world of one."""
    return Group() if launched() > 1 else World()


def sum_gradients(world: World, parameters: Iterable) -> None:
    """Replaces every gradient by the sum over all processes. A parameter without one in this process counts as zero."""
    if world.size == 1:
        return
    with paddle.no_grad(), talking():
        bucket: list = []
        filled = 0
        for parameter in parameters:
            bucket.append(parameter)
            filled += parameter.size
            if filled >= BUCKET:
                _reduce(bucket)
                bucket, filled = [], 0
        if bucket:
            _reduce(bucket)


def _reduce(parameters: list) -> None:
    flat = flattened(parameters)
    dist.all_reduce(flat)
    for parameter, part in zip(parameters, flat.split([p.size for p in parameters]), strict=True):
        parameter.grad = part.reshape(parameter.shape).astype(parameter.dtype)


def without_gradient(world: World, parameters: list, ready: set[str]) -> set[str]:
    """Paddle's names of the parameters for which no process has a gradient. ready: the names of those for which this one has.

    AdamW leaves them alone, as it does in one process: with zeros for gradients it would let them decay.
    """
    had = world.total([float(p.name in ready) for p in parameters])
    return {p.name for p, count in zip(parameters, had, strict=True) if not count}


def flattened(parameters: list):
    """Gradients of parameters, one behind the other, in fp32; zeros where there is none."""
    return paddle.concat([_gradient(p).reshape([-1]) for p in parameters])


def _gradient(parameter):
    if parameter.grad is None:
        return paddle.zeros(parameter.shape, dtype="float32")
    return parameter.grad.astype("float32")


def broadcast_weights(world: World, model) -> None:
    """Gives every process the weights of the first: a model from scratch is then the same everywhere."""
    if world.size > 1:
        with paddle.no_grad():
            for value in [*model.parameters(), *model.buffers()]:
                dist.broadcast(value, src=0)
