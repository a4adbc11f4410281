"""train.sharding: each process keeps AdamW's states (stage1), the summed gradients too (stage2), and the weights of the layers
of encoder and decoder too (stage3, in sharded_layers.py) of its share of the weights.

Source: Rajbhandari et al. (2020), ZeRO: Memory Optimizations Toward Training Trillion Parameter Models. Every parameter has
one owner. Gradients are summed at the owner, which updates the parameter and sends it to all. The sums are those of plain
data parallel training: over all rows of all processes, divided by all their targets. Two processes get the very same bits; with
more, or with stage2 and stage3 under accumulation (they add processes before batches), sums may differ in their last digits.

Why not paddle.distributed.sharding.group_sharded_parallel: it averages over processes, and so does not divide by the targets
of all of them; its stage 2 sends a bucket once every parameter in it has a gradient, so that one unused layer (BERT's pooler
in masked_lm) leaves a bucket unsummed without a word, and it waits for ever where a process has one batch less; its stage 3
gathers weights in every forward pass, and so cannot run where processes evaluate or generate different numbers of
batches, nor with an output layer tied to the embedding. And it refuses CPUs, so that none of this could be tested.
"""

from __future__ import annotations

from functools import cached_property

import paddle
import paddle.distributed as dist

from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World
from paddle_ft.training.distributed.process_group import BUCKET, flattened, talking, without_gradient


def check_sharding(stage: str, world: World, model=None) -> None:
    """Raises UserError where there is nobody to share with or, if the model is known, nothing."""
    if stage != "none" and world.size == 1:
        raise UserError(
            f"train.sharding: {stage} shares memory among processes, so train.sharding needs several processes: --devices 0,1;"
            " or leave it at none."
        )
    if model is not None and stage == "stage3":
        from paddle_ft.training.distributed.sharded_layers import shared_layers

        shared_layers(model)


def make_shards(world: World, model, stage: str) -> Shards | None:
    """The sharing of a model's trainable parameters; None if there is none to be, or one process (as --check has)."""
    if stage == "none" or world.size == 1:
        return None
    parameters = [p for p in model.parameters() if not p.stop_gradient]
    if len(parameters) < world.size:
        raise UserError(f"train.sharding: {world.size} processes, but only {len(parameters)} weights to share: set it to none.")
    if stage == "stage3":
        from paddle_ft.training.distributed.sharded_layers import LayerShards

        return LayerShards(world, model)
    return Shards(world, parameters, early=stage == "stage2")


class Shards:
    """Who owns which parameter, and the way of gradients and weights to and from owners.

    parameters: all that are trained, in the same order everywhere. early: gradients leave for their owners while the backward
    pass still runs and are freed elsewhere (stage2); else once a step, after accumulation (stage1). bucket: elements sent at once.
    """

    def __init__(self, world: World, parameters: list, early: bool, bucket: int = BUCKET):
        self.world, self.parameters, self.early, self.bucket = world, parameters, early, bucket
        self.owner = owners([p.size for p in parameters], world.size)
        self.mine = [p for p, owner in zip(parameters, self.owner, strict=True) if owner == world.rank]
        self.sums: dict[str, paddle.Tensor] = {}  # of the gradients of own parameters, by Paddle's name
        self.sent = 0  # buckets of the backward pass that is running
        self.ready: set[str] = set()
        self.silent: set[str] | None = None  # parameters that get no gradient anywhere, known after the first backward pass
        if early:
            for parameter in parameters:
                parameter._register_backward_hook(self._arrived(parameter))

    @cached_property
    def buckets(self) -> list[list]:
        """Parameters of one owner and number format each, from the last, whose gradients come first, to the first."""
        return self.cut(self.parameters[::-1])

    def cut(self, parameters: list) -> list[list]:
        """Cuts a sequence of parameters into buckets."""
        buckets: list[list] = []
        key, filled = None, 0
        for parameter in parameters:
            owner = self.owner_of[parameter.name]
            if key != (owner, parameter.dtype) or filled >= self.bucket:
                buckets.append([])
                key, filled = (owner, parameter.dtype), 0
            buckets[-1].append(parameter)
            filled += parameter.size
        return buckets

    @cached_property
    def owner_of(self) -> dict[str, int]:
        return {p.name: owner for p, owner in zip(self.parameters, self.owner, strict=True)}

    # -------------------------------------------------------------------------------- gradients
    def _arrived(self, parameter):
        """Called when a backward pass has computed a parameter's gradient. Buckets leave in one order in all processes."""

        def hook(*_):
            self.ready.add(parameter.name)
            if self.silent is None:
                return
            while self.sent < len(self.buckets) and self._complete(self.buckets[self.sent]):
                self._send(self.buckets[self.sent])
                self.sent += 1

        return hook

    def _complete(self, bucket: list) -> bool:
        return all(p.name in self.ready or p.name in self.silent for p in bucket)

    def send(self) -> None:
        """Sends what has not left yet: after every backward pass (stage2) or the last of a step (stage1), equally often in
        every process; one without a batch sends zeros."""
        for bucket in self.buckets[self.sent :]:
            self._send(bucket)
        if self.silent is None:
            self.silent = without_gradient(self.world, self.parameters, self.ready)
        if self.silent & self.ready:
            raise RuntimeError("a parameter that had no gradient in the first step has one now")
        self.sent, self.ready = 0, set()
        if any(p.grad is not None for p in self.parameters):
            raise RuntimeError("a gradient came after its bucket was sent: set train.sharding=stage1")

    @paddle.no_grad()
    def _send(self, bucket: list) -> None:
        owner = self.owner_of[bucket[0].name]
        self.ready.update(p.name for p in bucket if p.grad is not None)
        flat = flattened(bucket)
        for parameter in bucket:
            parameter.clear_gradient(False)
        with talking():
            dist.reduce(flat, dst=owner)
        if owner == self.world.rank:
            for parameter, part in zip(bucket, flat.split([p.size for p in bucket]), strict=True):
                before = self.sums.get(parameter.name)
                self.sums[parameter.name] = part if before is None else before + part

    def collect(self) -> None:
        """Puts the sums of a step into the gradients of own parameters; what no process has a gradient for stays without."""
        for parameter in self.mine:
            total = self.sums.pop(parameter.name)
            if parameter.name not in self.silent:
                parameter.grad = total.reshape(parameter.shape).astype(parameter.dtype)

    @paddle.no_grad()
    def norm(self):
        """L2 norm of the gradients of all parameters, whoever owns them: fp32 scalar, the same everywhere."""
        own = {p.name: p.grad.astype("float32").square().sum() for p in self.mine if p.grad is not None}
        squares = paddle.stack([own.get(p.name, paddle.zeros([], dtype="float32")) for p in self.parameters])
        with talking():
            dist.all_reduce(squares)
        return squares.sum().sqrt()

    def agree_on_overflow(self, scaler) -> None:
        """float16: a gradient that is not finite in one process makes all leave the step out."""
        found = scaler._found_inf.astype("int32")
        with talking():
            dist.all_reduce(found, op=dist.ReduceOp.MAX)
        scaler._found_inf = found.astype("bool")

    # -------------------------------------------------------------------------------- weights and states
    @paddle.no_grad()
    def spread(self) -> None:
        """Every process takes the updated parameters from their owners."""
        for bucket in self.buckets:
            for parameter, value in self.from_owner(bucket):
                paddle.assign(value, output=parameter)

    def from_owner(self, bucket: list) -> list[tuple]:
        """Sends a bucket's weights from its owner to all: (parameter, its weights) in every process but the owner."""
        owner, size = self.owner_of[bucket[0].name], sum(p.size for p in bucket)
        own = owner == self.world.rank
        flat = paddle.concat([p.reshape([-1]) for p in bucket]) if own else paddle.empty([size], bucket[0].dtype)
        with talking():
            dist.broadcast(flat, src=owner)
        if own:
            return []
        parts = flat.split([p.size for p in bucket])
        return [(parameter, part.reshape(parameter.shape)) for parameter, part in zip(bucket, parts, strict=True)]

    def gather_weights(self) -> None:
        """Every process takes all weights, to evaluate or save. Here each has them anyway."""

    def release_weights(self) -> None:
        """Every process gives up what it need not have in training: here nothing."""

    def gather_states(self, arrays: dict) -> dict:
        """From each process's own optimizer states, NumPy arrays by name, to those of all, in the main process ({} elsewhere).

        One state travels at a time, so that a device needs no more memory than for the largest.
        """
        described = [{name: (array.shape, str(array.dtype)) for name, array in arrays.items()}]
        whole = {}
        for owner, states in enumerate(self.world.gather(described, self.world.size)):
            for name, (shape, dtype) in states.items():
                tensor = paddle.to_tensor(arrays[name]) if owner == self.world.rank else paddle.empty(shape, dtype)
                with talking():
                    dist.broadcast(tensor, src=owner)
                if self.world.is_main:
                    whole[name] = tensor.numpy()
        return whole


def owners(sizes: list[int], processes: int) -> list[int]:
    """Cuts a sequence of parameters into a stretch a process, of about equally many elements: the process of each.

    A parameter is never split: where one is larger than a fair share (an embedding among many processes), its owner has more.
    """
    owners, owner, load, left = [], 0, 0, sum(sizes)
    for place, size in enumerate(sizes):
        full = load + size / 2 > left / (processes - owner)
        needed = len(sizes) - place == processes - owner - 1  # every process must get one
        if load and owner < processes - 1 and (full or needed):
            owner, load, left = owner + 1, 0, left - load
        load += size
        owners.append(owner)
    return owners
