"""Test which files a reader must open to follow one training step from train.py to the optimizer."""

import inspect
import runpy
import sys
from pathlib import Path

import pytest

from paddle_ft.training.step import Stepper
from tests.support.paths import ROOT
from tests.support.tiny_runs import overrides

STEP = 2  # the first step whose batches a thread collated during the step before
PATH = [
    "train.py",
    "paddle_ft/cli.py",
    "paddle_ft/commands/train.py",
    "paddle_ft/training/run.py",
    "paddle_ft/training/loop.py",
    "paddle_ft/training/step.py",
    "paddle_ft/training/optim.py",
    "paddle_ft/tasks/shared/seq2seq.py",
    "paddle_ft/models/architectures/bart.py",
]


@pytest.fixture
def visited(monkeypatch):
    """Return the files of the repository whose functions call or are called by step STEP, in order."""
    files: list[str] = []
    train_step = Stepper.train_step

    def visit(code):
        path = Path(code.co_filename).resolve()
        if path.is_relative_to(ROOT) and (path == ROOT / "train.py" or path.is_relative_to(ROOT / "paddle_ft")):
            name = path.relative_to(ROOT).as_posix()
            if name not in files:
                files.append(name)

    def spied(self, step, *args):
        if step != STEP:
            return train_step(self, step, *args)
        for frame in reversed(inspect.stack()):
            visit(frame.frame.f_code)
        sys.setprofile(lambda frame, event, _: visit(frame.f_code) if event == "call" else None)
        try:
            return train_step(self, step, *args)
        finally:
            sys.setprofile(None)

    monkeypatch.setattr(Stepper, "train_step", spied)
    return files


def test_a_step_of_bart_leads_through_nine_files(tmp_path, monkeypatch, visited, paddles_own_layers):
    """Follow a step with Paddle's own layers, as on a GPU."""
    arguments = ["train.py", "--config", "bart_lcsts", *overrides(tmp_path, "train.max_steps=4", "eval.before_training=false")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    assert stop.value.code == 0
    assert sorted(visited) == sorted(PATH) and len(PATH) == 9
