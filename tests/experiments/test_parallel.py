"""Test several trainings at once, with small programs in their place, and two seeds of a real one."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.experiments import repeat
from paddle_ft.experiments.parallel import Job, run_jobs
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import refuse_other_config
from paddle_ft.system.errors import UserError
from paddle_ft.training.signals import Interrupted
from tests.support.processes import run_until_a_checkpoint
from tests.support.tiny_classification import ROWS, overrides

TOGETHER = """
import os, pathlib, sys, time
here = pathlib.Path(sys.argv[1])
(here / sys.argv[2]).write_text(" ".join([*sys.argv[3:], os.environ.get("OMP_NUM_THREADS", "")]))
while len(list(here.iterdir())) < 2: time.sleep(0.01)
print("both run")
"""
STOPPABLE = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
print("ready", flush=True)
time.sleep(60)
"""


def job(tmp_path, name, program, *arguments):
    return Job(name, [sys.executable, "-c", program, *map(str, arguments)], tmp_path / "logs" / f"{name}.log")


def test_as_many_as_there_are_devices_run_at_once(tmp_path, monkeypatch):
    """Each program waits for the other one, so that one after the other would never end."""
    monkeypatch.setattr("paddle_ft.experiments.parallel.available_cpus", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    here, done = tmp_path / "here", []
    here.mkdir()
    jobs = [job(tmp_path, name, TOGETHER, here, name) for name in ("a", "b")]
    assert run_jobs(jobs, "cpu:2", lambda: done.append(1)) == []
    assert len(done) == 2 and [one.last_line() for one in jobs] == ["both run"] * 2
    assert {(here / name).read_text() for name in ("a", "b")} == {"--devices cpu:1 3"}


def test_a_job_that_fails_does_not_stop_the_others(tmp_path):
    jobs = [job(tmp_path, "bad", "print('error: no such file'); raise SystemExit(2)"), job(tmp_path, "good", "print('done')")]
    assert run_jobs(jobs, "cpu:1", lambda: None) == jobs[:1]
    assert jobs[0].last_line() == "error: no such file" and jobs[1].last_line() == "done"


def test_there_may_be_more_devices_than_jobs(tmp_path):
    done = []
    assert run_jobs([job(tmp_path, "only", "print('done')")], "cpu:3", lambda: done.append(1)) == [] and done == [1]


def test_a_signal_stops_all_and_starts_no_other(tmp_path):
    jobs = [job(tmp_path, str(number), STOPPABLE) for number in range(3)]

    def stop():
        while not all(one.last_line() == "ready" for one in jobs[:2]):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    with pytest.raises(Interrupted) as caught:
        run_jobs(jobs, "cpu:2", lambda: None)
    assert caught.value.exit_code == 130 and not jobs[2].log.exists()


def test_devices_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(UserError, match="--devices 0,1: these are GPUs, but the installed paddlepaddle is the CPU build"):
        run_jobs([job(tmp_path, "a", "")], "0,1", lambda: None)


@pytest.mark.slow
def test_two_seeds_at_once_are_trained_once_and_one_that_fails_is_named(tmp_path):
    settings = overrides(tmp_path, ROWS)
    plans = repeat.make_plans(load_config, ["distilbert_sst2"], settings, 2)
    command = [sys.executable, "-m", "paddle_ft", "train"]
    text = repeat.run_plans_in_parallel(plans, "cpu:2", command, refuse_other_config)
    assert "distilbert_sst2, over 2 runs" in text
    assert all(RunDirectory(config.output_dir).is_finished() for config in plans[0].configs)
    again = repeat.run_plans_in_parallel(plans, "cpu:2", ["false"], refuse_other_config)  # nothing is started
    assert again == text
    broken = repeat.make_plans(load_config, ["distilbert_sst2"], [*settings, "data.train=nothing.tsv"], 3)[0]
    broken.configs, broken.overrides = broken.configs[2:], broken.overrides[2:]
    with pytest.raises(UserError, match=r"1 of 1 run has failed.*\n  seed 2024 of distilbert_sst2: .*nothing.tsv"):
        repeat.run_plans_in_parallel([broken], "cpu:1", command, refuse_other_config)


@pytest.mark.slow
def test_a_repetition_that_is_killed_goes_on_and_trains_no_finished_seed_again(tmp_path):
    settings = overrides(tmp_path, ROWS, "distilbert", "train.num_train_epochs=60", "train.save_steps=20")
    command = [sys.executable, "-m", "paddle_ft", "repeat", "--config", "distilbert_sst2", "--seeds", "2", *settings]
    runs = [RunDirectory(tmp_path / "run" / f"seed-{seed}") for seed in (2022, 2023)]
    run_until_a_checkpoint(command, runs[1].path)
    assert runs[0].is_finished() and not runs[1].is_finished() and runs[1].trained_steps() > 0
    before = (runs[0] / "results.json").stat().st_mtime_ns
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "seed 2022 (1 of 2) of distilbert_sst2: already finished" in done.stderr and "resuming at step" in done.stderr
    assert (runs[0] / "results.json").stat().st_mtime_ns == before and runs[1].is_finished()
    assert "distilbert_sst2, over 2 runs" in done.stdout
