"""Test that a recipe from somebody else, and the folder it is in, run no code. Only the command line names modules to import."""

import sys

import pytest

from paddle_ft.training.distributed import launch
from tests.support.examples import copy_examples, run_command
from tests.support.paths import ROOT

HARM = "from pathlib import Path\nPath(__file__).with_name('harmed').touch()\n"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a recipe and a module that leaves a trace when it is imported."""
    folder = copy_examples(tmp_path / "theirs", "my_reviews.yaml", "reviews.csv", "reviews-dev.csv")
    (folder / "harmful.py").write_text(HARM)
    return folder


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("import: harmful", "import"),
        ("imports: [harmful]", "imports"),
        ("plugins: [harmful]", "plugins"),
        ("eval: {import: harmful}", "eval.import"),
        ("tracking: {imports: [harmful]}", "tracking.imports"),
    ],
)
def test_no_key_of_a_configuration_names_a_module(folder, line, key):
    with open(folder / "my_reviews.yaml", "a") as file:
        file.write(line + "\n")
    message = run_command(folder, "-m", "paddle_ft", "train", "--config", "my_reviews.yaml", "--sample", exit_code=2).stderr
    number = len((folder / "my_reviews.yaml").read_text().splitlines())
    assert f"  {key}: there is no such key (my_reviews.yaml:{number})" in message
    assert not (folder / "harmed").exists()


@pytest.mark.parametrize("override", ["import=harmful", "task.name=harmful", "data.source=sample:harmful", "task.import=harmful"])
def test_no_override_names_a_module(folder, override):
    arguments = ["--config", "my_reviews.yaml", "--sample", "device=cpu", override]
    assert "harmful" in run_command(folder, "-m", "paddle_ft", "train", *arguments, exit_code=2).stderr
    assert not (folder / "harmed").exists()


@pytest.mark.parametrize("program", [[str(ROOT / "train.py")], ["-m", "paddle_ft", "train"]])
def test_modules_next_to_a_recipe_do_not_replace_libraries(folder, program):
    for library in ("yaml", "pydantic", "numpy"):
        (folder / f"{library}.py").write_text(HARM)
    printed = run_command(folder, *program, "--config", "my_reviews.yaml", "--sample", "--print-config", afresh=True).stdout
    assert "max_text_length: 64" in printed and not (folder / "harmed").exists()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 always searches the working directory for -m")
def test_processes_of_devices_do_not_import_them_either(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert launch.launch_processes("cpu:2", [sys.executable, "-c", "import harmful"], folder / "logs") == 1
    assert not (folder / "harmed").exists()
