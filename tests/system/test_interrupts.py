"""Test that Ctrl-C is remembered while something runs and forgotten after it, and that Paddle does not take SIGTERM."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from paddle_ft.system.interrupts import is_pressed, raise_if_pressed, remembered, sigterm_kept

PROGRAM = """
import importlib.abc, os, signal, sys
from paddle_ft.system.runtime import import_frameworks_quietly

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "paddlenlp":  # paddle has been imported
            os.kill(os.getpid(), signal.SIGTERM)

{handler}
sys.meta_path.insert(0, Finder())
import_frameworks_quietly()
print("imported")
"""


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


@pytest.mark.parametrize(("handler", "code"), [
    ("", -signal.SIGTERM), ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))", 143),
])  # fmt: skip
def test_sigterm_during_the_import_does_what_it_did_before(handler, code):
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(handler=handler)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "loading Paddle ...\n")


def test_sigterm_is_held_back_until_the_end_of_the_block():
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append("own"))
    try:
        with sigterm_kept():
            signal.signal(signal.SIGTERM, lambda *_: received.append("other"))
            signal.raise_signal(signal.SIGTERM)
            assert received == []
        assert received == ["own"]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("test", ["the first", "the second"])
def test_ctrl_c_in_a_test_is_pythons_whatever_an_earlier_test_has_left(test):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as a command does when it starts
