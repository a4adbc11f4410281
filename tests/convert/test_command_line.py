"""Test the exit codes and messages of `python -m convert`, and that its help imports nothing heavy."""

import json
import os
import re
import subprocess
import sys

import pytest
from tqdm import tqdm

import convert
from convert.__main__ import TASKS, main
from convert.errors import is_interrupt
from convert.families import load_families
from convert.parity import INSTALL_TORCH
from convert.progress import bar_settings
from tests.support.paths import ROOT


def test_help_imports_nothing_but_the_standard_library():
    code = (
        "import sys; before = set(sys.modules); import convert.__main__ as m; m.build_parser().format_help();"
        "print({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "{'convert'}"


@pytest.mark.parametrize("verb", ["to-paddle", "to-hf", "verify", "inspect"])
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and verb in help_text
    description = help_text.split("positional arguments:")[0]
    assert "checkpoint" in description, "the help of a verb says what the verb does"
    for flag in ("--dtype", "--format", "--task", "--revision"):
        assert flag not in description or "default" in help_text.rsplit(flag, 1)[1].split(" --")[0]


def test_a_misspelt_flag_is_answered_with_the_flag_of_the_verb(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["to-paddle", "a", "b", "--dtyp=float16", "--formt=both"])
    assert stop.value.code == 2
    assert "convert to-paddle: error: unrecognized arguments: --formt=both. Did you mean --format?" in capsys.readouterr().err


def test_the_progress_in_a_log_file_is_lines(capsys):
    """The bar is updated by hand here, because a fixture is written in less time than the bar waits before its first line."""
    with tqdm(total=4, unit="B", desc="converting", **{**bar_settings(), "delay": 0.0, "mininterval": 0.0}) as bar:
        bar.update(2)
        bar.update(2)
    lines = capsys.readouterr().err
    assert "\r" not in lines and "\x1b" not in lines
    assert lines.splitlines()[-1].startswith("converting: 4/4B, 100 %")


def test_a_short_conversion_prints_no_progress_into_a_log_file(checkpoints, tmp_path):
    command = [sys.executable, "-m", "convert", "to-paddle", str(checkpoints("gpt2/base")), str(tmp_path / "paddle")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


def test_convert_inspect_verify_and_convert_back(checkpoints, tmp_path, capsys):
    source, paddle, back = str(checkpoints("gpt2/causal_lm")), str(tmp_path / "paddle"), str(tmp_path / "back")
    assert main(["to-paddle", source, paddle]) == 0
    assert "load it with GPTForCausalLM.from_pretrained" in capsys.readouterr().out
    assert main(["inspect", paddle]) == 0
    assert "layout       Paddle" in capsys.readouterr().out
    assert main(["verify", source, paddle]) == 0
    assert "equal: no difference above 5e-05" in capsys.readouterr().out
    assert main(["to-hf", paddle, back]) == 0
    assert "load it with GPT2LMHeadModel.from_pretrained" in capsys.readouterr().out


def test_a_difference_is_exit_code_1(checkpoints, tmp_path, capsys):
    assert main(["to-paddle", str(checkpoints("gpt2/causal_lm")), str(tmp_path / "paddle"), "--dtype", "bfloat16"]) == 0
    assert main(["verify", str(checkpoints("gpt2/causal_lm")), str(tmp_path / "paddle")]) == 1
    assert "DIFFERENT: first beyond 5e-05 is drop" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["to-paddle", "inspect"])
def test_a_task_that_the_family_lacks_is_exit_code_2_and_names_those_it_has(verb, checkpoints, tmp_path, capsys):
    destination = [str(tmp_path / "paddle")] if verb == "to-paddle" else []
    assert main([verb, str(checkpoints("gpt2/causal_lm")), *destination, "--task", "seq2seq"]) == 2
    assert "gpt2 has no task 'seq2seq' in both libraries; it has: base, causal_lm" in capsys.readouterr().err


@pytest.fixture
def no_hub(monkeypatch):
    """Fail the test if a checkpoint is looked for on the hub."""

    def download(name, *_):
        raise AssertionError(f"{name} would be downloaded")

    monkeypatch.setattr("convert.hub._download", download)


@pytest.mark.parametrize("verb", ["to-paddle", "to-hf", "inspect"])
def test_a_task_that_no_family_has_is_refused_before_any_download(verb, no_hub, tmp_path, capsys):
    destination = [] if verb == "inspect" else [str(tmp_path / "converted")]
    assert main([verb, "facebook/bart-base", *destination, "--task", "sumarization"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: --task sumarization: there is no such task; choose from: auto, ")
    assert set(message.rstrip().split(": ")[-1].split(", ")) == {"auto", *TASKS.split(", ")}
    with pytest.raises(convert.ConvertError, match="--task sumarization: there is no such task"):
        convert.cached("facebook/bart-base", task="sumarization")


def test_the_help_lists_the_tasks_of_all_families():
    assert sorted(TASKS.split(", ")) == sorted({task.name for family in load_families().values() for task in family.tasks})


def test_a_task_of_a_users_family_is_known(checkpoints, tmp_path, monkeypatch, capsys):
    (tmp_path / "tagging_family.py").write_text(
        "from dataclasses import replace\nfrom convert.families.gpt2 import FAMILIES as OURS\n"
        "FAMILIES = tuple(replace(family, model_type='my_gpt', tasks=[replace(task, name='tagging') for task in family.tasks])\n"
        "                 for family in OURS)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    command = ["inspect", str(checkpoints("gpt2/causal_lm")), "--task", "tagging"]
    assert main(command) == 2 and "--task tagging: there is no such task" in capsys.readouterr().err
    assert main([*command, "--import", "tagging_family"]) == 2
    assert "gpt2 has no task 'tagging' in both libraries" in capsys.readouterr().err, "known, but not a task of gpt2"


def test_an_error_is_exit_code_2_and_one_message(checkpoints, tmp_path, capsys):
    assert main(["to-paddle", str(tmp_path), str(tmp_path / "paddle")]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {tmp_path / 'config.json'}: not found\n" and captured.out == ""


def test_a_terminal_that_cannot_show_a_name_gets_its_escapes(checkpoints, tmp_path):
    command = [sys.executable, "-m", "convert", "to-paddle", str(checkpoints("distilbert/base")), str(tmp_path / "目标")]
    result = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False)
    assert result.returncode == 0 and b"\\u76ee\\u6807" in result.stdout and (tmp_path / "目标").is_dir()


def test_verify_without_torch_says_what_to_install(checkpoints, tmp_path, capsys, monkeypatch):
    import shutil

    monkeypatch.setattr("convert.parity.torch_is_installed", lambda: False)
    shutil.copytree(checkpoints("gpt2/causal_lm"), tmp_path / "source")
    (tmp_path / "source" / "reference_outputs.safetensors").unlink()
    assert main(["to-paddle", str(tmp_path / "source"), str(tmp_path / "paddle")]) == 0
    assert main(["verify", str(tmp_path / "source"), str(tmp_path / "paddle")]) == 2
    assert INSTALL_TORCH in capsys.readouterr().err
    extra = re.search(r"^verify = (.*)$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert " ".join(["pip install", *(f"'{package}'" for package in json.loads(extra[1]))]) == INSTALL_TORCH


def test_ctrl_c_is_recognised_in_the_errors_that_libraries_make_of_it():
    """NumPy's import raises an ImportError from one that came from Ctrl-C; Paddle's directly."""
    try:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as interrupt:
                raise ImportError("a part cannot be imported") from interrupt
        except ImportError:
            raise ImportError("numpy cannot be imported")  # noqa: B904 as context, not as cause
    except ImportError as error:
        assert is_interrupt(error)
    assert is_interrupt(KeyboardInterrupt()) and not is_interrupt(ImportError("a")) and not is_interrupt(None)
