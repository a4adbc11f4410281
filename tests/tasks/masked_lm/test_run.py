"""Test a whole training of a masked language model, fill-mask, and a classifier that starts from its encoder."""

import json

import pytest

from paddle_ft import cli
from paddle_ft.config.load import load_config
from paddle_ft.models.build import load_pretrained
from paddle_ft.models.vocabulary import input_embedding
from paddle_ft.tasks import find_task
from paddle_ft.training import run as training_run
from tests.support.tasks import reload_model
from tests.support.tiny_masked_lm import make_task


def test_a_run_keeps_the_best_checkpoint_fills_masks_and_starts_a_classifier(tmp_path, capsys):
    start = tmp_path / "start"
    make_task(tmp_path).bundle.save(start)
    (tmp_path / "data.jsonl").write_text(json.dumps({"text": "the good film. playing a bad film"}) + "\n" * 1)
    config = load_config("distilbert_imdb_mlm", [
        f"output_dir={tmp_path / 'run'}", "device=cpu", f"model.pretrained={start}", "data.source=null",
        f"data.train={tmp_path / 'data.jsonl'}", f"data.validation={tmp_path / 'data.jsonl'}", "data.test=null",
        "data.cache=false", "task.chunk_size=5", "task.train_chunks=null", "task.eval_chunks=null",
        "task.mask_probability=0.4", "train.train_batch_size=2", "train.num_train_epochs=30", "train.learning_rate=0.01",
        "train.logging_steps=10", "eval.bootstrap_samples=100",
    ])  # fmt: skip
    run = training_run.train(config)
    results = run.results()
    measured = [e["perplexity"] for e in run.events() if e["event"] == "eval"]
    assert len(measured) == 31  # before training and after each epoch
    assert results["best"]["value"] == min(measured[1:])
    assert results["metrics"]["validation"]["perplexity"] == min(measured[1:]) < measured[0]
    assert results["baseline"]["name"] == "unigram"
    figures = results["metrics"]["validation"]
    bands = figures["by_frequency"]
    assert [band["times_in_training"] for band in bands] == ["1-9"]  # the validation text is the training text
    assert (bands[0]["targets"], bands[0]["accuracy"]) == (figures["tokens"], figures["accuracy"])
    assert bands[0]["loss"] == pytest.approx(figures["loss"], abs=1e-4)
    capsys.readouterr()
    assert cli.main(["fill-mask", str(run.path), "the [MASK] film", "a [MASK] [MASK]", "--json", "--top", "2"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [len(text_masks["after"]) for text_masks in shown] == [1, 2]
    before = make_task(tmp_path).fill(["the [MASK] film"], 2, "")[0][0]
    assert [g["token"] for g in shown[0]["before"][0]] == [token for token, _ in before]
    classifier = load_pretrained("sequence_classification", run / "best")
    embedding = find_task("masked_lm")(config)
    reload_model(embedding, run / "best")
    assert (input_embedding(classifier).weight == input_embedding(embedding.model).weight).all()
