"""Test progress bars and messages: lines in a pipe, a redrawn bar on a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

# The program replaces the clock, so the test does not have to wait.
PROGRAM = """
import sys, time
now = [1000.0]
time.time = lambda: now[0]
from paddle_ft.system.progress import Progress, print_info

steps, seconds, initial = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
unit = sys.argv[4] if len(sys.argv) > 4 else "rows"
with Progress(40, "tokenise", unit=unit, initial=initial) as bar:
    for _ in range(steps):
        now[0] += seconds
        bar.note(loss="2.5")
        bar.update(2)
print_info("done")
"""


def output_lines(*arguments, **environment) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, **environment})
    assert process.returncode == 0, process.stderr
    assert process.stdout == ""
    assert "\r" not in process.stderr
    return process.stderr.splitlines()


def test_a_line_every_ten_seconds_and_one_at_the_end():
    """20 updates of 2 rows, 1.5 s apart: 30 s in all."""
    *bars, last = output_lines(20, 1.5, 0)
    assert last == "done"
    pattern = r"tokenise: (\d+)/40 rows, +(\d+) %, +(\S+) ?rows/s, (\d\d:\d\d) left, loss=2.5"
    counts = [re.fullmatch(pattern, line) for line in bars]
    assert all(counts), bars
    numbers = [int(match[1]) for match in counts]
    assert numbers[-1] == 40
    assert numbers == sorted(set(numbers))
    assert 3 <= len(numbers) <= 4
    assert [int(match[2]) for match in counts] == [round(100 * n / 40) for n in numbers]
    assert counts[-1][3] == "1.33"
    assert counts[-1][4] == "00:00"


def test_a_resumed_count_starts_where_it_was():
    *bars, _ = output_lines(10, 3, 20)
    assert bars[-1].startswith("tokenise: 40/40 rows, 100 %")


def test_the_last_line_is_written_once():
    """Each update, 10 s after the last one, prints a line. Closing the bar draws it once more."""
    lines = output_lines(20, 10, 0)
    counts = [line.split(" rows")[0] for line in lines[:-1]]
    assert counts[-1] == "tokenise: 40/40" and len(counts) == len(set(counts)), lines


@pytest.mark.parametrize("on_terminal", [False, True])
def test_slow_bytes_are_bytes_per_second(on_terminal):
    text = terminal_output("20", "15", "0", "B") if on_terminal else "\n".join(output_lines(20, 15, 0, "B"))
    assert "0.13B/s" in text and "s/B" not in text


def test_a_short_task_prints_nothing():
    assert output_lines(20, 0.01, 0) == ["done"]


def test_only_the_first_process_prints():
    assert output_lines(20, 1.5, 0, PADDLE_TRAINER_ID="1") == []


def terminal_output(*arguments: str) -> str:
    """Return what the program writes to a terminal of 100 columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=follower, stdout=subprocess.DEVNULL)
    os.close(follower)
    text = b""
    try:
        while piece := os.read(leader, 65536):
            text += piece
    except OSError:  # Linux raises this at the end of a terminal
        pass
    os.close(leader)
    assert process.wait(10) == 0
    return text.decode()


def test_on_a_terminal_a_bar_is_redrawn():
    output = terminal_output("20", "1.5", "0")
    assert output.count("\r") > 10
    assert "40/40" in output
    assert output.rstrip().endswith("done")
