"""Handle Ctrl-C and SIGTERM: finish the running step or save after the first signal, exit immediately after a second one.

Launchers repeat SIGTERM; Paddle's sends it three times within 0.4 s. So a SIGTERM within REPEAT_SECONDS of the first signal is
ignored. A second Ctrl-C is never ignored, because it comes from a person who does not want to wait. In a notebook it raises
KeyboardInterrupt instead of ending the process, because the process is the notebook's and has the variables of all its cells.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from convert.progress import in_notebook

REPEAT_SECONDS = 2.0


class Interrupted(BaseException):
    """A signal has stopped the training. The exit code is 128 + the signal's number (130 for Ctrl-C, 143 for SIGTERM).

    Args:
        number: the signal's number.
        has_directory: whether the run in the directory is this training's, and not an earlier one that is yet to be replaced.
    """

    def __init__(self, number: int, has_directory: bool = False):
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.has_directory = has_directory
        self.exit_code = 128 + number


class SignalHandler:
    """A context manager that handles SIGINT and SIGTERM. Inside `with handler.deferred():` a signal is held back.

    Outside the main thread it handles nothing, because Python delivers signals to the main thread only.

    Attributes:
        pending: number of the signal that has arrived, else None.
        wait_for_all_ranks: True while several processes train together. A signal is then held back until all ranks call
            `stop_now` after the same step.
        has_directory: the training sets it when the run in the directory is its own. Interrupted passes it on.
    """

    def __init__(self) -> None:
        self.wait_for_all_ranks = False
        self.has_directory = False
        self.pending: int | None = None
        self._received_at = 0.0
        self._depth = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> SignalHandler:
        in_main_thread = threading.current_thread() is threading.main_thread()
        for number in (signal.SIGINT, signal.SIGTERM) if in_main_thread else ():
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.pending is not None:
            if number == signal.SIGTERM and time.monotonic() - self._received_at < REPEAT_SECONDS:
                return
            if number == signal.SIGINT and in_notebook():
                raise KeyboardInterrupt("stopped immediately; all files written so far are complete")
            _print_at_once("stopped immediately; all files written so far are complete")
            os._exit(128 + number)
        self.pending, self._received_at = number, time.monotonic()
        _print_at_once("stopping: saving a checkpoint first (repeat to stop immediately)")
        if self._depth == 0 and not self.wait_for_all_ranks:
            raise Interrupted(number, self.has_directory)

    def stop_now(self) -> None:
        """Raise Interrupted. All ranks call this after the same step, also those that did not receive the signal."""
        raise Interrupted(self.pending or signal.SIGTERM, self.has_directory)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold a signal back until the end of the block."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self.pending is not None and self._depth == 0 and not self.wait_for_all_ranks:
            raise Interrupted(self.pending, self.has_directory)


def _print_at_once(message: str) -> None:
    """Print a message from a signal handler, which may have interrupted a print: past the buffer of stderr.

    A notebook shows only what is written to its own stream, which may be written to at any time.
    """
    if in_notebook():
        print(f"\n{message}", flush=True)
    else:
        os.write(sys.stderr.fileno(), f"\n{message}\n".encode())
