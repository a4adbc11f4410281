"""Start commands from a process that has imported everything already. Each is a process of its own (a fork), and starts at once.

with Prepared() as prepared:
    code, output, errors = prepared.run(["train", "--config", "bart_lcsts"], cwd=folder)
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.paths import ROOT


class Prepared:
    """The process that waits with everything imported."""

    def __enter__(self) -> Prepared:
        command = [sys.executable, "-m", "tests.support.prepared"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)

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
        with tempfile.TemporaryDirectory() as folder:
            outputs = [str(Path(folder, name)) for name in ("stdout", "stderr")]
            job = {"arguments": [*arguments], "at": [*at], "environment": environment or {}, "cwd": str(cwd), "outputs": outputs}
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()
            if not select.select([self.process.stdout], [], [], timeout)[0]:
                self.process.kill()
                raise AssertionError(f"{arguments}: no end after {timeout} s\n{Path(outputs[1]).read_text(errors='replace')}")
            code = int(self.process.stdout.readline())
            return code, *(Path(path).read_bytes() for path in outputs)


def main() -> None:
    from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu

    prepare_cpu()
    import_frameworks_quietly()
    import paddle_ft.training.run  # noqa: F401

    for line in sys.stdin.buffer:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(job)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(job: dict) -> None:
    """Run a command, and end the process as Python does."""
    from paddle_ft.cli import main as run_command
    from tests.support import sabotage

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(job["outputs"], start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(job["environment"])
    tempfile.tempdir = None  # TMPDIR may be another one
    os.chdir(job["cwd"])
    arguments = job["arguments"]
    sys.exit(sabotage.main([*job["at"], "--", *arguments]) if job["at"] else run_command(arguments))


if __name__ == "__main__":
    main()
