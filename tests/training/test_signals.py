"""Test signals: the first waits for the running save, the second ends the process even if the save hangs.

A SIGTERM within two seconds of the first signal is ignored.
"""

import os
import signal
import subprocess
import sys
import time

import pytest

from paddle_ft.runs.integrity import find_damage
from paddle_ft.training import checkpoint
from paddle_ft.training.signals import Interrupted, SignalHandler

HANGING_SAVE = """
import sys, time
from pathlib import Path
from paddle_ft.runs.integrity import write_directory
from paddle_ft.training.signals import SignalHandler

run = Path(sys.argv[1])

def fill(folder):
    (folder / "weights").write_text("first")

def hang(folder):
    (folder / "weights").write_text("half")
    try:
        print("saving", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)  # as cleaning up on the same disk would

with SignalHandler() as interrupts:
    for how in (fill, hang):
        with interrupts.deferred():
            write_directory(run / "last", how)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_a_save_that_hangs(tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING_SAVE, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "saving\n"
        process.send_signal(number)
        assert process.stderr.readline() == "\n"
        assert process.stderr.readline() == "stopping: saving a checkpoint first (repeat to stop immediately)\n"
        for _ in range(2 if number == signal.SIGTERM else 0):  # as Paddle's launcher does
            time.sleep(0.2)
            process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2 if number == signal.SIGTERM else 0.2)  # the save goes on
        sent = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == code
        assert time.monotonic() - sent < 5
        assert "stopped immediately; all files written so far are complete" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert checkpoint.newest_checkpoint(tmp_path) == tmp_path / "last"
    assert (tmp_path / "last" / "weights").read_text() == "first"


def test_a_launcher_that_repeats_sigterm_lets_the_save_finish(tmp_path):
    script = HANGING_SAVE.replace("time.sleep(60)", "time.sleep(1)")
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "saving\n"
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert "Interrupted: SIGTERM" in errors and "stopped immediately" not in errors
    assert find_damage(tmp_path / "last") is None
    assert (tmp_path / "last" / "weights").read_text() == "half"  # this is all that the script writes


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python runs the handler between two instructions


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_outside_a_save_the_first_signal_stops_at_once(number, code, capfd):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, SignalHandler():
        send(number)
        pytest.fail("the signal was ignored")
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before
    assert "stopping: saving a checkpoint first (repeat to stop immediately)" in capfd.readouterr().err


def test_within_nested_saves_it_waits_for_the_outermost(capfd):
    completed = []
    with pytest.raises(Interrupted), SignalHandler() as interrupts:
        with interrupts.deferred():
            with interrupts.deferred():
                send(signal.SIGINT)
                completed.append("inner")
            completed.append("outer")
        completed.append("after")
    assert completed == ["inner", "outer"]


def test_processes_that_train_together_stop_when_all_agree(capfd):
    with pytest.raises(Interrupted) as caught, SignalHandler() as interrupts:
        interrupts.wait_for_all_ranks = True
        send(signal.SIGTERM)
        with interrupts.deferred():
            pass
        assert interrupts.pending == signal.SIGTERM
        interrupts.stop_now()
    assert caught.value.exit_code == 143
