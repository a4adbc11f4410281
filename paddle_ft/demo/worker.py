"""Compute answers one after the other in one thread, and stop computing when nobody waits for the answer any more.

Paddle's settings belong to a thread, and two generations at once would share the cores and both take twice as long. So all models
live in a single thread, and gradio's queue shows everybody their place.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Stopped(Exception):
    """Nobody waits for the answer any more. It is raised inside the computation, which ends with it."""


class Job:
    """One answer that is being computed.

    Args:
        send: called with everything that is to be shown, in the thread of the worker.
    """

    def __init__(self, send: Callable[[Any], None]):
        self._send = send
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make the computation end at its next `check` or `show`. This is called from another thread."""
        self._stopped.set()

    def check(self) -> None:
        """Raise Stopped if the answer is no longer wanted. A computation calls this between its steps."""
        if self._stopped.is_set():
            raise Stopped

    def show(self, answer: Any) -> None:
        """Show what there is of the answer so far, in place of what was shown before."""
        self.check()
        self._send(answer)


class Worker:
    """The thread that all models live in."""

    def __init__(self):
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="demo-model")

    def call(self, function: Callable, *arguments: Any) -> Any:
        """Run a function in the thread and return its result, or raise its exception."""
        return self._thread.submit(function, *arguments).result()

    async def stream(self, compute: Callable[[Job], None]) -> AsyncIterator[Any]:
        """Yield what a computation shows. If the caller stops iterating or is cancelled, the computation is stopped too.

        Args:
            compute: shows its answer through the job. An exception other than Stopped is raised here again.
        """
        loop, end = asyncio.get_running_loop(), object()
        shown: asyncio.Queue[Any] = asyncio.Queue()

        def send(answer: Any) -> None:
            loop.call_soon_threadsafe(shown.put_nowait, answer)

        job = Job(send)

        def run() -> None:
            try:
                job.check()
                compute(job)
            except Stopped:
                pass
            finally:
                send(end)

        running = self._thread.submit(run)
        try:
            while (answer := await shown.get()) is not end:
                yield answer
            running.result()
        finally:
            job.stop()

    def close(self) -> None:
        """End the thread after the step that it computes."""
        self._thread.shutdown(wait=False, cancel_futures=True)
