"""Test paddle_ft.train: overrides as Python values, interruptions, threads, and several trainings in one process."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import paddle_ft
from paddle_ft.config.load import load_config
from tests.support.paths import ROOT
from tests.support.processes import read_events
from tests.support.tiny_recipes import tiny_settings
from tests.support.tiny_runs import read_weights


def test_the_import_takes_no_time():
    code = "import sys, paddle_ft, convert; print(sorted({'paddle', 'numpy', 'pydantic', 'paddlenlp'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_every_public_name_can_be_imported():
    for module in (paddle_ft, importlib.import_module("convert")):
        assert set(module.__all__) <= set(dir(module))
        assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = paddle_ft.nothing


# ---------------------------------------------------------------------------------------------------- overrides
def test_python_values_are_overrides(tmp_path):
    overrides = {
        "data.source": None,
        "data.train": tmp_path / "a.tsv",
        "data.columns": {"source": 1, "target": 0},
        "train.use_amp": True,
        "train.learning_rate": np.float64(1e-4),
        "train.train_batch_size": np.int64(3),
        "model.lora": {"rank": 2, "targets": ("q_proj", "v_proj")},
        "model.lora.alpha": 4,
    }
    config = load_config("bart_lcsts", overrides)
    assert config.data.source is None and config.data.train == str(tmp_path / "a.tsv")
    assert config.train.use_amp is True and config.train.learning_rate == 1e-4 and config.train.train_batch_size == 3
    assert config.model.lora.rank == 2 and config.model.lora.targets == ["q_proj", "v_proj"] and config.model.lora.alpha == 4
    assert overrides["model.lora"] == {"rank": 2, "targets": ("q_proj", "v_proj")}  # a user's object is not changed


@pytest.mark.parametrize(("overrides", "message"), [
    ({"train.learning_rate": "3e-5"}, r"train.learning_rate: '3e-5' is not allowed \(overrides: {'train.learning_rate': '3e-5'}\)"),
    ({"train.use_amp": 1}, "must be true or false"),
    ({"train.lerning_rate": 1.0}, "there is no such key .*Did you mean train.learning_rate"),
    ({"train learning rate": 1.0}, "'train learning rate' is not a key"),
    ({3: 1.0}, "3 is not a key"),
    ("train.learning_rate=1", "is no mapping"),
])  # fmt: skip
def test_a_wrong_override_is_explained(overrides, message):
    with pytest.raises(paddle_ft.UserError, match=message):
        paddle_ft.train("bart_lcsts", overrides)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"config": "bart_lcst"}, "config bart_lcst: there is no such recipe. Did you mean bart_lcsts"),
    ({"config": "x.yaml"}, "x.yaml: there is no such file"),
    ({"config": "bart_lcsts", "resume": True, "overwrite": True}, "resume and overwrite exclude each other"),
    ({"config": "bart_lcsts", "imports": ["no_such_module"]}, "no_such_module: the module cannot be imported"),
])  # fmt: skip
def test_wrong_arguments_are_explained(arguments, message):
    with pytest.raises(paddle_ft.UserError, match=message):
        paddle_ft.train(**arguments)


def test_a_process_of_a_launcher_is_sent_to_the_command_line(monkeypatch):
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    with pytest.raises(paddle_ft.UserError, match="train runs in a single process. Use the command line"):
        paddle_ft.train("bart_lcsts")


# ---------------------------------------------------------------------------------------------------- trainings
def test_a_second_training_in_a_thread_is_the_same(tmp_path):
    """Without a main thread there are no signals, and nothing of the first training changes the second."""
    settings = tiny_settings(tmp_path, "train.max_steps=2")
    first = paddle_ft.train("bart_lcsts", settings)
    assert first.results["status"] == "finished" and first.config.train.max_steps == 2
    runs = []
    thread = threading.Thread(
        target=lambda: runs.append(paddle_ft.train("bart_lcsts", {**settings, "output_dir": tmp_path / "second"}))
    )
    thread.start()
    thread.join(timeout=200)
    assert read_weights(runs[0].path / "best") == read_weights(first.path / "best")
    with pytest.raises(paddle_ft.UserError, match="already contains a run. Use resume=True to continue it, overwrite=True to"):
        paddle_ft.train("bart_lcsts", settings)


@pytest.fixture
def handled():
    """Install handlers as a user's program may. Return the signals that they got."""
    numbers = []
    before = {number: signal.signal(number, lambda got, _: numbers.append(got)) for number in (signal.SIGINT, signal.SIGTERM)}
    own = [signal.getsignal(number) for number in before]
    yield numbers
    assert [signal.getsignal(number) for number in before] == own, "a training has left its handlers behind"
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted_training(folder: Path, number: int) -> str:
    """Start a long training in this process, and send a signal after its third step. Return the message of the interruption."""
    settings = tiny_settings(folder, "train.max_steps=5000", "eval.before_training=false", "generation.num_beams=1")

    def send() -> None:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            if (folder / "run" / "metrics.jsonl").exists() and len(read_events(folder / "run", "train")) >= 3:
                break
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(KeyboardInterrupt) as interruption:
        paddle_ft.train("bart_lcsts", settings)
    sender.join()
    return str(interruption.value)


def test_ctrl_c_saves_and_says_how_to_resume(tmp_path, handled, capfd):
    message = interrupted_training(tmp_path, signal.SIGINT)
    config_file = str(tmp_path / "run" / "config.yaml")
    assert message == f"stopped and saved; resume with:\n  paddle_ft.train({config_file!r}, resume=True)"
    assert "stopping: saving a checkpoint first" in capfd.readouterr().err
    assert handled == []
    last_step = read_events(tmp_path / "run", "train")[-1]["step"]
    assert json.loads((tmp_path / "run/last/trainer/state.json").read_text())["step"] == last_step
    with pytest.raises(paddle_ft.UserError, match="train.max_steps: 5000 then, 6 now"):  # it is found, with its settings
        paddle_ft.train(config_file, {"train.max_steps": 6}, resume=True)
    assert paddle_ft.load_run(tmp_path / "run").predict([]) == []


def test_sigterm_saves_and_is_passed_on_to_the_program(tmp_path, handled, capfd):
    message = interrupted_training(tmp_path, signal.SIGTERM)
    assert message in capfd.readouterr().out
    assert handled == [signal.SIGTERM]
    assert (tmp_path / "run" / "last" / "model.safetensors").is_file()
