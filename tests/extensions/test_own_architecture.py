"""Test a user's architecture on the command line: trained from scratch, and from the fixture checkpoint of its family."""

import json

import pytest

from paddle_ft import cli
from tests.support.checkpoints import unpack
from tests.support.examples import (
    FROM_CHECKPOINT,
    copy_examples,
    evaluate_and_predict,
    read_results,
    train_example,
    write_vocabulary,
)

SHORTER = ("train.max_steps=4", "data.limit_train=200", "data.limit_validation=24", "data.limit_test=24")


def model_type(folder):
    return json.loads((folder / "run" / "best" / "config.json").read_text())["model_type"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with the run of the example."""
    folder = copy_examples(tmp_path_factory.mktemp("architecture") / "mine", "my_architecture.py")
    train_example(folder, "my_architecture.py", *SHORTER)
    return folder


def test_it_is_trained_from_scratch_evaluated_and_asked(trained):
    results = read_results(trained)
    assert results["status"] == "finished" and model_type(trained) == "electra"
    (trained / "new.txt").write_text("A good film.\n")
    metrics, (row,) = evaluate_and_predict(trained, "test", "new.txt", "my_architecture")
    assert metrics == results["metrics"]["test"]
    assert row["prediction"] in ("positive", "negative") and sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_without_the_import_the_architecture_is_named(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    (trained / "new.txt").write_text("A good film.\n")
    for command in (["evaluate", "run"], ["predict", "run", "--input", "new.txt"]):
        assert cli.main(command) == 2
        message = capsys.readouterr().err
        assert "run/best: a model of type 'electra' cannot be used here; sequence_classification knows distilbert, " in message
        assert "If this is an architecture of your own, name its module: --import MODULE." in message
    new = ["train", "--config", "distilbert_sst2", "--sample", "model.config.model_type=electra", "output_dir=new", "device=cpu"]
    assert cli.main(new) == 2
    message = capsys.readouterr().err
    assert "model.config.model_type: 'electra': sequence_classification knows distilbert, " in message
    assert "If this is an architecture of your own, name its module: --import MODULE." in message


@pytest.mark.slow
def test_it_is_trained_from_a_checkpoint_of_hugging_face(tmp_path):
    """tests/fixtures/electra.tar.xz holds tiny checkpoints as transformers saves them."""
    folder = copy_examples(tmp_path / "mine", "my_architecture.py", "my_reviews.yaml", "reviews.csv", "reviews-dev.csv")
    unpack("electra", folder)
    write_vocabulary(folder / "masked_lm")
    train_example(folder, "my_reviews.yaml", "--import", "my_architecture", *FROM_CHECKPOINT, "model.pretrained=masked_lm")
    assert read_results(folder)["status"] == "finished" and model_type(folder) == "electra"
