"""Kill a training with SIGKILL in each of its phases, and start it again: it must end as one that was never killed.

tests/training/test_kills.py kills one fifty times at random moments.
"""

import signal

import pytest

pytestmark = pytest.mark.slow

# phase -> the call at which the process is killed, and which call of it
PHASES = {
    "rows": ("paddle_ft.training.run.load_rows", 1),
    "model": ("paddle_ft.training.run.load_model", 1),
    "trial": ("paddle_ft.training.preflight.try_out", 1),
    "directory": ("paddle_ft.training.run.start_directory", 1),
    "untrained": ("paddle_ft.training.results.evaluate", 2),  # the evaluation of the test split before the training
    "step": ("paddle_ft.training.step.Stepper.train_step", 8),
    "evaluation": ("paddle_ft.training.loop.evaluate", 2),
    "best": ("paddle_ft.runs.integrity.seal", 1),  # best/ is written, but neither sealed nor in its place
    "checkpoint": ("paddle_ft.training.checkpoint.save_trainer", 2),
    "sealing": ("paddle_ft.runs.integrity.seal", 4),
    "renaming": ("paddle_ft.runs.integrity.os.rename", 4),
    "removing": ("paddle_ft.training.checkpoint.shutil.rmtree", 3),
    "final": ("paddle_ft.training.results.evaluate", 3),  # of the test split; that of validation is not repeated
    "predictions": ("paddle_ft.runs.directory.RunDirectory.write_predictions", 2),
    "results": ("paddle_ft.runs.directory.RunDirectory.write_results", 2),
    "report": ("paddle_ft.training.run.write_report", 1),
    "plots": ("paddle_ft.reporting.page.render", 1),
    "card": ("paddle_ft.training.run.write_card", 1),
}


@pytest.mark.parametrize("phase", PHASES)
def test_killed_in_each_phase_and_resumed_it_is_the_same_training(phase, training, uninterrupted):
    name, call = PHASES[phase]
    killed = training.start(at=(name, str(call), "kill"))
    assert killed.code == -signal.SIGKILL, killed.errors
    training.go_on()
    training.check_equals(uninterrupted)
