"""Fill the disk in each phase of a training: one error says so, and after the disk has space again nothing is lost.

The disk is a tmpfs of 8 MB, which is filled to its last byte at a call of a function. Without root the tests are skipped.
"""

import pytest

from tests.support.faults import Training

pytestmark = pytest.mark.slow

# phase -> the call at which the disk becomes full, and which call of it
PHASES = {
    "directory": ("paddle_ft.training.run.start_directory", 1),
    "log": ("paddle_ft.runs.directory.RunDirectory.log", 3),
    "best": ("paddle_ft.models.bundle.ModelBundle.save", 1),
    "checkpoint": ("paddle_ft.training.checkpoint.save_trainer", 2),
    "sealing": ("paddle_ft.runs.integrity.seal", 3),
    "predictions": ("paddle_ft.runs.directory.RunDirectory.write_predictions", 1),
    "results": ("paddle_ft.runs.directory.RunDirectory.write_results", 2),
    "plots": ("paddle_ft.reporting.plots.draw_figures", 1),
    "report": ("paddle_ft.reporting.page.render", 1),
    "card": ("paddle_ft.training.run.write_card", 1),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_disk_that_is_full_is_one_error_and_nothing_is_lost(phase, small_disk, prepared, uninterrupted):
    training = Training(small_disk, prepared)
    name, call = PHASES[phase]
    error = training.start(at=(name, str(call), "fill", str(small_disk))).error()
    assert "No space left on device" in error and str(small_disk) in error, error
    (small_disk / "filler").unlink()
    training.go_on()
    training.check_equals(uninterrupted)


def test_where_temporary_files_do_not_fit_the_folder_is_named(small_disk, training):
    training.environment["TMPDIR"] = str(small_disk)
    error = training.start(at=("paddle_ft.models.bundle.make_bundle", "1", "fill", str(small_disk))).error()
    assert "No space left on device" in error and str(small_disk) in error, error
    assert not training.run.exists()


def test_where_the_cache_does_not_fit_the_training_goes_on_without(small_disk, training, uninterrupted):
    training.environment["PADDLE_FT_HOME"] = str(small_disk)
    result = training.start(at=("paddle_ft.training.run.load_model", "1", "fill", str(small_disk))).check()
    assert "No space left on device" in result.errors and str(small_disk) in result.errors
    training.check_equals(uninterrupted)
