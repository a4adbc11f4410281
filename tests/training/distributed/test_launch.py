"""Test --devices, and trainings that are started by Paddle's own launcher."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_ft.runs.integrity import find_damage
from paddle_ft.system.errors import UserError
from paddle_ft.training import checkpoint
from paddle_ft.training.distributed import launch
from tests.support.paths import ROOT
from tests.support.processes import read_events, wait_for_step
from tests.support.tiny_runs import PLAIN, overrides


@pytest.mark.parametrize("text", ["cpu", "cpu:0", "a,b", "0,0", "0,,1", ""])
def test_devices_that_mean_nothing(text):
    with pytest.raises(UserError, match="give GPU numbers such as 0,1,2,3, or cpu:2"):
        launch.parse_devices(text)


def test_devices():
    assert launch.parse_devices("0,3") == ("gpu", ["0", "3"])
    assert launch.parse_devices("cpu:2") == ("cpu", ["0", "1"])


def test_gpus_are_refused_where_paddle_is_built_for_cpus(tmp_path):
    with pytest.raises(UserError) as error:
        launch.launch_processes("0,1", [], tmp_path)
    assert str(error.value) == (
        "--devices 0,1: these are GPUs, but the installed paddlepaddle is the CPU build. Use CPU processes"
        " (--devices cpu:2), or for the GPU build: make setup REQUIREMENTS=requirements-gpu.txt"
    )


@pytest.mark.parametrize("threads, expected", [("6", "3"), ("5", "5"), (None, "3")])
def test_processes_share_the_cores_unless_the_user_says_how_many_threads(threads, expected, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(launch, "available_cpus", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    code = launch.launch_processes("cpu:2", [sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"], tmp_path)
    assert (code, capfd.readouterr().out) == (0, f"{expected}\n")


@pytest.mark.slow
def test_one_device_is_trained_on_by_the_process_itself(tmp_path):
    """It must not start another process with the same arguments, which would start another one, and so on."""
    settings = overrides(tmp_path, "train.max_steps=2", "eval.before_training=false", "device=auto")
    program = (
        "import sys; from paddle_ft import cli; from paddle_ft.training.distributed import launch; launch.launch_processes = None;"
        " sys.exit(cli.main(sys.argv[1:], program='train.py'))"
    )
    command = [sys.executable, "-c", program, "train", "--config", "bart_lcsts", *settings]
    process = subprocess.run([*command, "--devices", "cpu:1"], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert not (tmp_path / "run" / "logs").exists()
    process = subprocess.run([*command, "--overwrite", "--devices", "0"], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 2
    assert "device: gpu is asked for, but the installed paddlepaddle is the CPU build" in process.stderr


def launchers(folder: Path, common: list[str], environments: list[dict[str, str]]) -> None:
    """Run two of Paddle's launchers with one process each, as on two machines. Both must succeed."""
    (folder / "pairs").mkdir()
    arguments = overrides(folder / "pairs", *PLAIN, "train.num_train_epochs=1", f"output_dir={folder / 'run'}")
    processes = []
    for number, environment in enumerate(environments):
        log = ["--nproc_per_node", "1", "--log_dir", str(folder / f"log{number}")]
        command = [sys.executable, "-m", "paddle.distributed.launch", *log]
        command += [*common, "train.py", "--config", "bart_lcsts", *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        processes.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    assert json.loads((folder / "run" / "results.json").read_text())["train"]["processes"] == 2


@pytest.mark.slow
def test_two_launchers_with_a_master(tmp_path):
    (port,) = launch._free_ports(1)
    launchers(tmp_path, ["--master", f"127.0.0.1:{port}", "--nnodes", "2"], [{}, {}])


@pytest.mark.slow
def test_paddles_launcher_which_repeats_a_signal_lets_all_save(tmp_path):
    log = ["--nproc_per_node", "2", "--log_dir", str(tmp_path / "log")]
    command = [sys.executable, "-m", "paddle.distributed.launch", *log, "train.py", "--config", "bart_lcsts"]
    command += overrides(tmp_path, *PLAIN, "train.num_train_epochs=5000", "eval.eval_steps=100000", "train.save_steps=100000")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    run = tmp_path / "run"
    wait_for_step(process, run, 5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=100)
    for rank in (0, 1):
        messages = (tmp_path / "log" / f"workerlog.{rank}").read_text()
        assert "stopped by SIGTERM; resume with:" in messages and "stopped immediately" not in messages
    assert find_damage(run / "last") is None
    steps = [event["step"] for event in read_events(run, "train")]
    assert checkpoint.read_state(run / "last")["step"] == steps[-1] >= 5


@pytest.mark.slow
def test_two_launchers_in_the_environment_of_a_paddlejob(tmp_path):
    """The environment is what paddle-operator sets in each pod. Here a pod is an address of this machine."""
    (port,) = launch._free_ports(1)
    endpoints = {"PADDLE_TRAINER_ENDPOINTS": f"127.0.0.1:{port},127.0.0.2:{port}", "PADDLE_TRAINERS": "127.0.0.1,127.0.0.2"}
    pods = [{**endpoints, "PADDLE_TRAINERS_NUM": "2", "PADDLE_TRAINER_ID": str(i), "POD_IP": f"127.0.0.{i + 1}",
             "TRAINING_ROLE": "TRAINER"} for i in range(2)]  # fmt: skip
    launchers(tmp_path, [], pods)
