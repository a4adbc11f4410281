"""Implement train.sharding stage1 and stage2: each rank stores AdamW's states for its share of the parameters.

In stage2 gradients are stored by their owner only, too. Source: Rajbhandari et al. (2020), ZeRO: Memory Optimizations Toward
Training Trillion Parameter Models. Every parameter has one owner among the ranks. Its gradients are summed at the owner, which
updates it and sends it to all ranks. The sums equal those of plain data parallel training: over all rows of all ranks, divided by
all their targets. With two ranks they are equal to the bit. With more ranks, or with accumulation in stage2 and stage3 (which add
ranks before batches), they may differ in the last digits.

train.sharding_engine=fleet (training/distributed/fleet_states.py) takes Paddle's own optimizer for stage1. Paddle's
group_sharded_parallel, which has the stages 2 and 3, is not used for these reasons:
- It averages over ranks instead of dividing by the number of targets of all ranks.
- Its stage 2 sends a bucket when every parameter in it has a gradient. With an unused layer, such as the pooler in masked_lm, a
  bucket is silently never summed. If a rank has one batch less, it waits forever.
- Its stage 3 gathers weights in every forward pass. So it does not work if ranks evaluate or generate different numbers of
  batches, or if the output layer is tied to the embedding.
- It does not run on CPUs, so it could not be tested.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import paddle
import paddle.distributed as dist

from paddle_ft.system import paddle_compat
from paddle_ft.system.runtime import on_cpu
from paddle_ft.training.distributed.data_parallel import (
    BUCKET_SIZE,
    broadcast_parameters,
    flatten_gradients,
    names_without_gradient,
)
from paddle_ft.training.distributed.process_group import ProcessGroup
from paddle_ft.training.optim import GradientSync, squared_norm, trained_parameters


class OwnedStates(GradientSync):
    """What all engines share: each rank clips and updates the parameters that it owns, and has AdamW's states for these alone.

    Attributes:
        world: the processes.
        parameters: all trained parameters, in the same order on all ranks.
        no_grad_names: parameters without a gradient on any rank, by Paddle's name; known after the first step.
    """

    world: ProcessGroup
    parameters: list
    no_grad_names: set[str] | None

    def sum_over_ranks(self, values: list[float]) -> list[float]:
        return self.world.all_reduce(values)

    @paddle.no_grad()
    def grad_norm(self):
        squares_by_name = {p.name: squared_norm(p.grad, on_cpu()) for p in self.owned if p.grad is not None}
        zero = paddle.zeros([], dtype="float32")
        with_gradient = [p.name for p in self.parameters if p.name not in self.no_grad_names]  # as without sharding, in its order
        squares = paddle.stack([squares_by_name.get(name, zero) for name in with_gradient])
        with self.world.collective():
            dist.all_reduce(squares)
        return squares.sum().sqrt()

    def agree_on_overflow(self, scaler) -> None:
        overflow = paddle_compat.found_overflow(scaler).astype("int32")
        with self.world.collective():
            dist.all_reduce(overflow, op=dist.ReduceOp.MAX)
        paddle_compat.set_found_overflow(scaler, overflow.astype("bool"))

    def gather_optimizer_states(self, collect: Callable[[], dict]) -> dict:
        """Return the optimizer states of all ranks on rank 0, {} on the others.

        One state is sent at a time, so that a device needs memory for the largest state only.
        """
        arrays = collect()
        described = [{name: (array.shape, str(array.dtype)) for name, array in arrays.items()}]
        gathered = {}
        for owner, states in enumerate(self.world.all_gather(described, self.world.world_size)):
            for name, (shape, dtype) in states.items():
                tensor = paddle.to_tensor(arrays[name]) if owner == self.world.rank else paddle.empty(shape, dtype)
                with self.world.collective():
                    dist.broadcast(tensor, src=owner)
                if self.world.is_main:
                    gathered[name] = tensor.numpy()
        return gathered


class ShardedStates(OwnedStates):
    """Sum gradients at the owners of the parameters, and broadcast the updated weights from them.

    Attributes:
        during_backward: whether gradients are sent to their owners during the backward pass and freed on other ranks (stage2).
            Otherwise they are sent once for each step, after accumulation (stage1).
        bucket_size: number of elements that are sent at once.
    """

    def __init__(self, world: ProcessGroup, model, during_backward: bool, bucket_size: int = BUCKET_SIZE):
        self.world, self.parameters = world, trained_parameters(model)
        self.during_backward, self.bucket_size = during_backward, bucket_size
        self.owners = assign_owners([p.size for p in self.parameters], world.world_size)
        self.owned = [p for p, owner in zip(self.parameters, self.owners, strict=True) if owner == world.rank]
        self.sums: dict[str, paddle.Tensor] = {}  # summed gradients of owned parameters, by Paddle's name
        self.sent_buckets = 0  # in the current backward pass
        self.with_gradient: set[str] = set()
        self.no_grad_names: set[str] | None = None  # parameters without a gradient on any rank; known after the first pass
        if during_backward:
            for parameter in self.parameters:
                paddle_compat.on_gradient_ready(parameter, self._make_hook(parameter))
        broadcast_parameters(world, model)

    @cached_property
    def buckets(self) -> list[list]:
        """Return lists of parameters that have the same owner and dtype, last parameters first: they get gradients first."""
        return self.make_buckets(self.parameters[::-1])

    @property
    def replicated_buckets(self) -> list[list]:
        """Return the buckets of the weights that every rank stores between steps."""
        return self.buckets

    def make_buckets(self, parameters: list) -> list[list]:
        """Divide a sequence of parameters into buckets."""
        buckets: list[list] = []
        key, size = None, 0
        for parameter in parameters:
            owner = self.owner_of[parameter.name]
            if key != (owner, parameter.dtype) or size >= self.bucket_size:
                buckets.append([])
                key, size = (owner, parameter.dtype), 0
            buckets[-1].append(parameter)
            size += parameter.size
        return buckets

    @cached_property
    def owner_of(self) -> dict[str, int]:
        """Return Paddle's name of each parameter -> the rank that owns it."""
        return {p.name: owner for p, owner in zip(self.parameters, self.owners, strict=True)}

    # -------------------------------------------------------------------------------- gradients
    def _make_hook(self, parameter):
        """Return the function that runs when a backward pass has computed a parameter's gradient.

        All ranks must send buckets in the same order, so a complete bucket waits until those before it are complete.
        """

        def hook(*_):
            self.with_gradient.add(parameter.name)
            if self.no_grad_names is None:
                return
            while self.sent_buckets < len(self.buckets) and self._is_complete(self.buckets[self.sent_buckets]):
                self.reduce_bucket(self.buckets[self.sent_buckets])

        return hook

    def _is_complete(self, bucket: list) -> bool:
        return all(p.name in self.with_gradient or p.name in self.no_grad_names for p in bucket)

    def after_backward(self) -> None:
        if self.during_backward:
            self.finish_pass()

    def finish_pass(self) -> None:
        """Send the remaining buckets of a backward pass. A rank without a batch sends zeros."""
        for bucket in self.buckets[self.sent_buckets :]:
            self.reduce_bucket(bucket)
        if self.no_grad_names is None:
            self.no_grad_names = names_without_gradient(self.world, self.parameters, self.with_gradient)
        if self.no_grad_names & self.with_gradient:
            raise RuntimeError("a parameter that had no gradient in the first step has one now")
        self.sent_buckets, self.with_gradient = 0, set()
        if any(p.grad is not None for p in self.parameters):
            raise RuntimeError("a gradient came after its bucket was sent: set train.sharding=stage1")

    @paddle.no_grad()
    def reduce_bucket(self, bucket: list) -> None:
        """Sum a bucket's gradients at its owner, and free them on all ranks."""
        owner = self.owner_of[bucket[0].name]
        self.with_gradient.update(p.name for p in bucket if p.grad is not None)
        flat = flatten_gradients(bucket)
        for parameter in bucket:
            parameter.clear_gradient(False)
        with self.world.collective():
            dist.reduce(flat, dst=owner)
        if owner == self.world.rank:
            for parameter, part in zip(bucket, flat.split([p.size for p in bucket]), strict=True):
                previous = self.sums.get(parameter.name)
                self.sums[parameter.name] = part if previous is None else previous + part
        self.sent_buckets += 1

    def reduce_gradients(self) -> None:
        if not self.during_backward:
            self.finish_pass()
        for parameter in self.owned:
            total = self.sums.pop(parameter.name)
            if parameter.name not in self.no_grad_names:
                parameter.grad = total.reshape(parameter.shape).astype(parameter.dtype)

    # -------------------------------------------------------------------------------- weights and states
    @paddle.no_grad()
    def after_step(self) -> None:
        for bucket in self.replicated_buckets:
            for parameter, value in self.receive_from_owner(bucket):
                paddle.assign(value, output=parameter)

    def receive_from_owner(self, bucket: list) -> list[tuple]:
        """Broadcast a bucket's weights from its owner. Return the received (parameter, weights) pairs, [] on the owner."""
        owner, size = self.owner_of[bucket[0].name], sum(p.size for p in bucket)
        is_owner = owner == self.world.rank
        flat = paddle.concat([p.reshape([-1]) for p in bucket]) if is_owner else paddle.empty([size], bucket[0].dtype)
        with self.world.collective():
            dist.broadcast(flat, src=owner)
        if is_owner:
            return []
        parts = flat.split([p.size for p in bucket])
        return [(parameter, part.reshape(parameter.shape)) for parameter, part in zip(bucket, parts, strict=True)]


def assign_owners(sizes: list[int], world_size: int) -> list[int]:
    """Divide parameters into one consecutive part for each rank, with about equally many elements.

    A parameter is never split. If one is larger than an equal share (an embedding with many ranks), its owner has more.

    Args:
        sizes: number of elements of each parameter.
        world_size: number of ranks.

    Returns:
        The owner of each parameter.
    """
    owners, owner, load, remaining = [], 0, 0, sum(sizes)
    for index, size in enumerate(sizes):
        is_full = load + size / 2 > remaining / (world_size - owner)
        is_needed = len(sizes) - index == world_size - owner - 1  # every rank must get one
        if load and owner < world_size - 1 and (is_full or is_needed):
            owner, load, remaining = owner + 1, 0, remaining - load
        load += size
        owners.append(owner)
    return owners
