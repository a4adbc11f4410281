"""Ctrl-C and SIGTERM: the first lets the step or save in progress finish, the second ends the process at once.

Launchers repeat SIGTERM (Paddle's sends it three times, 0.2 s apart): what comes within REPEATED seconds is the same one. A
second Ctrl-C is always somebody who does not want to wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

REPEATED = 2.0  # seconds after the first signal in which a SIGTERM counts as its repetition


class Interrupted(BaseException):
    """A signal asked the training to stop. Its exit code is 128 + the signal's number (130 for Ctrl-C, 143 for SIGTERM)."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interrupts:
    """Handles SIGINT and SIGTERM while it is entered. `with interrupts.deferred():` protects a step or a save.

    `agreed`: set while several processes train together; a signal then waits until all call `agree` after the same step.
    """

    def __init__(self):
        self.agreed = False
        self.pending: int | None = None
        self.since = 0.0  # when it came
        self.depth = 0
        self.previous: dict = {}

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            self.previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame) -> None:
        if self.pending is not None:
            if number == signal.SIGTERM and time.monotonic() - self.since < REPEATED:
                return
            os.write(sys.stderr.fileno(), b"\nstopped at once; the files written so far are whole\n")
            os._exit(128 + number)
        self.pending, self.since = number, time.monotonic()
        os.write(sys.stderr.fileno(), b"\nstopping: saving first (once more to stop at once)\n")
        if self.depth == 0 and not self.agreed:
            raise Interrupted(number)

    def agree(self) -> None:
        """Stops now: all processes have heard that one was asked to."""
        raise Interrupted(self.pending or signal.SIGTERM)

    @contextlib.contextmanager
    def deferred(self):
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        if self.pending is not None and self.depth == 0 and not self.agreed:
            raise Interrupted(self.pending)
