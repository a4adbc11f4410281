"""Test the exit codes and messages of `python -m convert`, and that its help imports nothing heavy."""

import os
import subprocess
import sys

import pytest

from convert.__main__ import main


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
    assert stop.value.code == 0 and verb in capsys.readouterr().out


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
    assert main([verb, str(checkpoints("gpt2/causal_lm")), *destination, "--task", "nonsense"]) == 2
    assert "gpt2 has no task 'nonsense' in both libraries; it has: base, causal_lm" in capsys.readouterr().err


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
    assert "pip install -e '.[verify]'" in capsys.readouterr().err
