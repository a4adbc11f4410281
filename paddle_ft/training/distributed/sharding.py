"""train.sharding stage1 and stage2: each rank keeps AdamW's states of its share of the weights; stage2 its gradients too.

Source: Rajbhandari et al. (2020), ZeRO: Memory Optimizations Toward Training Trillion Parameter Models. Every parameter has one
owner. Gradients are summed at the owner, which updates the parameter and sends it to all. The sums are those of plain data
parallel training: over all rows of all ranks, divided by all their targets. Two ranks get the very same bits. With more, or with
stage2 and stage3 under accumulation (they add ranks before batches), sums may differ in their last digits.

Why not paddle.distributed.sharding.group_sharded_parallel:
- It averages over ranks, and so does not divide by the targets of all of them.
- Its stage 2 sends a bucket once every parameter in it has a gradient. One unused layer, such as BERT's pooler in masked_lm,
  then leaves a bucket unsummed without a word. And it waits for ever where a rank has one batch less.
- Its stage 3 gathers weights in every forward pass. So it cannot run where ranks evaluate or generate different numbers of
  batches, nor with an output layer that is tied to the embedding.
- It refuses CPUs, so that none of this could be tested.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import paddle
import paddle.distributed as dist

from paddle_ft.system import paddle_compat
from paddle_ft.training.distributed.data_parallel import (
    BUCKET_SIZE,
    broadcast_parameters,
    flatten_gradients,
    names_without_gradient,
)
from paddle_ft.training.distributed.process_group import ProcessGroup
from paddle_ft.training.optim import GradientSync, trained_parameters


class ShardedStates(GradientSync):
    """Owners of the parameters among the ranks: gradients go to their owner, and updated weights come back from it.

    Attributes:
        parameters: all that are trained, in the same order on all ranks.
        owned: those that this rank owns, clips and updates.
        during_backward: whether gradients leave for their owners while the backward pass still runs, and are freed elsewhere
            (stage2). Else they leave once a step, after accumulation (stage1).
        bucket_size: elements that are sent at once.
    """

    def __init__(self, world: ProcessGroup, model, during_backward: bool, bucket_size: int = BUCKET_SIZE):
        self.world, self.parameters = world, trained_parameters(model)
        self.during_backward, self.bucket_size = during_backward, bucket_size
        self.owners = assign_owners([p.size for p in self.parameters], world.world_size)
        self.owned = [p for p, owner in zip(self.parameters, self.owners, strict=True) if owner == world.rank]
        self.sums: dict[str, paddle.Tensor] = {}  # summed gradients of owned parameters, by Paddle's name
        self.sent_buckets = 0  # of the backward pass that is running
        self.with_gradient: set[str] = set()
        self.no_grad_names: set[str] | None = None  # parameters without a gradient on any rank, known after the first pass
        if during_backward:
            for parameter in self.parameters:
                paddle_compat.on_gradient_ready(parameter, self._make_hook(parameter))
        broadcast_parameters(world, model)

    @cached_property
    def buckets(self) -> list[list]:
        """Return lists of parameters with one owner and dtype each, the last parameters first, as their gradients come first."""
        return self.make_buckets(self.parameters[::-1])

    def make_buckets(self, parameters: list) -> list[list]:
        """Cut a sequence of parameters into buckets."""
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
        """Paddle's name of a parameter -> the rank that owns it."""
        return {p.name: owner for p, owner in zip(self.parameters, self.owners, strict=True)}

    # -------------------------------------------------------------------------------- gradients
    def _make_hook(self, parameter):
        """Return what runs when a backward pass has computed a parameter's gradient.

        Buckets leave in the same order on all ranks: a bucket waits for those before it.
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

    def sum_over_ranks(self, values: list[float]) -> list[float]:
        return self.world.all_reduce(values)

    def after_backward(self) -> None:
        if self.during_backward:
            self.finish_pass()

    def finish_pass(self) -> None:
        """Send the buckets that have not left yet. A rank without a batch sends zeros."""
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
        """Sum a bucket's gradients at its owner, and free them everywhere else."""
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

    @paddle.no_grad()
    def grad_norm(self):
        squares_by_name = {p.name: p.grad.astype("float32").square().sum() for p in self.owned if p.grad is not None}
        zero = paddle.zeros([], dtype="float32")
        squares = paddle.stack([squares_by_name.get(p.name, zero) for p in self.parameters])
        with self.world.collective():
            dist.all_reduce(squares)
        return squares.sum().sqrt()

    def agree_on_overflow(self, scaler) -> None:
        overflow = paddle_compat.found_overflow(scaler).astype("int32")
        with self.world.collective():
            dist.all_reduce(overflow, op=dist.ReduceOp.MAX)
        paddle_compat.set_found_overflow(scaler, overflow.astype("bool"))

    # -------------------------------------------------------------------------------- weights and states
    @paddle.no_grad()
    def after_step(self) -> None:
        for bucket in self.buckets:
            for parameter, value in self.receive_from_owner(bucket):
                paddle.assign(value, output=parameter)

    def receive_from_owner(self, bucket: list) -> list[tuple]:
        """Send a bucket's weights from its owner to all ranks. Return (parameter, weights) pairs, on the owner none."""
        owner, size = self.owner_of[bucket[0].name], sum(p.size for p in bucket)
        is_owner = owner == self.world.rank
        flat = paddle.concat([p.reshape([-1]) for p in bucket]) if is_owner else paddle.empty([size], bucket[0].dtype)
        with self.world.collective():
            dist.broadcast(flat, src=owner)
        if is_owner:
            return []
        parts = flat.split([p.size for p in bucket])
        return [(parameter, part.reshape(parameter.shape)) for parameter, part in zip(bucket, parts, strict=True)]

    def gather_optimizer_states(self, collect: Callable[[], dict]) -> dict:
        """Return the optimizer states of all ranks on rank 0, {} elsewhere.

        One state travels at a time, so that a device needs memory for the largest only.
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


def assign_owners(sizes: list[int], world_size: int) -> list[int]:
    """Cut a sequence of parameters into one stretch a rank, of about equally many elements. Return the rank of each.

    A parameter is never split. Where one is larger than a fair share (an embedding among many ranks), its owner has more.
    """
    owners, owner, load, left = [], 0, 0, sum(sizes)
    for place, size in enumerate(sizes):
        full = load + size / 2 > left / (world_size - owner)
        needed = len(sizes) - place == world_size - owner - 1  # every rank must get one
        if load and owner < world_size - 1 and (full or needed):
            owner, load, left = owner + 1, 0, left - load
        load += size
        owners.append(owner)
    return owners
