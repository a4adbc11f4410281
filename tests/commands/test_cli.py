"""The command line as a user meets it: real processes, exit codes, one clear message."""

import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


def run(*arguments: str, cwd=ROOT, environment=None, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120,
        env={**os.environ, **(environment or {})}, **kwargs,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.py", "--config", "bart_lcst"], "Did you mean bart_lcsts?"),
        (["train.py"], "--config is missing"),
        (["train.py", "--config", "bart_lcsts", "--foo"], "unrecognized arguments: --foo"),
        (["train.py", "--config", "bart_lcsts", "train.train_batch_size=-1"], "must be greater than or equal to 1"),
        (["train.py", "--config", "bart_lcsts", "--resume", "--overwrite"], "exclude each other"),
        (["train.py", "--config", "distilbert_sst2", "data.source=null", "data.train=no.tsv"], "data.train: no.tsv: no such file"),
        (["-m", "paddle_ft", "evaluat"], "Did you mean evaluate?"),
        (["-m", "paddle_ft", "evaluate", "nowhere"], "nowhere: this is not a run's directory"),
        (["-m", "paddle_ft", "report", "nowhere"], "nowhere: this is not a run's directory"),
        (["-m", "paddle_ft", "predict", "nowhere", "--input", "a.txt"], "nowhere: this is not a run's directory"),
    ],
)
def test_a_users_mistake_exits_with_2_and_one_message(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["train.py", "--help"], ["-m", "paddle_ft", "--help"], ["-m", "paddle_ft", "predict", "-h"]])
def test_help(arguments):
    done = run(*arguments)
    assert done.returncode == 0
    assert "usage:" in done.stdout


def test_help_print_config_and_errors_import_no_framework():
    """What must answer within a second must not load paddle: shown by the modules, not by a clock."""
    program = (
        "import sys; from paddle_ft.cli import main\n"
        "for argv in (['train', '--help'], ['train', '--config', 'bart_lcsts', '--print-config'], ['train', '--config', 'x']):\n"
        "    try: main(argv)\n"
        "    except SystemExit: pass\n"
        "heavy = [m for m in ('paddle', 'paddlenlp', 'matplotlib', 'wandb', 'datasets') if m in sys.modules]\n"
        "assert heavy == [], heavy"
    )
    done = run("-c", program)
    assert done.returncode == 0, done.stderr


def test_a_missing_dependency_is_named_with_the_remedy(tmp_path):
    (tmp_path / "pydantic.py").write_text("raise ModuleNotFoundError(\"No module named 'pydantic'\", name='pydantic')")
    done = run("train.py", "--config", "bart_lcsts", environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "error: the package pydantic is not installed" in done.stderr
    assert "make setup" in done.stderr


def test_a_folder_that_may_not_be_entered_is_named(tmp_path):
    program = (
        "import os, sys; from paddle_ft import cli\n"
        "from paddle_ft.commands import report\n"
        "def refuse(options): raise PermissionError(13, 'Permission denied', '/locked/run')\n"
        "report.run = refuse\n"
        "sys.exit(cli.main(['report', 'x']))"
    )
    done = run("-c", program)
    assert done.returncode == 2
    assert done.stderr == "error: /locked/run: Permission denied.\n"


def test_flags_are_not_guessed_from_their_first_letters():
    done = run("train.py", "--config", "bart_lcsts", "--over")
    assert done.returncode == 2
    assert "unrecognized arguments: --over" in done.stderr
