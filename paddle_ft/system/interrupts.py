"""Remember Ctrl-C, because it does not always arrive: libraries turn it into other errors, or lose it, while they are imported."""

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
