"""Run a command of paddle_ft in this process, and do something to it when it calls one of its functions.

    python -m tests.support.sabotage paddle_ft.training.loop.evaluate 2 kill -- train --config bart_lcsts

At the second call of that function, the process gets SIGKILL. The name is the one under which the code that calls it finds it. What
can be done: see ACTIONS.
"""

from __future__ import annotations

import functools
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT


def kill(*_: str) -> None:
    """Kill this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def remove(folder: str) -> None:
    """Remove a folder."""
    shutil.rmtree(folder)


def fill(folder: str) -> None:
    """Fill the disk that a folder is on, to the last byte."""
    with open(Path(folder, "filler"), "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def clock(days: str) -> None:
    """Set the clock of this process forward, or back with a negative number of days."""
    real = time.time
    time.time = lambda: real() + 86400 * float(days)


def limit_memory(megabytes: str) -> None:
    """Let this process have only so much memory more than it has."""
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + int(megabytes) * 2**20, resource.RLIM_INFINITY))


def start(*arguments: str) -> None:
    """Run another command of paddle_ft to its end, and write what it wrote to stderr to that of this process."""
    process = subprocess.run([sys.executable, "-m", "paddle_ft", *arguments], capture_output=True, text=True, cwd=ROOT)
    print(process.stderr, file=sys.stderr)


ACTIONS: dict[str, Callable[..., None]] = {
    function.__name__: function for function in (kill, remove, fill, clock, limit_memory, start)
}


def sabotage(name: str, number: int, act: Callable[[], None]) -> None:
    """Wrap a function so that `act` is called before its call of this number.

    Args:
        name: dotted name of a function, or of a method of a class.
        number: which call, from 1.
        act: what is done.
    """
    parent_name, _, last = name.rpartition(".")
    parent = pkgutil.resolve_name(parent_name)
    original, calls = getattr(parent, last), 0

    @functools.wraps(original)
    def wrapped(*arguments: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            act()
        return original(*arguments, **settings)

    setattr(parent, last, wrapped)


def main(arguments: list[str]) -> int:
    from paddle_ft.cli import main as run_command
    from paddle_ft.system.runtime import prepare_cpu

    prepare_cpu()  # before the function's module imports paddle, as in the command itself
    end = arguments.index("--")
    name, number, action, *values = arguments[:end]
    sabotage(name, int(number), lambda: ACTIONS[action](*values))
    return run_command(arguments[end + 1 :])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
