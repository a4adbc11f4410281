"""Connect the processes of a training, and run the operations in which all of them take part.

NCCL is used on GPUs, gloo on CPUs. The processes are started by `--devices` or by python -m paddle.distributed.launch.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import paddle
import paddle.distributed as dist

from paddle_ft.system import paddle_compat
from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World, launched_processes

TIMEOUT = 1800.0  # seconds that ranks wait for each other


class Rendezvous:
    """Wait until every rank has reached the same operation. Each rank tells rank 0, which answers when all have.

    In Paddle gloo has a fixed timeout of 30 seconds. But one rank may download files, evaluate more rows or write a checkpoint for
    minutes while the others wait. This waits for 30 minutes, like NCCL.
    """

    def __init__(self, rank: int, world_size: int):
        store = paddle_compat.global_tcp_store()
        self.is_main = rank == 0
        if self.is_main:
            host = os.environ["PADDLE_CURRENT_ENDPOINT"].rsplit(":", 1)[0]
            with socket.create_server((host, 0)) as server:
                store.set("paddle_ft/rendezvous", f"{host}:{server.getsockname()[1]}")
                server.settimeout(TIMEOUT)
                self.peers = [server.accept()[0] for _ in range(world_size - 1)]
        else:
            host, port = store.get("paddle_ft/rendezvous").decode().rsplit(":", 1)
            self.peers = [socket.create_connection((host, int(port)), TIMEOUT)]
        for peer in self.peers:
            peer.settimeout(TIMEOUT)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wait_for_all(self) -> None:
        """Return when all ranks have called this. Raise OSError if one has ended or does not call it in time."""
        if not self.is_main:
            self.peers[0].sendall(b".")
        for peer in self.peers:
            if not peer.recv(1):
                raise ConnectionError("it has closed the connection")
        if self.is_main:
            for peer in self.peers:
                peer.sendall(b".")


class ProcessGroup(World):
    """The world of several processes, which a launcher has started."""

    def __init__(self):
        """Connect to the other processes. Raise UserError if that fails."""
        try:
            dist.init_parallel_env()
            self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
            self.rendezvous = Rendezvous(self.rank, self.world_size) if dist.get_backend() == "GLOO" else None
        except (RuntimeError, ValueError, NotImplementedError, OSError) as error:
            raise UserError(f"the processes could not connect to each other: {error}") from None

    @contextlib.contextmanager
    def collective(self) -> Iterator[None]:
        """Run a block of collective operations when all ranks have reached it. Raise UserError if a connection breaks."""
        try:
            if self.rendezvous:
                self.rendezvous.wait_for_all()
            yield
        except (RuntimeError, ValueError, OSError, SystemError) as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise UserError(
                f"the connection to another process of this training broke, so that process has probably ended: {reason}."
                " Look at its log, and resume from the last checkpoint with --resume."
            ) from None

    def all_gather(self, results: list[Any], count: int) -> list[Any]:
        parts: list = []
        with self.collective():
            dist.all_gather_object(parts, results)
        return [parts[row % self.world_size][row // self.world_size] for row in range(count)]

    def all_reduce(self, values: list[float]) -> list[float]:
        tensor = paddle.to_tensor(values, dtype="float64")
        with self.collective():
            dist.all_reduce(tensor)
            return tensor.tolist()

    def barrier(self) -> None:
        with self.collective():
            dist.barrier()


def init_world() -> World:
    """Return the process group that this process belongs to, or the world of one process."""
    return ProcessGroup() if launched_processes() > 1 else World()
