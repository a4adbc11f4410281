"""Many processes as one training: every step's gradient is that of all rows of all processes over all their targets.

Gradients are summed once an optimizer step, after accumulation, in flat buckets; no wrapper stands around the model.
Works over NCCL on GPUs and over gloo on CPUs, started by `--devices` or by python -m paddle.distributed.launch.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from typing import Any

import paddle
import paddle.distributed as dist

from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World, launched

BUCKET = 1 << 24  # elements of one all-reduce
PATIENCE = 1800.0  # seconds that processes wait for each other


class Meeting:
    """Waits until all processes have come to the same operation: each says so to the first, which answers when all have.

    gloo gives an operation 30 seconds and, in Paddle, cannot be told otherwise; but one process may fetch files, evaluate more
    rows or write a checkpoint for minutes while the others wait for it. NCCL waits for 30 minutes, and so does this.
    """

    def __init__(self, rank: int, size: int):
        store = paddle.base.core.create_or_get_global_tcp_store()
        if rank == 0:
            host = os.environ["PADDLE_CURRENT_ENDPOINT"].rsplit(":", 1)[0]
            with socket.create_server((host, 0)) as door:
                store.set("paddle_ft/meeting", f"{host}:{door.getsockname()[1]}")
                door.settimeout(PATIENCE)
                self.others = [door.accept()[0] for _ in range(size - 1)]
        else:
            host, port = store.get("paddle_ft/meeting").decode().rsplit(":", 1)
            self.others = [socket.create_connection((host, int(port)), PATIENCE)]
        self.is_first = rank == 0
        for other in self.others:
            other.settimeout(PATIENCE)
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def hold(self) -> None:
        """Raises OSError if a process has ended, or does not come."""
        if not self.is_first:
            self.others[0].sendall(b".")
        for other in self.others:
            if not other.recv(1):
                raise ConnectionError("it has closed the connection")
        if self.is_first:
            for other in self.others:
                other.sendall(b".")


_meeting: Meeting | None = None  # of this process, where it talks over gloo


@contextlib.contextmanager
def talking():
    """Around collective operations: begins when all processes are there, and turns a connection that breaks into words."""
    try:
        if _meeting:
            _meeting.hold()
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
        global _meeting
        try:
            dist.init_parallel_env()
            self.rank, self.size = dist.get_rank(), dist.get_world_size()
            if dist.get_backend() == "GLOO":
                _meeting = Meeting(self.rank, self.size)
        except (RuntimeError, ValueError, NotImplementedError, OSError) as error:
            raise UserError(f"the processes could not be joined: {error}") from None

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
        with paddle.no_grad(), talking():
            for value in [*model.parameters(), *model.buffers()]:
                if value._is_initialized():  # an LSTM's dropout state is not, before its first pass
                    dist.broadcast(value, src=0)
