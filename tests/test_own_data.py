"""Follow docs/own-data.md literally: its files, its recipe, and its commands, from an empty folder."""

import json
import re
import shlex

import pytest

from tests.support.examples import EXAMPLES, run_command
from tests.support.pages import code_lines, read
from tests.support.paths import ROOT

PAGE = read("docs/own-data.md")
STEPS = PAGE.partition("## Bad rows")[0]
COMMANDS = [line for line in code_lines(STEPS) if line.startswith(("cp ", "python "))]
# so that the page's test takes seconds; the page's own command for a small model is run as it is
SHORT = ["device=cpu", "train.num_train_epochs=1", "eval.bootstrap_samples=100"]


def test_the_page_shows_the_file_as_it_is():
    lines = re.search(r"^```\n(review,stars\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    assert (EXAMPLES / "reviews.csv").read_text(encoding="utf-8").startswith(lines)


def test_the_fields_are_those_of_the_recipes():
    """A field in the page's table is one that the task of the recipe reads."""
    from paddle_ft.config.load import load_config
    from paddle_ft.tasks import find_task

    rows = re.findall(r"^\| [^|`]+ \| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 7
    for recipe, cell in rows:
        task = find_task(load_config(recipe).task.name)
        needed, _, optional = cell.partition("optionally")
        assert set(re.findall(r"`(\w+)`", needed)) - {"text_pair"} == set(task.required_fields)
        assert set(re.findall(r"`(\w+)`", optional)) <= set(task.optional_fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder after the page's steps: the files copied, the recipe written, a small model trained."""
    path = tmp_path_factory.mktemp("newcomer")
    copy, _check, _train, small, *_ = COMMANDS
    for name in shlex.split(copy)[1:-1]:
        (path / (ROOT / name).name).write_bytes((ROOT / name).read_bytes())
    (path / "my_reviews.yaml").write_text(re.search(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1], encoding="utf-8")
    run(path, small, *SHORT)
    return path


def run(path, command: str, *settings: str) -> str:
    """Run a command of the page with more settings. Return its output."""
    python, *arguments = shlex.split(command)
    assert python == "python"
    arguments[:1] = ["-m", "paddle_ft", "train"] if arguments[0] == "train.py" else arguments[:1]
    return run_command(path, *arguments, *settings).stdout


def small_model() -> list[str]:
    """Return the settings of the page's small model, in place of the download."""
    return [word for word in shlex.split(COMMANDS[3]) if word.startswith("model.")]


@pytest.mark.slow
def test_check_then_train_evaluate_and_predict(folder):
    _, check, train, _, evaluate, predict = COMMANDS
    assert "check passed" in run(folder, check, *small_model(), *SHORT)
    assert not (folder / "runs" / "my_reviews").exists()
    assert "runs/my_reviews/report.html" in run(folder, train, *small_model(), *SHORT)
    assert "accuracy" in run(folder, evaluate)
    run(folder, predict)
    lines = (folder / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert "prediction" in lines[0] and len(lines) == 13


@pytest.mark.slow
def test_the_small_model_reads_the_same_data(folder):
    results = json.loads((folder / "runs" / "my_reviews_small" / "results.json").read_text(encoding="utf-8"))
    assert results["data"]["train"]["rows"] == 48 and results["data"]["validation"]["rows"] == 12
