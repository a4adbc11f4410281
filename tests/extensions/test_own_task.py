"""Test a user's task on the command line: train, interrupt, resume, evaluate, predict, in two processes, and with several seeds."""

import json
import re
import shlex
import signal
import subprocess
import sys

import pytest

from tests.support.examples import (
    SHORT,
    copy_examples,
    environment,
    launch_commands,
    read_results,
    run_command,
    train_example,
)
from tests.support.paths import ROOT
from tests.support.processes import wait_for_step

FILES = ("my_task.py", "my_stars.yaml", "reviews.csv", "reviews-dev.csv")
EXCELLENT, AWFUL = "The battery is excellent.", "The battery is awful."


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with the run of the example, and what the training printed."""
    folder = copy_examples(tmp_path_factory.mktemp("task") / "mine", *FILES)
    return folder, train_example(folder, "my_task.py")


def test_its_figures_are_in_the_run_the_table_and_the_report(trained):
    folder, printed = trained
    results = read_results(folder)
    figures = [results[part]["validation"]["mae"] for part in ("before_training", "baseline", "metrics")]
    before, mean, after = figures
    assert after < mean < before, "it has not learned what words such as excellent stand for"
    assert results["task"] == "regression" and results["best"]["metric"] == "mae"
    (line,) = [line for line in printed.splitlines() if line.startswith("  mae ")]
    assert line.split() == ["mae", *(f"{value:.3f}" for value in (after, before, mean))]
    assert "<th>mean absolute error <small" in (folder / "run" / "report.html").read_text()


def test_it_evaluates_and_predicts(trained):
    folder, _ = trained
    command = ["-m", "paddle_ft", "evaluate", "run", "--import", "my_task", "--json"]
    evaluation = json.loads(run_command(folder, *command).stdout)
    assert evaluation["metrics"] == read_results(folder)["metrics"]["validation"]
    (folder / "new.txt").write_text(f"{EXCELLENT}\n{AWFUL}\n")
    command = ["-m", "paddle_ft", "predict", "run", "--import", "my_task", "--input", "new.txt"]
    excellent, awful = map(float, run_command(folder, *command).stdout.splitlines())
    assert excellent > 4 and awful < 2


@pytest.mark.parametrize("command", ["evaluate run", "predict run --input reviews.csv", "train --config run/config.yaml --resume"])
def test_without_the_import_the_task_is_named(trained, command):
    folder, _ = trained
    message = run_command(folder, "-m", "paddle_ft", *command.split(), exit_code=2).stderr
    assert message.startswith("error: task.name: 'regression' is not a task (run/config.yaml:")
    assert message.endswith("If this is a task of your own, name its module: --import MODULE.\n")
    (documented,) = re.findall(r"^error: .*?(?=^```)", (ROOT / "docs" / "extend.md").read_text(), re.MULTILINE | re.DOTALL)
    assert re.sub(r"\(.*:\d+\)", "", message).split() == re.sub(r"\(.*:\d+\)", "", documented).split(), "the page differs"


def test_check_works_with_it(trained):
    folder, _ = trained
    command = "train --import my_task --config my_stars.yaml --sample --check output_dir=checked device=cpu"
    printed = run_command(folder, "-m", "paddle_ft", *command.split()).stdout
    assert "2  The sound seems poor, I think." in printed and "check passed" in printed


@pytest.mark.slow
def test_an_interrupted_training_resumes_with_the_command_that_it_prints(tmp_path):
    folder = copy_examples(tmp_path / "mine", *FILES)
    ((*command,),) = launch_commands("my_task.py")
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *SHORT, "train.num_train_epochs=40"], cwd=folder, env=environment(folder),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_step(process, folder / "run", 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    last = errors.rstrip().splitlines()[-1]
    assert last.endswith("train.py --config run/config.yaml --resume --import my_task")
    resumed = run_command(folder, *shlex.split(last)[1:])  # without "python"
    assert "resuming at step" in resumed.stderr
    assert read_results(folder)["train"]["steps"] == 240


def test_processes_of_devices_import_it(tmp_path):
    folder = copy_examples(tmp_path / "mine", *FILES)
    train_example(folder, "my_task.py", "--devices", "cpu:2", "train.num_train_epochs=1")
    results = read_results(folder)
    assert results["train"]["processes"] == 2 and results["status"] == "finished"
    assert results["metrics"]["validation"]["mae"] < results["before_training"]["validation"]["mae"]


@pytest.mark.slow
def test_repeat_imports_it(tmp_path):
    folder = copy_examples(tmp_path / "mine", *FILES)
    command = ["repeat", "--import", "my_task", "--config", "my_stars.yaml", "--sample", "--seeds", "2", "train.num_train_epochs=1"]
    printed = run_command(folder, "-m", "paddle_ft", *command, *SHORT).stdout
    figures = json.loads((folder / "run" / "results.json").read_text())["runs"]["my_stars"]["validation"]["mae"]
    assert len(figures["values"]) == 2 and figures["baseline"] is not None
    assert "mean absolute error" in printed
