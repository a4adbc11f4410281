"""Take folders away from a running training, or make them read-only."""

import shutil
import subprocess

import pytest

from tests.support.faults import Training

pytestmark = pytest.mark.slow


@pytest.fixture
def read_only(small_disk):
    """Return a function that makes the small disk read-only; root may write into any folder that only its mode protects."""

    def protect():
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    return protect


def test_a_read_only_output_dir_is_refused_at_once(small_disk, read_only, training, prepared):
    read_only()
    error = training.start(f"output_dir={small_disk}/run").error()
    assert error.strip() == (
        f"output_dir: {small_disk}/run cannot be written: Read-only file system. Choose another with output_dir=..."
    )


def test_an_output_dir_that_becomes_read_only(small_disk, read_only, prepared, uninterrupted):
    training = Training(small_disk, prepared)
    killed = training.start(at=("paddle_ft.training.step.Stepper.train_step", "8", "kill"))
    assert killed.code == -9
    read_only()
    error = training.start("--resume").error()
    assert "Read-only file system" in error and str(small_disk) in error
    for command in (("report", str(training.run)),):
        assert "Read-only file system" in training.command(*command).error()
    training.command("evaluate", str(training.run)).check()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    training.go_on()
    training.check_equals(uninterrupted)


def test_a_read_only_cache_is_done_without(small_disk, read_only, training, uninterrupted):
    read_only()
    training.environment["PADDLE_FT_HOME"] = str(small_disk)
    result = training.start().check()
    assert "Read-only file system" in result.errors
    training.check_equals(uninterrupted)


@pytest.mark.parametrize("step", ["2", "8"])
def test_an_output_dir_that_is_removed(step, training, uninterrupted):
    """What was trained is saved before the error, and can be resumed. Only what was written into the folder before is gone."""
    at = ("paddle_ft.training.step.Stepper.train_step", step, "remove", str(training.run))
    error = training.start(at=at).error()
    assert str(training.run) in error and "No such file or directory" in error, error
    resumed = training.start("--resume").check()
    assert f"resuming at step {step} of 12" in resumed.errors
    training.check_weights(uninterrupted)


def test_a_cache_that_is_removed_during_the_training(training, uninterrupted):
    training.start(at=("paddle_ft.training.step.Stepper.train_step", "5", "remove", str(training.folder / "home"))).check()
    training.check_equals(uninterrupted)


def test_a_cache_that_is_removed_between_a_kill_and_the_resumption(training, uninterrupted):
    training.start(at=("paddle_ft.training.step.Stepper.train_step", "8", "kill"))
    shutil.rmtree(training.folder / "home")
    training.go_on()
    training.check_equals(uninterrupted)


def test_a_working_directory_that_is_removed(training, tmp_path, uninterrupted):
    (tmp_path / "work").mkdir()
    at = ("paddle_ft.training.step.Stepper.train_step", "5", "remove", str(tmp_path / "work"))
    training.start(at=at, cwd=tmp_path / "work").check()
    training.check_equals(uninterrupted)


def test_two_trainings_in_one_output_dir(training, uninterrupted):
    """tests/training/test_run.py has the refusal. Here the second comes while the first is in the middle of a step."""
    at = ("paddle_ft.training.step.Stepper.train_step", "5", "start", "train", *training.arguments, "--resume")
    result = training.start(at=at).check()
    assert f"error: output_dir: another process is training in {training.run} right now. Use another output_dir." in result.errors
    training.check_equals(uninterrupted)
