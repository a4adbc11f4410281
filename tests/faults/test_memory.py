"""Take the memory away from a training: one error says so, and after it has memory again, nothing is lost.

Where the system kills a process instead, that is SIGKILL: test_kills.py.
"""

import pytest

from tests.support.faults import Training, run_afresh

pytestmark = pytest.mark.slow

# 12 million parameters, so that the tensors of a phase are larger than what is left of the memory
LARGE = ("model.config.d_model=512", "model.config.encoder_ffn_dim=4096", "model.config.decoder_ffn_dim=4096", "train.max_steps=6")
PHASES = {
    "model": ("paddle_ft.models.bundle.build_model", 1),
    "step": ("paddle_ft.training.step.Stepper.train_step", 1),
    "checkpoint": ("paddle_ft.training.checkpoint.optimizer_arrays", 1),
}
# Which part of a phase fails, and with which message, depends on how much freed memory the process still has.
TRAINING = "out of memory. Lower train.train_batch_size"
ERRORS = {"model": ("model.config: there is not enough memory", "out of memory."), "step": (TRAINING,), "checkpoint": (TRAINING,)}


@pytest.fixture(scope="module")
def large(tmp_path_factory, prepared):
    """Return the run of the large training that nothing happens to."""
    training = Training(tmp_path_factory.mktemp("large"), prepared, LARGE)
    training.start().check()
    return training.run


@pytest.mark.parametrize("phase", PHASES)
def test_short_memory_is_one_error_and_nothing_is_lost(phase, tmp_path, prepared, large):
    training = Training(tmp_path, prepared, LARGE)
    name, call = PHASES[phase]
    error = training.start(at=(name, str(call), "limit_memory", "16")).error()
    assert error.startswith(ERRORS[phase]), error
    training.go_on()
    training.check_equals(large)


def test_short_memory_in_an_evaluation_is_one_error(tmp_path, prepared, large):
    arguments = ("evaluate", str(large))
    training = Training(tmp_path, prepared, LARGE)
    error = training.command(*arguments, at=("paddle_ft.models.bundle.reload_bundle", "1", "limit_memory", "16")).error()
    assert error.startswith("out of memory"), error


def test_a_shell_that_limits_the_memory(training):
    """Where not even Paddle can be loaded, the error says so too, or the libraries say it in their own words."""
    result = run_afresh("train", *training.arguments, shell='ulimit -v 600000; "$@"')
    assert result.code != 0 and not training.run.exists()
