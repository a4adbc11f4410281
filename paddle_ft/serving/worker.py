"""Compute all answers in one thread, which owns the model: Paddle's settings belong to a thread, and so do its tensors."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from convert.terminal import print_traceback
from paddle_ft.serving.batching import GivenUp, Job, Row, choose_batch
from paddle_ft.serving.limits import Limits
from paddle_ft.serving.writing import write
from paddle_ft.tasks.base import Task

WINDOW = 8  # batches' worth of waiting rows among which a batch is chosen


class QueueFull(Exception):
    """There is no room for a job's rows.

    Attributes:
        seconds: when there will be room, as an estimate.
    """

    def __init__(self, seconds: float):
        super().__init__(f"try again in {seconds:.0f} s")
        self.seconds = seconds


class Recorder(Protocol):
    """What the worker reports about its work."""

    def queue(self, rows: int) -> None:
        """Report how many rows wait."""

    def batch(self, kind: str, lengths: list[int], seconds: float) -> None:
        """Report a computed batch with the number of tokens of each of its rows."""


class Worker:
    """The thread that the model lives in, and the rows that wait for it.

    Attributes:
        task: the run's task with its model; None while it is being loaded.
        failure: the exception that ended the loading, or None.
    """

    def __init__(self, path: str, load: Callable[[], Task], limits: Limits, recorder: Recorder):
        """Start the thread, which loads the model first.

        Args:
            path: the run's directory, for messages.
            load: returns the task with its model.
            limits: size of the queue and of the batches.
            recorder: is told what was computed.
        """
        self.path, self.limits, self.recorder = path, limits, recorder
        self.task: Task | None = None
        self.failure: BaseException | None = None
        self.loaded = threading.Event()
        self._load = load
        self._waiting: deque[Row] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._seconds_per_row = 0.1  # a moving mean
        self._busy = False  # whether several requests are open, so that waiting for further rows pays
        self._thread = threading.Thread(target=self._run, name="serve-model", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self.task is not None

    def submit(self, job: Job) -> None:
        """Queue the rows of a job. Raise QueueFull if there is no room for all of them."""
        with self._changed:
            if len(self._waiting) + len(job.inputs) > self.limits.max_queue:
                raise QueueFull(len(self._waiting) * self._seconds_per_row)
            self._waiting.extend(Row(job, number) for number in range(len(job.inputs)))
            self.recorder.queue(len(self._waiting))
            self._changed.notify()

    def forget(self, job: Job) -> None:
        """Give up a job, and make room for others in the queue."""
        job.give_up()
        with self._changed:
            self._remove([row for row in self._waiting if row.job is job])

    def close(self, wait: float = 0.0) -> None:
        """End the thread after the batch that it computes.

        Args:
            wait: how many seconds to wait for that.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(wait)

    # -------------------------------------------------------------------------------- in the thread
    def _run(self) -> None:
        try:
            self.task = self._load()
        except BaseException as error:
            self.failure = error
            return
        finally:
            self.loaded.set()
        while batch := self._next_batch():
            start = time.monotonic()
            try:
                self._compute(self.task, batch)
            except BaseException as error:  # the thread must go on, whatever happens
                print_traceback(error)
                for row in batch:
                    row.job.fail(error)
            seconds = time.monotonic() - start
            self._seconds_per_row += 0.2 * (seconds / len(batch) - self._seconds_per_row)
            self.recorder.batch(batch[0].job.kind, [row.length for row in batch], seconds)

    def _remove(self, rows: list[Row]) -> None:
        """Remove rows from the queue. The caller holds the lock."""
        chosen = {id(row) for row in rows}
        self._waiting = deque(row for row in self._waiting if id(row) not in chosen)
        self.recorder.queue(len(self._waiting))

    def _next_batch(self) -> list[Row]:
        """Wait for rows and return those to compute together, or [] when the worker is closed."""
        while True:
            rows = self._candidates()
            if not rows or rows[0].job.kind == "generate":
                batch = rows[:1]
            else:
                self._count_tokens(rows)
                batch = choose_batch(rows, self.limits.max_batch, self.limits.max_batch_tokens)
            with self._changed:
                self._remove(batch)
                self._busy = bool(self._waiting) or len({id(row.job) for row in batch}) > 1
            batch = [row for row in batch if not row.job.given_up]
            if batch or not rows:
                return batch

    def _candidates(self) -> list[Row]:
        """Wait until there are rows, and return those that may be computed together, the oldest first; [] when closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closing or self._waiting)
                if self._closing:
                    return []
                self._remove([row for row in self._waiting if row.job.given_up])
                if self._waiting:
                    break
            first = self._waiting[0].job.kind
            if self._busy and first != "generate":
                full = self.limits.max_batch
                self._changed.wait_for(lambda: self._closing or len(self._waiting) >= full, self.limits.batch_wait_ms / 1000)
            same_kind = [row for row in self._waiting if row.job.kind == first]
            return same_kind[: WINDOW * self.limits.max_batch]

    def _count_tokens(self, rows: list[Row]) -> None:
        """Set the lengths of rows that have none yet. Texts that the model cuts count as what it reads."""
        assert self.task is not None
        new = [row for row in rows if not row.length]
        if not new:
            return
        options, config = self.task.options, self.task.model.config
        limits = [getattr(options, name, None) for name in ("max_text_length", "max_source_length")]
        limit = next(filter(None, [*limits, getattr(config, "max_position_embeddings", None)]), sys.maxsize)
        try:
            lengths = [len(encoding) for encoding in self.task.fast_tokenizer.encode_batch_fast([row.input for row in new])]
        except Exception:  # the prediction will say what is wrong with which text
            lengths = [1] * len(new)
        for row, length in zip(new, lengths, strict=True):
            row.length = max(1, min(length, limit))

    def _compute(self, task: Task, batch: list[Row]) -> None:
        """Compute a batch and answer its rows. If that fails for several rows, each is computed alone: one may be the cause."""

        def check() -> None:
            if all(row.job.given_up for row in batch):
                raise GivenUp

        task.on_step = check
        try:
            if batch[0].job.kind == "generate":
                self._write(task, batch[0])
                return
            results = task.predict([row.input for row in batch], "")
            for row, result in zip(batch, results, strict=True):
                row.job.finish_row(row.number, result)
        except GivenUp:
            return
        except BaseException as error:
            if len(batch) == 1:
                batch[0].job.fail(error)
                return
            for row in batch:
                if not row.job.given_up:
                    self._compute(task, [row])
        finally:
            task.on_step = None

    def _write(self, task: Task, row: Row) -> None:
        job = row.job

        def show(piece: str) -> None:
            if job.given_up:
                raise GivenUp
            job.send("piece", piece)

        results = write(task, self.path, row.input, show if job.stream else None)
        row.length = sum(int(result.get("tokens", 0)) for result in results)
        job.finish_row(row.number, results)
