"""Test what the command `export` refuses before it loads a model."""

import importlib.util
import subprocess
import sys

import pytest

from paddle_ft.cli import main
from paddle_ft.config.load import load_config
from paddle_ft.export.export import AS_DEFINED
from tests.support.paths import ROOT


@pytest.fixture
def run(tmp_path):
    """Return the path of a run without a model."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("task: {name: classification}\n")
    return folder


def refusal(capsys, *arguments):
    """Return the message of a command that exits with 2."""
    assert main(["export", *map(str, arguments)]) == 2
    output = capsys.readouterr()
    assert output.out == "" and "Traceback" not in output.err
    return output.err


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "--to"),
    (["--to", "tensorrt"], "invalid choice: 'tensorrt'"),
    (["--to", "hf", "--int8"], "Use --to onnx --int8"),
    (["--to", "onnx", "--limit", "5"], "give both, or neither"),
    (["--to", "onnx", "--int8", "--limit", "0"], "it must be at least 1"),
    (["--to", "onnx", "--limit", "-1"], "--limit -1: it must be at least 1"),
])  # fmt: skip
def test_wrong_flags_are_refused(capsys, run, arguments, message):
    assert message in refusal(capsys, run, *arguments)


def test_a_folder_without_a_run_is_refused(capsys, tmp_path):
    assert str(tmp_path / "nothing") in refusal(capsys, tmp_path / "nothing", "--to", "onnx")


def test_a_run_without_a_model_is_refused(capsys, run):
    assert "no model yet" in refusal(capsys, run, "--to", "inference")
    assert [path.name for path in run.parent.iterdir()] == ["mine"]


def test_a_folder_with_files_is_replaced_only_if_it_is_an_export(capsys, run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("important")
    assert "already exists" in refusal(capsys, run, "--to", "onnx", "--output", other)
    assert "no export" in refusal(capsys, run, "--to", "onnx", "--output", other, "--overwrite")
    assert "holds the run itself" in refusal(capsys, run, "--to", "onnx", "--output", run, "--overwrite")
    assert "holds the run itself" in refusal(capsys, run, "--to", "onnx", "--output", run.parent, "--overwrite")
    assert (other / "thesis.txt").read_text() == "important"


def test_the_working_folder_and_what_cannot_be_written_are_refused(capsys, run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert "this is the folder that you are in, or one above it" in refusal(capsys, run, "--to", "inference", "--output", ".")
    output = str(tmp_path / "file" / "export")
    assert f"--output {output}: cannot be written: " in refusal(capsys, run, "--to", "inference", "--output", output)
    assert (tmp_path / "here").is_dir()


def test_a_missing_package_is_named_with_what_to_do(capsys, run, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "onnxruntime" else find(name, *rest))
    message = refusal(capsys, run, "--to", "onnx")
    assert "onnxruntime" in message and "pip install" in message


def test_runs_trained_in_other_ways_can_be_traced():
    trained = ["train.recompute=true", "train.sharding=stage3", "model.attention=sdpa", "device=gpu"]
    config = load_config("bart_lcsts", trained).model_dump()
    for name, value in AS_DEFINED.items():
        section, _, key = name.rpartition(".")
        (config[section] if section else config)[key] = value
    type(load_config("bart_lcsts")).model_validate(config)


def test_usage_errors_do_not_import_paddle(run):
    code = (
        "import sys; from paddle_ft.cli import main; code = main(sys.argv[1:]);"
        " print(code, sorted({'paddle', 'paddlenlp', 'onnxruntime'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "export", str(run), "--to", "hf", "--int8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "2 []", done.stderr
