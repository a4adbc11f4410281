"""How work is shared among processes. One process has all of it; training/distributed.py has the real group.

Tasks use `mine` and `gather` for rows and `total` for sums and need not know how many processes there are.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np


class World:
    """A world of one process."""

    rank = 0
    size = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0

    def mine(self, count: int) -> np.ndarray:
        """The rows of `count` that this process works on: every size-th."""
        return np.arange(self.rank, count, self.size)

    def gather(self, results: list[Any], count: int) -> list[Any]:
        """Puts the results of everybody's `mine(count)` together, in the order of the rows, in every process."""
        return results

    def total(self, values: list[float]) -> list[float]:
        """Element-wise sums over the processes."""
        return values

    def wait(self) -> None:
        """Returns when all processes have come here."""


def launched() -> int:
    """How many processes a launcher has started together with this one."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1") or 1)


def is_main_process() -> bool:
    return int(os.environ.get("PADDLE_TRAINER_ID", "0") or 0) == 0
