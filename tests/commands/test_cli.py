"""Test the command line in real processes: exit codes, one clear message, modules of --import."""

import os
import signal
import subprocess
import sys

import pytest

from paddle_ft import cli
from paddle_ft.commands import command_names, evaluate, train
from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.system import runtime
from paddle_ft.training.run import continuation_hint
from paddle_ft.training.signals import Interrupted
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
        (["train.py", "--confg", "bart_lcsts"], "unrecognized arguments: --confg. Did you mean --config? See python train.py"),
        (["train.py", "--config=bart_lcsts", "--sampel"], "Did you mean --sample?"),
        (["train.py", "--config", "bart_lcsts", "train.train_batch_size=-1"], "must be greater than or equal to 1"),
        (["train.py", "--config", "bart_lcsts", "--resume", "--overwrite"], "exclude each other"),
        (["train.py", "--config", "distilbert_sst2", "data.source=null", "data.train=no.tsv"], "data.train: no.tsv: no such file"),
        (["-m", "paddle_ft", "evaluat"], "Did you mean evaluate?"),
        (["-m", "paddle_ft", "evaluate", "nowhere"], "nowhere: this is not the directory of a run"),
        (["-m", "paddle_ft", "report", "nowhere"], "nowhere: this is not the directory of a run"),
        (["-m", "paddle_ft", "predict", "nowhere", "--input", "a.txt"], "nowhere: this is not the directory of a run"),
    ],
)
def test_a_users_mistake_exits_with_2_and_one_message(arguments, message):
    process = run(*arguments)
    assert process.returncode == 2, process.stderr
    assert message in process.stderr
    assert process.stderr.startswith("error: ")
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "bart_lcsts", "output_dir={run}"], "{run} already contains a run. Use --resume"),
        (["--config", "{run}/config.yaml", "--resume", "train.weight_decay=0.5"], "train.weight_decay: 0.01 then, 0.5 now"),
        (["--config", "bart_lcsts", "output_dir={run}/none", "--resume"], "contains no run to continue"),
        (["--config", "bart_lcsts", "output_dir={run}/plots", "--overwrite"], "contains files but no run of paddle_ft"),
    ],
)
def test_a_directory_that_cannot_be_used_is_refused_before_paddle_is_imported(tmp_path, arguments, message):
    """The import takes seconds, so the program is run with a paddle that cannot be imported."""
    (tmp_path / "run" / "plots").mkdir(parents=True)
    (tmp_path / "run" / "plots" / "a.png").touch()
    (tmp_path / "run" / "config.yaml").write_text(to_yaml(load_config("bart_lcsts", [f"output_dir={tmp_path / 'run'}"])))
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "paddle.py").write_text("raise SystemExit('paddle was imported')\n")
    arguments = [argument.format(run=tmp_path / "run") for argument in arguments]
    environment = {"PYTHONPATH": str(tmp_path / "stub")}
    process = run("train.py", *arguments, environment=environment)
    assert process.returncode == 2, process.stderr
    assert message.format(run=tmp_path / "run") in process.stderr
    process = run("train.py", "--config", "bart_lcsts", f"output_dir={tmp_path}/new", environment=environment)
    assert process.stderr.endswith("paddle was imported\n"), "the stub must be what is imported"


@pytest.mark.parametrize("arguments", [["train.py", "--help"], ["-m", "paddle_ft", "--help"], ["-m", "paddle_ft", "predict", "-h"]])
def test_help(arguments):
    process = run(*arguments)
    assert process.returncode == 0
    assert "usage:" in process.stdout


def test_help_print_config_and_errors_import_no_framework():
    """These commands must not import paddle, so that they answer at once."""
    program = (
        "import sys; from paddle_ft.cli import main\n"
        "main(['--help']); assert 'numpy' not in sys.modules, 'not even NumPy for the list of commands'\n"
        "from paddle_ft.commands import command_names\n"
        "def light(argv, *banned):\n"
        "    try: main(argv)\n"
        "    except SystemExit: pass\n"
        "    assert not (loaded := [m for m in banned if m in sys.modules]), (argv, loaded)\n"
        "for name in sorted(command_names(), key='generate'.__eq__):\n"  # last, as it asks the tasks for their flags
        "    few = () if name == 'generate' else ('numpy', 'pydantic', 'yaml', 'tqdm')\n"
        "    light([name, '--help'], 'requests', 'pandas', 'paddle', *few)\n"
        "for argv in (['train', '--config', 'bart_lcsts', '--print-config'], ['train', '--config', 'x'],\n"
        "             ['study', '--list'], ['study', 'noise', '--print'], ['study', 'nois']):\n"
        "    try: main(argv)\n"
        "    except SystemExit: pass\n"
        "heavy = [m for m in ('paddle', 'paddlenlp', 'matplotlib', 'wandb', 'datasets') if m in sys.modules]\n"
        "assert heavy == [], heavy"
    )
    process = run("-c", program)
    assert process.returncode == 0, process.stderr


PRESS = "import os, signal, sys\ntry: os.kill(os.getpid(), signal.SIGINT)\n"
STOPPED = "\nstopped; no training was running, so nothing is lost\n"
IMPORTS = {
    "as libpaddle.so": "except KeyboardInterrupt as interrupt:\n    sys.stderr.write('Error: Can not import paddle core\\n')\n"
                       "    raise ImportError('initialization failed') from interrupt\n",
    "as another error": "except BaseException: pass\nraise SystemError('an extension has not seen the interrupt')\n",
    "lost where nothing can be raised": "finally: pass\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", IMPORTS)
def test_ctrl_c_while_paddle_is_imported_is_one_line(tmp_path, kind):
    """A signal during the import cannot be timed, so the paddle here interrupts itself, and goes on as libraries do."""
    press = "import os, signal\nclass A:\n    def __del__(self): os.kill(os.getpid(), signal.SIGINT); print(end='')\nA()\ntry: 1\n"
    (tmp_path / "paddle.py").write_text((press if "nothing can" in kind else PRESS) + IMPORTS[kind])
    (tmp_path / "paddlenlp" / "utils").mkdir(parents=True)
    (tmp_path / "paddlenlp" / "utils" / "log.py").write_text("import types\nlogger = types.SimpleNamespace()\n")
    process = run("train.py", "--config", "bart_lcsts", "--sample", "--check", environment={"PYTHONPATH": str(tmp_path)})
    assert (process.returncode, process.stderr) == (130, f"loading Paddle ...\n{STOPPED}")


@pytest.mark.parametrize(("command", "said"), [
    ("serve", ""), ("demo", ""), ("evaluate", ""), ("export", "; no export was written, and one that was there stays as it was"),
])  # fmt: skip
def test_ctrl_c_says_nothing_of_trainings_where_none_can_run(monkeypatch, capsys, command, said):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.find_command(command), "run", interrupt)
    flags = ["--to", "hf"] if command == "export" else []
    assert cli.main([command, "x", *flags]) == 130
    assert capsys.readouterr().err == f"\nstopped{said}\n"


@pytest.mark.parametrize("start", [["train.py"], ["-m", "paddle_ft"], ["-m", "convert", "inspect", "x"]])
def test_ctrl_c_before_the_command_line_is_imported_prints_nothing(tmp_path, start):
    (tmp_path / "argparse.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    process = run(*start, environment={"PYTHONPATH": str(tmp_path)})
    assert (process.returncode, process.stdout + process.stderr) == (-signal.SIGINT, "")


def test_a_program_in_the_background_does_not_begin_to_listen_to_ctrl_c(tmp_path):
    """The shell starts it with the signal ignored."""
    (tmp_path / "argparse.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)\nexit()\n"
    )
    command = f"trap '' INT; '{sys.executable}' -m paddle_ft"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")


@pytest.mark.parametrize(("flags", "expected"), [([], "loading Paddle ...\n"), (["--json"], "")])
def test_that_paddle_is_loaded_is_said_unless_the_output_is_json(monkeypatch, capsys, flags, expected):
    monkeypatch.setattr(evaluate, "run", lambda options: runtime.say_loading() or 0)
    assert cli.main(["evaluate", "x", *flags]) == 0
    assert tuple(capsys.readouterr()) == ("", expected)


def test_a_missing_dependency_is_named_with_the_remedy(tmp_path):
    (tmp_path / "pydantic.py").write_text("raise ModuleNotFoundError(\"No module named 'pydantic'\", name='pydantic')")
    process = run("train.py", "--config", "bart_lcsts", environment={"PYTHONPATH": str(tmp_path)})
    assert process.returncode == 2
    assert "error: the package pydantic is not installed" in process.stderr
    assert "make setup" in process.stderr


def test_a_folder_that_may_not_be_entered_is_named(tmp_path):
    program = (
        "import os, sys; from paddle_ft import cli\n"
        "from paddle_ft.commands import report\n"
        "def refuse(options): raise PermissionError(13, 'Permission denied', '/locked/run')\n"
        "report.run = refuse\n"
        "sys.exit(cli.main(['report', 'x']))"
    )
    process = run("-c", program)
    assert process.returncode == 2
    assert process.stderr == "error: /locked/run: Permission denied.\n"


def test_flags_are_not_guessed_from_their_first_letters():
    process = run("train.py", "--config", "bart_lcsts", "--over")
    assert process.returncode == 2
    assert "unrecognized arguments: --over" in process.stderr


# ---------------------------------------------------------------------------------------------------- --import
MY_TASK = """
from paddle_ft.tasks.base import Flag
from paddle_ft.tasks.causal_lm import CausalLM

class Haiku(CausalLM):
    name = "haiku"
    generation_flags = (Flag("season", str, "NAME", "season to write about"),)

TASK = Haiku
"""


def test_what_a_users_module_defines_is_offered(tmp_path):
    (tmp_path / "my_task.py").write_text(MY_TASK)
    environment = {"PYTHONPATH": str(ROOT)}
    process = run("-m", "paddle_ft", "generate", "--import", "my_task", "--help", cwd=tmp_path, environment=environment)
    assert process.returncode == 0, process.stderr
    assert "for runs of haiku" in process.stdout and "--season NAME" in process.stdout
    assert "--season" not in run("-m", "paddle_ft", "generate", "--help").stdout


@pytest.mark.parametrize("name", command_names())
def test_every_command_takes_modules(name):
    process = run("-m", "paddle_ft", name, "--import", "no_such_module")
    assert process.returncode == 2
    assert process.stderr.startswith("error: --import no_such_module: the module cannot be imported"), process.stderr


def test_a_process_of_a_device_gets_the_same_flags():
    parser = cli.Parser()
    train.add_arguments(parser)
    cli._add_import_flag(parser)
    arguments = ["--config", "bart_lcsts", "seed=3", "--sample", "--overwrite", "--import", "one", "--import", "two.three"]
    options = parser.parse_intermixed_args([*arguments, "--devices", "cpu:2"])
    command = train._worker_command(options)
    assert command[:4] == [sys.executable, "-m", "paddle_ft", "train"]
    assert vars(parser.parse_intermixed_args(command[4:])) == vars(options) | {"devices": None}


def test_the_command_that_resumes_a_run_names_the_modules(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_DEVICES", "cpu:2")
    config = load_config("bart_lcsts", [f"output_dir={tmp_path}"])
    assert "nothing was written" in continuation_hint(config, ["my_task"], Interrupted(2))
    (tmp_path / "last").mkdir()
    assert "nothing was written" in continuation_hint(config, ["my_task"], Interrupted(2)), "last/ is an earlier run's"
    command = f"python train.py --config {tmp_path / 'config.yaml'} --resume --devices cpu:2 --import my_task"
    hint = continuation_hint(config, ["my_task"], Interrupted(2, has_directory=True))
    assert hint == f"resume with:\n  {command}"
    page = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    assert f"The command that is printed after `{hint.splitlines()[0]}` repeats it." in page
