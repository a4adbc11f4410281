"""Follow CONTRIBUTING.md literally: write its files into a copy of the repository, and run the commands of each section."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.checkpoints import change_config, read_config, unpack
from tests.support.pages import files_on_page, read
from tests.support.paths import ROOT

NAME = "CONTRIBUTING.md"
SECTIONS = dict(re.findall(r"^## (Add a .*?)\n(.*?)(?=^## |\Z)", read(NAME), re.MULTILINE | re.DOTALL))
NO_COPY = (".git", ".venv", "runs", "build", "dist")  # in the top folder: not part of the repository
FIXTURE = "python -m tests.fixtures.make_fixtures camembert"


def commands(section: str) -> list[str]:
    """Return the commands in a section's blocks without a language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return [line for language, block in blocks if not language for line in block.splitlines()]


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """Return a copy of the repository with all files of the page."""
    copy = tmp_path_factory.mktemp("contributing") / "repository"

    def ignored(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == ROOT
        return {name for name in names if name.endswith(("__pycache__", "_cache", ".egg-info")) or (top and name in NO_COPY)}

    shutil.copytree(ROOT, copy, ignore=ignored)
    for path, text in files_on_page(NAME).items():
        assert not (copy / path).exists(), f"{path} is in the repository already: the page needs another example"
        (copy / path).write_text(text, encoding="utf-8")
    return copy


def run(repository: Path, command: str) -> str:
    """Run a command of the page, or `python -m ...`, in the copy. Return its standard output."""
    program, *arguments = shlex.split(command)
    assert program == "python"
    environment = {**os.environ, "PYTHONPATH": str(repository), "PADDLE_FT_HOME": str(repository / "cache")}
    process = subprocess.run(
        [sys.executable, *arguments], cwd=repository, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def results(repository: Path, name: str) -> dict:
    return json.loads((repository / "runs" / name / "results.json").read_text(encoding="utf-8"))


def test_the_three_sections_are_there():
    assert list(SECTIONS) == ["Add a dataset", "Add a task", "Add a model family"]


@pytest.mark.slow
def test_a_dataset(repository):
    for command in commands("Add a dataset"):
        run(repository, command)
    finished = results(repository, "distilbert_folders_sample")
    assert (finished["status"], finished["task"], finished["train"]["steps"]) == ("finished", "classification", 20)
    # the recipe itself, with files as its header says
    for split in ("train", "dev"):
        for label, word in (("good", "excellent"), ("bad", "awful")):
            folder = repository / "news" / split / label
            folder.mkdir(parents=True)
            for number in range(4):
                (folder / f"{number}.txt").write_text(f"This is {word}, number {number}.")
    settings = "data.source=class_folders data.train=news/train data.validation=news/dev output_dir=runs/folders train.max_steps=4"
    run(repository, f"python train.py --config distilbert_folders --sample {settings}")
    assert results(repository, "folders")["data"]["train"]["rows"] == 8


@pytest.mark.slow
def test_a_task(repository):
    printed = [run(repository, command) for command in commands("Add a task")]
    evaluation = json.loads(printed[-1])
    finished = results(repository, "bart_rewriting_sample")
    assert finished["task"] == "rewriting" and finished["best"]["metric"] == "exact_match"
    assert evaluation["metrics"] == finished["metrics"][evaluation["split"]]
    assert "exact_match" in evaluation["metrics"] and evaluation["baseline"]["name"] == "source copied"
    assert "exact_match" in evaluation["baseline"][evaluation["split"]]


@pytest.mark.slow
def test_a_model_family(repository):
    make_fixture, *others = commands("Add a model family")
    assert make_fixture == FIXTURE
    if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
        run(repository, make_fixture)
    else:
        rename_fixture(repository)
    printed = [run(repository, command) for command in others]
    assert int(re.search(r"(\d+) passed", printed[0])[1]) > 5
    assert (repository / "runs" / "electra" / "results.json").exists()
    assert read_config(repository / "runs" / "electra" / "best")["model_type"] == "electra"


def rename_fixture(repository: Path) -> None:
    """Make camembert's archive from roberta's, for an environment without transformers.

    In transformers CamemBERT is RoBERTa: the same tensors under the same names, and so the same outputs.
    """
    folder = repository / "camembert"
    unpack("roberta", folder)
    tasks = ("base", "masked_lm")
    for path in [path for path in folder.iterdir() if path.name not in tasks]:
        shutil.rmtree(path)
    for name in tasks:
        classes = [name.replace("Roberta", "Camembert") for name in read_config(folder / name)["architectures"]]
        change_config(folder / name, model_type="camembert", architectures=classes)
    with tarfile.open(repository / "tests" / "fixtures" / "camembert.tar.xz", "w:xz") as archive:
        for name in tasks:
            archive.add(folder / name, name)
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_copy_keeps_the_rules_of_the_repository(repository):
    run(repository, "python -m ruff check .")
    pages = "tests/test_structure.py tests/test_boundaries.py tests/test_references.py"
    run(repository, f"python -m pytest -q -p no:cacheprovider {pages}")
