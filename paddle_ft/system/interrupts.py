"""Keep Ctrl-C and SIGTERM working while libraries are imported.

Libraries turn Ctrl-C into other errors, or lose it. Paddle sets a handler of its own for SIGTERM.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_pressed = False


def is_pressed() -> bool:
    """Return whether Ctrl-C was pressed in the block of `remembered`, even if its KeyboardInterrupt was lost. For use in it."""
    return _pressed


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Make Ctrl-C raise KeyboardInterrupt in the block, and every error after it too. An inner block does nothing.

    Outside the main thread, and where somebody else handles Ctrl-C or it is ignored, everything stays as it is.
    """
    global _pressed
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) not in (signal.SIG_DFL, signal.default_int_handler):
        yield
        return
    _pressed = False
    before, report = signal.signal(signal.SIGINT, _press), sys.unraisablehook

    def report_others(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)

    sys.unraisablehook = report_others  # where an exception cannot be raised, Python would print its traceback
    try:
        yield
    except Exception:
        if _pressed:
            raise KeyboardInterrupt from None
        raise
    finally:
        _pressed = False
        sys.unraisablehook = report
        signal.signal(signal.SIGINT, before)


def raise_if_pressed() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed in the block of `remembered` and was lost."""
    if _pressed:
        raise KeyboardInterrupt


def _press(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    raise KeyboardInterrupt


@contextlib.contextmanager
def sigterm_kept() -> Iterator[None]:
    """Hold SIGTERM back in the block, and restore at its end what the signal did before. Other threads change nothing.

    Paddle's handler prints a C++ stack trace. For that it allocates memory, and waits forever if the signal has interrupted an
    allocation: a process that is stopped early, while it still imports modules, would never end.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        if before is not None:  # None: a handler that is not Python's
            signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
