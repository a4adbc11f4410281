"""The interface to the processes that train together, and its version for a single process.

`paddle_ft/training/distributed/process_group.py` has the version for several processes. Callers use both in the same way and
need not know how many processes there are.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class World:
    """The world of a single process, which communicates with nobody.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes.
    """

    rank = 0
    world_size = 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, the process that writes files and prints messages."""
        return self.rank == 0

    def shard_indices(self, count: int) -> np.ndarray:
        """Return which of `count` rows this rank works on: every world_size-th row, starting with row `rank`."""
        import numpy as np  # here, because the command line needs this module for its help, and NumPy takes a while

        return np.arange(self.rank, count, self.world_size)

    def all_gather(self, results: list[Any], count: int) -> list[Any]:
        """Return the results of all ranks, on every rank.

        Args:
            results: this rank's results for the rows `shard_indices(count)`.
            count: total number of rows.

        Returns:
            The results in the order of the rows.
        """
        return results

    def all_reduce(self, values: list[float]) -> list[float]:
        """Return the element-wise sums of `values` over all ranks."""
        return values

    def barrier(self) -> None:
        """Wait until all ranks have called this."""


def launched_processes() -> int:
    """Return how many processes the launcher started, this one included. It is 1 without a launcher."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1") or 1)


def is_main_process() -> bool:
    """Return whether this process is rank 0. This reads the launcher's environment, so it works before the ranks are connected."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0") or 0) == 0
