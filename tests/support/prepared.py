"""Start commands from a process that has imported everything already. Each is a process of its own (a fork), and starts at once.

    process = shared_preparation().start(["train.py", "--config", "bart_lcsts"], cwd=folder)
    output, errors = process.communicate(timeout=100)

A command runs as Python would run it: as `__main__`, with its own arguments, environment, working directory and output, and with
Python's usual end. What an import reads or prints has happened before: use subprocess where that matters.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from tests.support.paths import ROOT

ENVIRONMENT = dict(os.environ)  # before a test changes it
TRAINING = ("rouge_score.rouge_scorer", "paddle_ft.cli", "paddle_ft.training.run")
STEP = 0.01  # seconds between two looks at a process


class Preparation:
    """The process that waits with everything imported."""

    def __init__(self, modules: Sequence[str] = TRAINING, **variables: str):
        """Start it.

        Args:
            modules: what it imports.
            variables: changes to the environment in which it does.
        """
        command = [sys.executable, "-m", "tests.support.prepared", *modules]
        environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), **variables}
        self._server = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        """End it. The processes that it has started go on."""
        self._server.communicate(timeout=60)

    def start(
        self, arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> PreparedProcess:
        """Start `python ARGUMENTS`: a script, -m MODULE or -c PROGRAM, and its arguments.

        Args:
            arguments: the arguments of python.
            cwd: the working directory.
            env: the whole environment; None: the one of this process.
            stdin: what can be read from standard input.
        """
        folder = tempfile.TemporaryDirectory(prefix="process-")
        Path(folder.name, "stdin").write_text(stdin, encoding="utf-8")
        job = {"arguments": [*arguments], "cwd": str(cwd), "env": dict(os.environ if env is None else env), "folder": folder.name}
        self._server.stdin.write(json.dumps(job).encode() + b"\n")
        self._server.stdin.flush()
        return PreparedProcess(arguments, folder, int(self._server.stdout.readline()))

    def run(
        self, arguments: Sequence[str], *, at: Sequence[str] = (), environment: dict[str, str] | None = None, cwd: Path = ROOT,
        timeout: float = 600,
    ) -> tuple[int, bytes, bytes]:  # fmt: skip
        """Run a command of paddle_ft. Return its exit code, negative after a signal, and what it wrote to stdout and stderr.

        Args:
            arguments: the command and its arguments.
            at: the arguments of tests.support.sabotage: what happens in the process.
            environment: changes to the environment.
            cwd: the working directory.
            timeout: seconds after which the command hangs, which is an error.
        """
        command = ["-m", "tests.support.sabotage", *at, "--", *arguments] if at else ["-m", "paddle_ft", *arguments]
        process = self.start(command, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})})
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as hanging:
            process.kill()
            raise AssertionError(
                f"{arguments}: no end after {timeout} s\n{process.written('stderr').decode(errors='replace')}"
            ) from hanging
        return code, process.written("stdout"), process.written("stderr")


@functools.cache
def shared_preparation() -> Preparation:
    """Return the process from which all tests of this process start theirs."""
    preparation = Preparation()
    atexit.register(preparation.close)
    return preparation


class PreparedProcess:
    """A process that was started so, with the methods of subprocess.Popen that tests use. Its output is text."""

    def __init__(self, arguments: Sequence[str], folder: tempfile.TemporaryDirectory, pid: int):
        self.args, self.pid, self.returncode = [sys.executable, *arguments], pid, None
        self._folder = folder

    def poll(self) -> int | None:
        """Return the exit code, negative after a signal, or None while the process runs."""
        status = Path(self._folder.name, "status")
        if self.returncode is None and status.exists():
            self.returncode = int(status.read_text())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        deadline = time.monotonic() + (timeout or float("inf"))
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(STEP)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end, and return what was written to stdout and stderr, with every end of a line as a newline."""
        self.wait(timeout)
        output, errors = (Path(self._folder.name, name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return output, errors

    def written(self, stream: str) -> bytes:
        """Return what has been written to "stdout" or "stderr" so far."""
        return Path(self._folder.name, stream).read_bytes()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_prepared(
    arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None, stdin: str = "", timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` to its end, as subprocess.run does with capture_output=True and text=True.

    Raises:
        AssertionError: it has not ended after `timeout` seconds. It is killed.
    """
    process = shared_preparation().start(arguments, cwd=cwd, env=env, stdin=stdin)
    try:
        output, errors = process.communicate(timeout)
    except subprocess.TimeoutExpired as hanging:
        process.kill()
        raise AssertionError(f"{hanging}\n{process.written('stderr').decode(errors='replace')}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


# ------------------------------------------------------------------------------------------------------- the process itself
def main() -> None:
    """Import the modules of the command line, and then start a process for each line of standard input."""
    from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu

    gc.disable()  # while everything is imported, of which all stays
    prepare_cpu()
    if "paddle_ft.training.run" in sys.argv:
        import_frameworks_quietly()
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()  # the garbage collector of a child would write to all of them, and so copy the memory
    gc.enable()
    jobs = os.fdopen(os.dup(0), "rb", buffering=0)  # a child must not inherit jobs that were read ahead
    for line in jobs:
        _forget_ended()
        if os.fork() == 0:
            jobs.close()
            _keep(json.loads(line))
    _forget_ended()


def _forget_ended() -> None:
    """Let the system forget the children that have ended. Their processor time becomes part of this process's."""
    with contextlib.suppress(ChildProcessError):  # there is none
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _keep(job: dict) -> NoReturn:
    """Start the process, write its number to the standard output, and its exit code into its folder when it ends."""
    child = os.fork()
    if child == 0:
        _run(job)
    print(child, flush=True)
    os.close(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):  # the folder is gone: nobody asks any more
        status = Path(job["folder"], "status")
        status.with_suffix(".new").write_text(str(code))
        status.with_suffix(".new").rename(status)
    os._exit(0)


def _run(job: dict) -> NoReturn:
    """Run a command as `python` does, and end the process as Python does."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(os.open(Path(job["folder"], name), os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(job["env"])
    tempfile.tempdir = None  # TMPDIR may be another one
    os.chdir(job["cwd"])
    kind, *arguments = job["arguments"]
    first = {"-m": job["cwd"], "-c": ""}.get(kind, str(Path(kind).resolve().parent))
    own = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [first, *own, *(path for path in sys.path if path not in ("", str(ROOT)))]
    if kind == "-m":
        sys.argv = ["-m", *arguments[1:]]
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *arguments[1:]]
        sys.modules["__main__"] = module = ModuleType("__main__")
        exec(compile(arguments[0], "<string>", "exec"), module.__dict__)
    else:
        sys.argv = [kind, *arguments]
        runpy.run_path(kind, run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    main()
