"""The processes that train together, as one object. This is the world of one process, which shares nothing.

`paddle_ft/training/distributed/process_group.py` has the world of several. Callers use both in the same way and need not know
how many processes there are.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np


class World:
    """A world of one process.

    Attributes:
        rank: number of this process, from 0.
        world_size: how many processes there are.
    """

    rank = 0
    world_size = 1

    @property
    def is_main(self) -> bool:
        """Tell whether this is rank 0, the process that writes files and prints messages."""
        return self.rank == 0

    def shard_indices(self, count: int) -> np.ndarray:
        """Return the rows of `count` that this process works on: every world_size-th, from its rank on."""
        return np.arange(self.rank, count, self.world_size)

    def all_gather(self, results: list[Any], count: int) -> list[Any]:
        """Return the results of all ranks for their `shard_indices(count)`, in the order of the rows, on every rank."""
        return results

    def all_reduce(self, values: list[float]) -> list[float]:
        """Return the element-wise sums over all ranks."""
        return values

    def barrier(self) -> None:
        """Return when all ranks have called this."""


def launched_processes() -> int:
    """Return how many processes a launcher started together with this one, 1 without a launcher."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1") or 1)


def is_main_process() -> bool:
    """Tell whether this process is rank 0, by the launcher's environment: also before the processes are connected."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0") or 0) == 0
