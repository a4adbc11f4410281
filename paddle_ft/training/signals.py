"""Handle Ctrl-C and SIGTERM: finish the running step or save after the first signal, exit immediately after a second one.

Launchers repeat SIGTERM; Paddle's sends it three times within 0.4 s. So a SIGTERM within REPEAT_SECONDS of the first signal is
ignored. A second Ctrl-C is never ignored, because it comes from a person who does not want to wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

REPEAT_SECONDS = 2.0


class Interrupted(BaseException):
    """A signal has stopped the training. The exit code is 128 + the signal's number (130 for Ctrl-C, 143 for SIGTERM)."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class SignalHandler:
    """A context manager that handles SIGINT and SIGTERM. Inside `with handler.deferred():` a signal is held back.

    Attributes:
        pending: number of the signal that has arrived, else None.
        wait_for_all_ranks: True while several processes train together. A signal is then held back until all ranks call
            `stop_now` after the same step.
    """

    def __init__(self):
        self.wait_for_all_ranks = False
        self.pending: int | None = None
        self._received_at = 0.0
        self._depth = 0
        self._previous: dict = {}

    def __enter__(self) -> SignalHandler:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame) -> None:
        if self.pending is not None:
            if number == signal.SIGTERM and time.monotonic() - self._received_at < REPEAT_SECONDS:
                return
            os.write(sys.stderr.fileno(), b"\nstopped immediately; all files written so far are complete\n")
            os._exit(128 + number)
        self.pending, self._received_at = number, time.monotonic()
        os.write(sys.stderr.fileno(), b"\nstopping: saving a checkpoint first (repeat to stop immediately)\n")
        if self._depth == 0 and not self.wait_for_all_ranks:
            raise Interrupted(number)

    def stop_now(self) -> None:
        """Raise Interrupted. All ranks call this after the same step, also those that did not receive the signal."""
        raise Interrupted(self.pending or signal.SIGTERM)

    @contextlib.contextmanager
    def deferred(self):
        """Hold a signal back until the end of the block."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self.pending is not None and self._depth == 0 and not self.wait_for_all_ranks:
            raise Interrupted(self.pending)
