"""Test a training that a signal stops before its first step: what the message advises must work."""

import os
import shlex
import signal

import pytest

import paddle_ft
from paddle_ft.config.load import load_config
from paddle_ft.training import run as training_run
from tests.support.processes import start_training
from tests.support.tiny_recipes import tiny_settings
from tests.support.tiny_runs import overrides

SHORT = ("train.max_steps=2", "eval.before_training=false", "generation.num_beams=1")


def send_when(monkeypatch, module, name: str, number: int) -> None:
    """Send this process a signal when a function of a module is called."""
    original = getattr(module, name)

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), number)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, interrupted)


@pytest.mark.parametrize(("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)])
def test_before_the_first_step_the_advice_is_to_start_again(tmp_path, monkeypatch, capfd, number, code):
    send_when(monkeypatch, training_run.results, "first_results", number)
    assert training_run.run_training(load_config("bart_lcsts", overrides(tmp_path, *SHORT)), False, False) == code
    errors = capfd.readouterr().err
    assert "no step was trained yet, so nothing was saved; start again with:" in errors and "--resume" not in errors
    command = errors.strip().splitlines()[-1]
    assert command == f"  python train.py --config {tmp_path}/run/config.yaml --overwrite"
    process = start_training(*shlex.split(command)[2:])
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert (tmp_path / "run" / "report.html").is_file() and "test" in output


def test_the_advice_in_python(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        send_when(patch, training_run.results, "first_results", signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as caught:
            paddle_ft.train("bart_lcsts", tiny_settings(tmp_path, *SHORT))
    _, advice = str(caught.value).split("start again with:\n  ")
    assert advice == f"paddle_ft.train('{tmp_path}/run/config.yaml', overwrite=True)"
    assert paddle_ft.train(f"{tmp_path}/run/config.yaml", overwrite=True).results["status"] == "finished"


def test_an_earlier_run_that_was_to_be_replaced_is_not_what_the_advice_continues(tmp_path, monkeypatch, capfd):
    config = load_config("bart_lcsts", overrides(tmp_path, *SHORT))
    before = training_run.train(config).results()
    capfd.readouterr()
    send_when(monkeypatch, training_run, "load_model", signal.SIGINT)
    assert training_run.run_training(config, False, True) == 130
    last_line = capfd.readouterr().err.splitlines()[-1]
    assert last_line == f"stopped by SIGINT; {training_run.NOT_STARTED}"
    assert paddle_ft.load_run(tmp_path / "run").results == before
