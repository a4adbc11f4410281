"""Put texts that wait together into batches of similar length, so that little is padded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

SIMILAR = 16  # tokens by which texts may differ, however short they are


class GivenUp(Exception):
    """Nobody waits for the answer any more. It is raised inside the computation, which ends with it."""


@dataclass(eq=False)
class Job:
    """The work of one request.

    Attributes:
        kind: "text", "pair" or "generate". Only texts, or pairs, of different jobs are computed together.
        inputs: the texts or pairs, or for "generate" one dictionary of options.
        send: called in the worker's thread with ("piece", text), ("done", results) or ("error", exception).
        deadline: time.monotonic() from which nobody waits for the answer any more.
        stream: whether pieces of the text are sent while it is written.
    """

    kind: str
    inputs: Sequence[Any]
    send: Callable[[str, Any], None]
    deadline: float
    stream: bool = False
    _results: dict[int, Any] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def given_up(self) -> bool:
        """Whether the answer is no longer wanted: it failed, its client left, or its time is over."""
        return self._stopped.is_set() or time.monotonic() >= self.deadline

    def give_up(self) -> None:
        """Make the computation end at its next token. This may be called from any thread."""
        self._stopped.set()

    def finish_row(self, number: int, result: Any) -> None:
        """Keep the result of one input. With the last one, all are sent in the order of the inputs."""
        self._results[number] = result
        if len(self._results) == len(self.inputs):
            self.send("done", [self._results[i] for i in range(len(self.inputs))])

    def fail(self, error: BaseException) -> None:
        """Answer with an error, and give up the rest."""
        if not self._stopped.is_set():
            self.send("error", error)
        self.give_up()


@dataclass(eq=False)
class Row:
    """One input of a job.

    Attributes:
        job: the job.
        number: number of the input in the job.
        length: its number of tokens; 0 as long as nobody has counted them.
    """

    job: Job
    number: int
    length: int = 0

    @property
    def input(self) -> Any:
        """Return the text, pair, or options of /generate."""
        return self.job.inputs[self.number]


def choose_batch(rows: Sequence[Row], max_batch: int, max_tokens: int) -> list[Row]:
    """Return the rows to compute next: the one that has waited longest, and those whose length is nearest to its own.

    Args:
        rows: rows of one kind with their lengths, the one that has waited longest first.
        max_batch: highest number of rows.
        max_tokens: highest number of tokens, padding included. A single row is taken in any case.
    """
    oldest = rows[0]
    order = sorted(range(1, len(rows)), key=lambda i: (abs(rows[i].length - oldest.length), i))
    batch, shortest, longest = [oldest], oldest.length, oldest.length
    for i in order:
        low, high = min(shortest, rows[i].length), max(longest, rows[i].length)
        if len(batch) == max_batch:
            break
        if high <= max(2 * low, low + SIMILAR) and high * (len(batch) + 1) <= max_tokens:
            batch.append(rows[i])
            shortest, longest = low, high
    return batch
