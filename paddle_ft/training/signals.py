"""Ctrl-C and SIGTERM: the first lets the step or save in progress finish, the second ends the process at once.

Launchers repeat SIGTERM: Paddle's sends it three times, 0.2 s apart. So a SIGTERM within REPEAT_SECONDS of the first signal is
ignored. A second Ctrl-C always comes from a person who does not want to wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

REPEAT_SECONDS = 2.0


class Interrupted(BaseException):
    """A signal asked the training to stop. The exit code is 128 + the signal's number (130 for Ctrl-C, 143 for SIGTERM)."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class SignalHandler:
    """Handlers of SIGINT and SIGTERM, in place while it is entered. `with handler.deferred():` protects a step or a save.

    Attributes:
        pending: the number of a signal that has come, else None.
        wait_for_all_ranks: set while several processes train together. A signal then waits until all ranks call `stop_now`
            after the same step.
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
            os.write(sys.stderr.fileno(), b"\nstopped at once; the files written so far are whole\n")
            os._exit(128 + number)
        self.pending, self._received_at = number, time.monotonic()
        os.write(sys.stderr.fileno(), b"\nstopping: saving first (once more to stop at once)\n")
        if self._depth == 0 and not self.wait_for_all_ranks:
            raise Interrupted(number)

    def stop_now(self) -> None:
        """Raise Interrupted. All ranks call this after the same step, whichever of them received the signal."""
        raise Interrupted(self.pending or signal.SIGTERM)

    @contextlib.contextmanager
    def deferred(self):
        """Hold a signal back until the block is left."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self.pending is not None and self._depth == 0 and not self.wait_for_all_ranks:
            raise Interrupted(self.pending)
