"""Run commands of paddle_ft in processes of their own, with faults, and compare what they leave with a run without any."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.prepared import Preparation
from tests.support.processes import computed_events
from tests.support.tiny_runs import overrides

LENGTH = ("train.num_train_epochs=6", "train.save_steps=3", "eval.eval_steps=4", "data.cache=true", "train.keep_checkpoints=2")
FILES = ("last/model.safetensors", "last/trainer/optimizer.safetensors", "best/model.safetensors")
REPORTED = ("metrics", "before_training", "baseline", "best", "data")  # what of results.json must not depend on a fault


@dataclass
class Result:
    """What a command did."""

    code: int
    output: str
    errors: str

    @classmethod
    def of(cls, code: int, output: bytes, errors: bytes) -> Result:
        """Return the result with its outputs as text."""
        return cls(code, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))

    def check(self) -> Result:
        """Return this result of a command that must have succeeded."""
        assert self.code == 0, self.errors
        assert "Traceback" not in self.errors, self.errors
        return self

    def error(self) -> str:
        """Return the message of a command that must have ended with one error for its user."""
        assert self.code == 2, f"exit code {self.code}\n{self.errors}"
        assert "Traceback" not in self.errors, self.errors
        lines = self.errors.splitlines()
        numbers = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        assert len(numbers) == 1, self.errors
        return "\n".join(lines[numbers[0] :]).removeprefix("error: ")


@dataclass
class Training:
    """A training of 12 steps with evaluations and checkpoints. Its data and its cache are in `folder`, its run in folder/run.

    Attributes:
        folder: where everything is.
        prepared: the process that commands are started from.
        settings: further overrides.
        environment: changes to the environment.
        arguments: the arguments of the command `train`.
    """

    folder: Path
    prepared: Preparation
    settings: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the data, and make the arguments of the command `train`."""
        self.arguments = ["--config", "bart_lcsts", *overrides(self.folder, *LENGTH, *self.settings)]

    @property
    def run(self) -> Path:
        """The run's directory."""
        return self.folder / "run"

    def start(self, *flags: str, at: tuple[str, ...] = (), **options) -> Result:
        """Start the training. `at` are the arguments of tests.support.sabotage, such as ("paddle_ft.x.f", "1", "kill")."""
        return self.command("train", *self.arguments, *flags, at=at, **options)

    def command(self, *arguments: str, **options) -> Result:
        """Run a command with the environment of this training. `options` are those of Prepared.run."""
        environment = {"PADDLE_FT_HOME": str(self.folder / "home"), **self.environment}
        return Result.of(*self.prepared.run(arguments, environment=environment, **options))

    def go_on(self, **options) -> Result:
        """Start it again after a fault, as its user would: with --resume if there is a run."""
        return self.start(*(["--resume"] if (self.run / "config.yaml").exists() else []), **options).check()

    def check_weights(self, other: Path) -> None:
        """Assert that the weights and the optimizer are those of another run, to the last bit."""
        for name in FILES:
            assert (self.run / name).read_bytes() == (other / name).read_bytes(), name

    def check_equals(self, other: Path) -> None:
        """Assert that weights, optimizer, figures and predictions are those of another run, and that no other files are there."""
        self.check_weights(other)
        assert computed_events(self.run) == computed_events(other)
        mine, others = (_read_results(run) for run in (self.run, other))
        assert {key: mine.get(key) for key in REPORTED} == {key: others.get(key) for key in REPORTED}
        for name in ("predictions-validation.jsonl", "predictions-test.jsonl"):
            assert (self.run / name).read_bytes() == (other / name).read_bytes(), name
        assert sorted(os.listdir(self.run)) == sorted(os.listdir(other))
        assert sorted(os.listdir(self.run / "plots")) == sorted(os.listdir(other / "plots"))


def _read_results(run: Path) -> dict:
    from paddle_ft.runs.directory import RunDirectory

    return RunDirectory(run).results()


def run_afresh(
    *arguments: str, environment: dict[str, str] | None = None, cwd: Path = ROOT, timeout: float = 600, shell: str | None = None,
    **options,
) -> Result:  # fmt: skip
    """Run a command of `python -m paddle_ft` in a new Python, which imports everything as a user's does.

    Args:
        arguments: the command and its arguments.
        environment: changes to the environment.
        cwd: the working directory.
        timeout: seconds after which the command hangs, which is an error.
        shell: a line for the shell, in which "$@" is the command.
        options: further arguments of subprocess.run.
    """
    command = [sys.executable, "-m", "paddle_ft", *arguments]
    command = ["bash", "-o", "pipefail", "-c", shell, "bash", *command] if shell else command
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    process = subprocess.run(command, env=variables, cwd=cwd, timeout=timeout, capture_output=True, **options)
    return Result.of(process.returncode, process.stdout, process.stderr)
