"""Test the table and the JSON of fill-mask, with the guesses from before and after training."""

import json

import paddle
import pytest

import paddle_ft
from paddle_ft import cli
from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import write_directory
from paddle_ft.tasks import find_task
from tests.support.tasks import give_model
from tests.support.tiny_masked_lm import SIZES, write_vocabulary

TEXTS = ["the [MASK] film is [MASK] good", "a [MASK]"]


def make_task(config, folder, seed):
    """Return a task whose model has other guesses at each mask, and with each seed."""
    task = find_task("masked_lm")(config)
    give_model(task, folder, None)
    paddle.seed(seed)
    for parameter in task.model.parameters():
        if parameter.ndim > 1:
            parameter.set_value(paddle.randn(parameter.shape))
    task.model.eval()
    return task


@pytest.fixture
def run(tmp_path):
    """Return the folder of a run, its task before training, and its task after training."""
    vocabulary = write_vocabulary(tmp_path / "words")
    fresh = ["model.pretrained=null", f"model.config={SIZES}", f"model.tokenizer={vocabulary}", "device=cpu"]
    before, after = (make_task(load_config("distilbert_imdb_mlm", fresh), tmp_path / "tokenizer", seed) for seed in (1, 4))
    before.bundle.save(tmp_path / "start")
    folder = RunDirectory(tmp_path / "run")
    folder.path.mkdir()
    folder.write_config(to_yaml(load_config("distilbert_imdb_mlm", [f"model.pretrained={tmp_path / 'start'}", "device=cpu"])))
    write_directory(folder / "best", after.bundle.save)
    return folder.path, before, after


def run_fill_mask(capsys, *arguments) -> str:
    capsys.readouterr()
    assert cli.main(["fill-mask", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_before_and_after_for_each_mask(run, capsys):
    folder, before, after = run
    lines = run_fill_mask(capsys, folder, *TEXTS, "--top", "3").splitlines()
    guesses = [(before.fill([text], 3, "")[0], after.fill([text], 3, "")[0]) for text in TEXTS]
    assert len({mask[0][0] for model in guesses[0] for mask in model}) == 4  # so that a block in the wrong place is noticed
    expected = []
    for text, (old, new) in zip(TEXTS, guesses, strict=True):
        expected += [text]
        for number, (left, right) in enumerate(zip(old, new, strict=True), start=1):
            expected += ["", f"[MASK] {number}    before training               after training"]
            expected += [f"            {a:<20} {100 * p:5.1f} %  {b:<20} {100 * q:5.1f} %"
                         for (a, p), (b, q) in zip(left, right, strict=True)]  # fmt: skip
        expected += [""]
    assert lines == expected[:-1]


def test_five_guesses_a_mask_unless_told_otherwise(run, capsys):
    folder, _, after = run
    (row,) = json.loads(run_fill_mask(capsys, folder, TEXTS[0], "--json"))
    assert [len(mask) for when in ("before", "after") for mask in row[when]] == [5] * 4
    expected = after.fill([TEXTS[0]], 5, "")[0]
    assert [[guess["token"] for guess in mask] for mask in row["after"]] == [[token for token, _ in mask] for mask in expected]


def test_python_gives_the_same_guesses(run, capsys):
    folder, _, _ = run
    loaded = paddle_ft.load_run(folder)
    expected = json.loads(run_fill_mask(capsys, folder, *TEXTS, "--top", "2", "--json"))
    assert loaded.fill_mask(TEXTS, top=2) == expected
    assert loaded.fill_mask(TEXTS[1], top=2) == expected[1:]
    with pytest.raises(paddle_ft.UserError, match="give single texts, not pairs"):
        loaded.fill_mask(("a [MASK]", "b"))
