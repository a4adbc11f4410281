"""Test that a training that is killed fifty times at random moments, also during saves, ends like one that is never killed."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.training import run as training_run
from tests.support.prepared import PreparedProcess
from tests.support.processes import computed_events, start_training
from tests.support.tiny_runs import overrides

LONG = ("train.num_train_epochs=1000", "train.save_steps=5", "eval.eval_steps=400", "eval.before_training=false",
        "data.limit_validation=2", "generation.num_beams=1", "train.keep_checkpoints=2", "train.train_batch_size=8")  # fmt: skip
KILLS = 50


@pytest.mark.slow
def test_fifty_kills(tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    uninterrupted = training_run.train(load_config("bart_lcsts", overrides(tmp_path / "whole", *LONG))).path

    run = tmp_path / "killed" / "run"
    rng, kills, finished = random.Random(5), 0, False
    command = ["--config", "bart_lcsts", *overrides(tmp_path / "killed", *LONG)]
    moments = set()
    while not finished:
        resume = ["--resume"] if (run / "config.yaml").exists() else []
        process = start_training(*command, *resume)
        if kills < KILLS:
            moments.add(kill_at_a_random_moment(process, run, rng))
            kills += 1
        _, errors = process.communicate(timeout=600)
        finished = process.returncode == 0
        assert finished or process.returncode == -signal.SIGKILL, errors
    assert kills == KILLS
    assert "in a save" in moments  # some kills came while a checkpoint was written
    assert computed_events(run) == computed_events(uninterrupted)
    for name in ("last/model.safetensors", "last/trainer/optimizer.safetensors", "best/model.safetensors"):
        assert (run / name).read_bytes() == (uninterrupted / name).read_bytes()
    leftovers = [path.name for path in run.iterdir() if path.name.startswith(".")]
    assert leftovers == [], leftovers
    shutil.rmtree(tmp_path)


def kill_at_a_random_moment(process: PreparedProcess, run: Path, rng: random.Random) -> str:
    """Kill the process, one time in five soon after its start, otherwise after a step, half of the time during a save."""
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0.5, 4))
        process.kill()
        return "at the start"
    size = (run / "metrics.jsonl").stat().st_size if (run / "metrics.jsonl").exists() else 0
    while process.poll() is None and not ((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size > size):
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.7))
    where = "between steps"
    if rng.random() < 0.5:
        deadline = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < deadline:
            if any(name.startswith(".last.") or name.startswith(".best.") for name in os.listdir(run)):
                time.sleep(rng.uniform(0, 0.02))
                where = "in a save"
                break
    process.kill()
    return where
