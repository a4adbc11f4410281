"""Test that two CPU processes over gloo give the same figures as one process, with real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World
from paddle_ft.training import checkpoint
from paddle_ft.training import run as training_run
from paddle_ft.training.distributed import launch
from tests.support import tiny_classification
from tests.support.processes import read_events, start_training, wait_for_step
from tests.support.tiny_runs import PLAIN, overrides


def run_two(folder: Path, *settings: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    arguments = overrides(folder, *PLAIN, *settings)
    process = start_training("--config", "bart_lcsts", "--devices", "cpu:2", *flags, *arguments, cwd=folder)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_two_processes_compute_what_one_does_with_the_doubled_batch(tmp_path):
    """Rows have different lengths, so that an average of averages would differ. One step has a batch for one process only."""
    settings = ("train.num_train_epochs=2", "data.limit_train=7")
    two_processes = tmp_path / "two"
    completed = run_two(two_processes, "train.train_batch_size=2", *settings)
    assert completed.returncode == 0, completed.stderr
    one_process = tmp_path / "one"
    training_run.train(load_config("bart_lcsts", overrides(one_process, *PLAIN, "train.train_batch_size=4", *settings)))
    for name in ("loss", "grad_norm"):
        figures = [[event[name] for event in read_events(folder / "run", "train")] for folder in (two_processes, one_process)]
        np.testing.assert_allclose(figures[0], figures[1], rtol=2e-4)
    results = [json.loads((path / "run" / "results.json").read_text()) for path in (two_processes, one_process)]
    assert results[0]["metrics"]["test"]["loss"] == pytest.approx(results[1]["metrics"]["test"]["loss"], rel=2e-4)
    assert results[0]["train"]["processes"] == 2
    predictions = [
        [json.loads(line)["source"] for line in (path / "run" / "predictions-test.jsonl").read_text().splitlines()]
        for path in (two_processes, one_process)
    ]
    assert predictions[0] == predictions[1]  # gathered in the order of the rows
    assert "sample" not in completed.stderr and completed.stdout.count("report   ") == 1  # only rank 0 prints


def test_two_processes_share_the_evaluation_of_a_language_model(tmp_path):
    """One process evaluates three of five texts, the other one two. The figures must be those of all five."""
    texts = ["The good film.", "A bad one, and long.", "Good.", "The film is not good, nor is the other.", "Not bad at all!"]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    data = [f"data.{split}={tmp_path / 'texts.jsonl'}" for split in ("train", "validation", "test")]
    sizes = "{hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64, max_position_embeddings: 64}"
    settings = ["device=cpu", "model.pretrained=null", f"model.config={sizes}", "data.source=null", *data, "data.cache=false",
                "task.max_text_length=48", "train.max_steps=1", "train.logging_steps=1", "eval.bootstrap_samples=100",
                "eval.eval_batch_size=2"]  # fmt: skip
    two_processes, one_process = runs = tmp_path / "two", tmp_path / "one"
    arguments = ["--config", "gpt2_booksum", "--devices", "cpu:2", f"output_dir={two_processes}", *settings]
    process = start_training(*arguments, cwd=tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    training_run.train(load_config("gpt2_booksum", [f"output_dir={one_process}", *settings]))
    results, expected = [json.loads((run / "results.json").read_text()) for run in runs]
    assert results["baseline"] == expected["baseline"]
    for split in ("validation", "test"):
        figures = results["before_training"][split]
        assert figures["tokens"] == expected["before_training"][split]["tokens"] == 98
        assert figures["loss"] == pytest.approx(expected["before_training"][split]["loss"], abs=2e-6)
        assert figures["accuracy"] == expected["before_training"][split]["accuracy"]
        assert figures["perplexity_ci"] == pytest.approx(expected["before_training"][split]["perplexity_ci"], rel=1e-5)
    rows = [[json.loads(line) for line in (run / "predictions-test.jsonl").read_text().splitlines()] for run in runs]
    assert [row["source"] for row in rows[0]] == [row["source"] for row in rows[1]]
    assert [row["tokens"] for row in rows[0]] == [row["tokens"] for row in rows[1]] and len(rows[0]) == 5


@pytest.mark.slow
def test_two_processes_train_the_lstm_head(tmp_path):
    """The LSTM has a buffer that is not initialised before the first pass."""
    settings = tiny_classification.overrides(tmp_path, tiny_classification.ROWS, "distilbert", "model.pooling=lstm_attention",
                                             "train.max_steps=2", "eval.before_training=false")  # fmt: skip
    process = start_training("--config", "distilbert_sst2", "--devices", "cpu:2", *settings, cwd=tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert len(read_events(tmp_path / "run", "train")) == 2


LONG = ("train.num_train_epochs=40", "eval.eval_steps=1000", "data.limit_validation=2", "data.limit_test=2")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return the folder of an uninterrupted run of two processes."""
    folder = tmp_path_factory.mktemp("whole")
    assert run_two(folder, *LONG).returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "stage1", "stage2", "stage3"])
def test_stop_and_resume_with_two_processes(tmp_path, uninterrupted, sharding):
    """The results are those of the uninterrupted run without sharding, to the bit."""
    stopped = tmp_path / "stopped"
    settings = overrides(stopped, *PLAIN, *LONG, f"train.sharding={sharding}")
    process = start_training("--config", "bart_lcsts", "--devices", "cpu:2", *settings, cwd=stopped)
    run = stopped / "run"
    wait_for_step(process, run, 5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert f"--config {run}/config.yaml --resume --devices cpu:2\n" in errors
    assert 5 <= checkpoint.read_state(run / "last")["step"] < 40

    with pytest.raises(UserError, match="the run was trained by 2 processes, now there is 1"):
        training_run.train(load_config(str(run / "config.yaml")), resume=True)
    resumed = start_training("--config", str(run / "config.yaml"), "--resume", "--devices", "cpu:2", cwd=stopped)
    _, errors = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, errors
    assert [e["loss"] for e in read_events(run, "train")] == [e["loss"] for e in read_events(uninterrupted / "run", "train")]
    assert (run / "last/model.safetensors").read_bytes() == (uninterrupted / "run/last/model.safetensors").read_bytes()


def test_a_killed_process_ends_the_others_and_is_named(tmp_path):
    process = start_training("--config", "bart_lcsts", "--devices", "cpu:2",
                             *overrides(tmp_path, *PLAIN, "train.num_train_epochs=5000", "eval.eval_steps=100000"),
                             cwd=tmp_path)  # fmt: skip
    run = tmp_path / "run"
    wait_for_step(process, run, 3)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    ranks = {pid: Path(f"/proc/{pid}/environ").read_bytes().split(b"PADDLE_TRAINER_ID=")[1][:1] for pid in children}
    os.kill(int(next(pid for pid, rank in ranks.items() if rank == b"1")), signal.SIGKILL)
    killed_at = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - killed_at < 30
    assert process.returncode == 1
    assert "error: process 1 of 2 was ended by signal 9; the others were stopped." in errors
    assert "Traceback" not in errors
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


LATE = """
import os, time
from paddle_ft.training.distributed.process_group import init_world

world = init_world()
for operation in (world.barrier, lambda: world.all_reduce([1.0]), lambda: world.all_gather([world.rank], 2)):
    if world.rank == 1:
        time.sleep(32)  # gloo itself gives up after 30 seconds
    result = operation()
assert result == [0, 1]
if world.is_main:
    time.sleep(1)
os._exit(0)
"""


@pytest.mark.slow
def test_a_process_may_be_late(tmp_path):
    """A process may download a model or write a checkpoint for minutes while the others wait."""
    code = launch.launch_processes("cpu:2", [sys.executable, "-c", LATE], tmp_path / "logs")
    assert code == 0, (tmp_path / "logs" / "rank-1.log").read_text()


def test_rows_are_shared_out_completely():
    worlds = [World() for _ in range(3)]
    for rank, world in enumerate(worlds):
        world.rank, world.world_size = rank, 3
    assert sorted(np.concatenate([world.shard_indices(8) for world in worlds]).tolist()) == list(range(8))
