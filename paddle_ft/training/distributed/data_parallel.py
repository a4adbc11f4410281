"""Train data parallel: the gradient of a step is that of all ranks' rows, divided by all their targets.

Gradients are summed once for each optimizer step, after accumulation, in flat buckets. The model is not wrapped.
"""

from __future__ import annotations

from collections.abc import Callable

import paddle
import paddle.distributed as dist

from paddle_ft.system import paddle_compat
from paddle_ft.training.distributed.process_group import ProcessGroup
from paddle_ft.training.optim import GradientSync

BUCKET_SIZE = 1 << 24  # elements of one all-reduce


class DataParallel(GradientSync):
    """Sum the gradients over all ranks. All ranks then take the same optimizer step.

    A parameter without a gradient on any rank in the first step never gets one. It is not updated, as in one process: with a
    gradient of zeros AdamW would still apply weight decay.
    """

    def __init__(self, world: ProcessGroup, model):
        super().__init__(model)
        self.world = world
        self.no_grad_parameters: list | None = None  # known after the first backward pass
        broadcast_parameters(world, model)

    def sum_over_ranks(self, values: list[float]) -> list[float]:
        return self.world.all_reduce(values)

    def reduce_gradients(self) -> None:
        self._leave_out_no_grad_parameters()
        with paddle.no_grad(), self.world.collective():
            bucket: list = []
            size = 0
            for parameter in self.owned:
                bucket.append(parameter)
                size += parameter.size
                if size >= BUCKET_SIZE:
                    _all_reduce(bucket)
                    bucket, size = [], 0
            if bucket:
                _all_reduce(bucket)

    def _leave_out_no_grad_parameters(self) -> None:
        if self.no_grad_parameters is None:
            names = names_without_gradient(self.world, self.owned, {p.name for p in self.owned if p.grad is not None})
            self.no_grad_parameters = [p for p in self.owned if p.name in names]
            self.owned = [p for p in self.owned if p.name not in names]
        if any(p.grad is not None for p in self.no_grad_parameters):
            raise RuntimeError("a parameter that had no gradient in the first step has one now")

    def gather_optimizer_states(self, collect: Callable[[], dict]) -> dict:
        return collect() if self.world.is_main else {}


def _all_reduce(parameters: list) -> None:
    flat = flatten_gradients(parameters)
    dist.all_reduce(flat)
    for parameter, part in zip(parameters, flat.split([p.size for p in parameters]), strict=True):
        parameter.grad = part.reshape(parameter.shape).astype(parameter.dtype)


def names_without_gradient(world: ProcessGroup, parameters: list, with_gradient: set[str]) -> set[str]:
    """Return Paddle's names of the parameters without a gradient on any rank.

    Args:
        world: the processes.
        parameters: the trained parameters.
        with_gradient: names of the parameters that have a gradient on this rank.
    """
    counts = world.all_reduce([float(p.name in with_gradient) for p in parameters])
    return {p.name for p, count in zip(parameters, counts, strict=True) if not count}


def flatten_gradients(parameters: list):
    """Return the gradients of parameters as one flat float32 tensor, with zeros for a missing gradient."""
    return paddle.concat([_gradient(p).reshape([-1]) for p in parameters])


def _gradient(parameter):
    if parameter.grad is None:
        return paddle.zeros(parameter.shape, dtype="float32")
    return parameter.grad.astype("float32")


def broadcast_parameters(world: ProcessGroup, model) -> None:
    """Copy rank 0's weights to every rank, so that a model from scratch is the same everywhere."""
    with paddle.no_grad(), world.collective():
        for value in [*model.parameters(), *model.buffers()]:
            if paddle_compat.is_initialized(value):  # an LSTM's dropout state is not, before its first pass
                dist.broadcast(value, src=0)
