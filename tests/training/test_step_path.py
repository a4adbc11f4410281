"""The files of one training step, from train.py to the optimizer: what a reader must open to follow it."""

import inspect
import runpy
import sys
from pathlib import Path

import pytest

from paddle_ft.models.kernels import fastest, onednn
from paddle_ft.training.step import Stepper
from tests.support.paths import ROOT
from tests.support.tiny_runs import overrides

STEP = 2  # its batches were collated by the thread while the step before it ran
PATH = {
    "train.py",
    "paddle_ft/__main__.py",
    "paddle_ft/cli.py",
    "paddle_ft/commands/train.py",
    "paddle_ft/training/run.py",
    "paddle_ft/training/loop.py",
    "paddle_ft/training/step.py",
    "paddle_ft/training/optim.py",
    "paddle_ft/tasks/shared/seq2seq.py",
    "paddle_ft/models/architectures/bart.py",
}
COLLATION = {
    "paddle_ft/training/step.py",
    "paddle_ft/data/batches.py",
    "paddle_ft/tasks/shared/seq2seq.py",
    "paddle_ft/tokenization/encode.py",
}
CPU_LAYERS = {
    "paddle_ft/models/cpu_layers.py",
    "paddle_ft/models/kernels/onednn.py",
    "paddle_ft/models/kernels/onednn_linear.py",
    "paddle_ft/models/kernels/library.py",
    "paddle_ft/models/reading.py",
    "paddle_ft/models/unpadding.py",
    "paddle_ft/system/paddle_compat.py",
}


def file_of(code) -> str | None:
    """Return the path of a function's file in the repository, or None for a file that is not the program's."""
    path = Path(code.co_filename).resolve()
    program = path == ROOT / "train.py" or path.is_relative_to(ROOT / "paddle_ft")
    return path.relative_to(ROOT).as_posix() if program else None


def profiled(function, with_callers: bool, files: set[str | None]):
    """Return `function`, which adds to `files` the files of all functions that it calls in step STEP, and of its callers."""

    def call(self, step, *args):
        if step != STEP:
            return function(self, step, *args)
        if with_callers:
            files.update(file_of(frame.frame.f_code) for frame in inspect.stack())
        sys.setprofile(lambda frame, event, _: files.add(file_of(frame.f_code)) if event == "call" else None)
        try:
            return function(self, step, *args)
        finally:
            sys.setprofile(None)

    return call


@pytest.fixture
def files_of_a_step(tmp_path, monkeypatch):
    """Return a function that trains with train.py and returns the files of a step: of the training thread, of collation."""

    def train() -> tuple[set[str], set[str]]:
        path, collation = set(), set()
        monkeypatch.setattr(Stepper, "train_step", profiled(Stepper.train_step, True, path))
        monkeypatch.setattr(Stepper, "_collate", profiled(Stepper._collate, False, collation))
        arguments = ["--config", "bart_lcsts", *overrides(tmp_path, "train.max_steps=4", "eval.before_training=false")]
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        assert caught.value.code == 0
        return path - {None}, collation - {None}

    return train


def test_a_step_of_bart_leads_through_ten_files(files_of_a_step, paddles_own_layers):
    """The layers are Paddle's own. Batches are collated one step ahead on a thread of their own, in four files."""
    assert files_of_a_step() == (PATH, COLLATION)
    assert len(PATH) == 10


@pytest.mark.skipif(fastest() is not onednn, reason="Paddle has no oneDNN on this machine: operators.py instead of two files")
def test_on_a_cpu_the_layers_add_six_files(files_of_a_step):
    assert files_of_a_step() == (PATH | CPU_LAYERS, COLLATION)
