"""Test that Ctrl-C is remembered while something runs, and forgotten after it."""

import os
import signal
import threading

import pytest

from paddle_ft.system.interrupts import is_pressed, raise_if_pressed, remembered


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_an_error_after_ctrl_c_is_ctrl_c_and_any_other_stays():
    with pytest.raises(KeyboardInterrupt), remembered():
        try:
            press()
        except KeyboardInterrupt:
            raise ValueError("made of it") from None
    with pytest.raises(ValueError, match="a later one"), remembered():
        raise ValueError("a later one")


def test_a_lost_ctrl_c_is_found_and_forgotten_at_the_end():
    with remembered():
        with pytest.raises(KeyboardInterrupt):
            press()
        assert is_pressed()
        with pytest.raises(KeyboardInterrupt):
            raise_if_pressed()
    assert not is_pressed()
    raise_if_pressed()


def test_the_handler_of_somebody_else_stays():
    own = lambda number, frame: None  # noqa: E731
    before = signal.signal(signal.SIGINT, own)
    try:
        with remembered():
            assert signal.getsignal(signal.SIGINT) is own
            press()
            assert not is_pressed()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_and_inner_blocks_change_nothing():
    seen = []
    before = signal.getsignal(signal.SIGINT)
    with remembered():
        ours = signal.getsignal(signal.SIGINT)

        def inside():
            with remembered():
                seen.append(signal.getsignal(signal.SIGINT))

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        inside()
        assert seen == [ours, ours] and ours is not before
    assert signal.getsignal(signal.SIGINT) is before
