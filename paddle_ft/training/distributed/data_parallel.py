"""Train data parallel: the gradient of a step is that of all ranks' rows, divided by all their targets.

Gradients are summed once for each optimizer step, in flat buckets. A bucket is sent during the last backward pass of the step, as
soon as its gradients are complete, so that a GPU sends it while it computes the others. The model is not wrapped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

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

    Attributes:
        overlaps: whether buckets are sent during the backward pass. None: not known before the end of the first step. They are not
            if a gradient comes in several parts, as that of a shared layer does under recompute.
        bucket_size: number of elements that are sent at once.
    """

    def __init__(self, world: ProcessGroup, model, bucket_size: int = BUCKET_SIZE):
        super().__init__(model)
        self.world, self.bucket_size = world, bucket_size
        self.no_grad_parameters: list | None = None  # known after the first step
        self.overlaps: bool | None = None
        self.parts: Counter[str] = Counter()  # of each gradient in the current backward pass, by the parameter's name
        self.most_parts = 0
        self.is_last_pass = False
        self.sent: list[tuple[list, paddle.Tensor, Any]] = []  # buckets on their way: parameters, gradients, the task
        for parameter in self.owned:
            paddle_compat.on_gradient_ready(parameter, partial(self._on_gradient, parameter.name))
        broadcast_parameters(world, model)

    def sum_over_ranks(self, values: list[float]) -> list[float]:
        return self.world.all_reduce(values)

    @cached_property
    def buckets(self) -> list[list]:
        """Return lists of parameters, last parameters first: they get gradients first."""
        buckets: list[list] = [[]]
        size = 0
        for parameter in self.owned[::-1]:
            if size >= self.bucket_size:
                buckets.append([])
                size = 0
            buckets[-1].append(parameter)
            size += parameter.size
        return buckets

    def before_backward(self, is_last: bool) -> None:
        self.is_last_pass = is_last
        self.parts.clear()

    def _on_gradient(self, name: str, *_) -> None:
        """Send the buckets that are complete. All ranks send them in the same order, so a bucket waits for those before it."""
        self.parts[name] += 1
        self.most_parts = max(self.most_parts, self.parts[name])
        while self.overlaps and self.is_last_pass and len(self.sent) < len(self.buckets):
            bucket = self.buckets[len(self.sent)]
            if not all(parameter.name in self.parts for parameter in bucket):
                break
            self._send(bucket)

    @paddle.no_grad()
    def _send(self, bucket: list) -> None:
        flat = flatten_gradients(bucket)
        for parameter in bucket:
            parameter.clear_gradient(False)
        with self.world.collective():
            self.sent.append((bucket, flat, dist.all_reduce(flat, sync_op=False)))

    def reduce_gradients(self) -> None:
        if self.no_grad_parameters is None:
            self._learn()
        if any(p.grad is not None for p in self.no_grad_parameters):
            raise RuntimeError("a parameter that had no gradient in the first step has one now")
        if any(p.grad is not None for bucket, *_ in self.sent for p in bucket):
            raise RuntimeError("a gradient came after its bucket was sent: set train.sharding=stage1")
        for bucket in self.buckets[len(self.sent) :]:
            self._send(bucket)
        with self.world.collective(), paddle.no_grad():
            for bucket, flat, task in self.sent:
                task.wait()
                for parameter, part in zip(bucket, flat.split([p.size for p in bucket]), strict=True):
                    parameter.grad = part.reshape(parameter.shape).astype(parameter.dtype)
        self.sent = []

    def _learn(self) -> None:
        """Find out in the first step which parameters get no gradient, and whether any gets it in several parts."""
        names = names_without_gradient(self.world, self.owned, {p.name for p in self.owned if p.grad is not None})
        self.no_grad_parameters = [p for p in self.owned if p.name in names]
        self.owned = [p for p in self.owned if p.name not in names]
        self.overlaps = self.world.all_reduce([float(self.most_parts > 1)]) == [0.0]

    def gather_optimizer_states(self, collect: Callable[[], dict]) -> dict:
        return collect() if self.world.is_main else {}


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
