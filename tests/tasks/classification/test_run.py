"""Test whole trainings of a classifier: results, files, predictions, and the checkpoints they can start from."""

import json
import shutil

import numpy as np
import paddle
import pytest

from paddle_ft.runs import inference
from paddle_ft.system.errors import UserError
from tests.support.tiny_classification import PAIRS, ROWS, make_task, train, write_jsonl


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(tmp_path_factory.mktemp("cls"), ROWS, "distilbert", "train.num_train_epochs=25", "train.logging_steps=10",
                 "model.config.hidden_dropout_prob=0.0")  # fmt: skip


def test_a_run_memorises_six_sentences(finished):
    results = finished.results()
    assert results["metrics"]["test"]["accuracy"] == 100
    assert results["metrics"]["test"]["confusion_matrix"] == [[3, 0], [0, 3]]
    assert results["baseline"]["name"] == "majority" and results["baseline"]["test"]["accuracy"] == 50
    assert set(results["metrics"]["test"]) >= {"loss", "accuracy", "accuracy_ci", "f1", "f1_macro", "matthews", "ece"}
    assert results["before_training"]["test"]["loss"] > results["metrics"]["test"]["loss"]
    assert results["data"]["label_names"] == ["neg", "pos"]
    assert results["data"]["train"]["rows of class neg"] == 3
    assert (finished / "plots" / "confusion_matrix_test.png").exists()
    rows = [json.loads(line) for line in (finished / "predictions-test.jsonl").read_text().splitlines()]
    assert [(row["text"], row["label"], row["prediction"]) for row in rows] == [(r["text"], r["label"], r["label"]) for r in ROWS]
    assert all(50 < row["probability of the label"] <= 100 for row in rows)


def test_the_label_map_is_in_the_models_configuration(finished):
    config = json.loads((finished / "best" / "config.json").read_text())
    assert config["id2label"] == {"0": "neg", "1": "pos"}
    assert config["label2id"] == {"neg": 0, "pos": 1}


def test_plain_paddlenlp_loads_best(finished):
    from paddlenlp.transformers import BertTokenizer, DistilBertForSequenceClassification

    model = DistilBertForSequenceClassification.from_pretrained(str(finished / "best"))
    model.eval()
    ids = BertTokenizer.from_pretrained(str(finished / "best"))("we hated this film")["input_ids"]
    assert model.config.id2label[int(model(paddle.to_tensor([ids])).argmax())] == "neg"


def test_evaluate_gives_the_figures_of_the_training(finished):
    _, metrics, _ = inference.evaluate(str(finished.path), None, [], None)
    assert metrics == finished.results()["metrics"]["test"]


def test_predict_gives_label_and_probabilities(finished, tmp_path):
    (tmp_path / "in.txt").write_text("a good film\na poor story\n")
    inference.predict(str(finished.path), str(tmp_path / "in.txt"), str(tmp_path / "out.jsonl"), [])
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in rows] == ["pos", "neg"]
    assert [row["text"] for row in rows] == ["a good film", "a poor story"]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == row["probabilities"][row["prediction"]] > 0.5
    inference.predict(str(finished.path), str(tmp_path / "in.txt"), str(tmp_path / "out.txt"), [])
    first, *rest = (tmp_path / "out.txt").read_text().splitlines()[0].split("\t")
    assert first == "pos" and [cell.partition("=")[0] for cell in rest] == ["neg", "pos"]


def test_predict_keeps_the_other_columns_and_rows_without_a_text(finished, tmp_path):
    table = tmp_path / "in.csv"
    table.write_text("id;text;label;prediction\n07;a good film;pos;?\n08;;neg;?\n09;nan;pos;?\n")
    inference.predict(str(finished.path), str(table), str(tmp_path / "out.csv"), [])
    header, *rows = [line.split(",")[:5] for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert header == ["id", "label", "input_prediction", "text", "prediction"]
    assert rows[0] == ["07", "pos", "?", "a good film", "pos"] and rows[1] == ["08", "neg", "?", "", ""] and rows[2][:4] == [
        "09", "pos", "?", "nan"]  # fmt: skip


def test_predict_takes_pairs(tmp_path):
    run = train(tmp_path, PAIRS, "bert", "train.num_train_epochs=40", "train.logging_steps=50")
    rows = [{name: row[name] for name in ("text", "text_pair")} for row in PAIRS]
    inference.predict(str(run.path), str(write_jsonl(tmp_path / "in.jsonl", rows)), str(tmp_path / "out.jsonl"), [])
    predicted = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["text"], row["text_pair"]) for row in predicted] == [(row["text"], row["text_pair"]) for row in PAIRS]
    assert [row["prediction"] for row in predicted] == [row["label"] for row in PAIRS]
    write_jsonl(tmp_path / "bad.jsonl", [{"text": "a", "text_pair": ["b"]}])
    with pytest.raises(UserError, match="--input .*bad.jsonl:1: text_pair is a list, not text"):
        inference.predict(str(run.path), str(tmp_path / "bad.jsonl"), "-", [])


def test_three_classes_and_the_tutorials_loss(tmp_path):
    rows = [*ROWS, {"text": "we saw it on tuesday", "label": "none"}, {"text": "it runs two hours", "label": "none"}]
    run = train(tmp_path, rows, "bert", "train.num_train_epochs=40", "train.logging_steps=50", "train.learning_rate=0.01",
                "task.loss=binary_cross_entropy_over_softmax", "task.class_weights=balanced",
                "task.label_smoothing=0.05")  # fmt: skip
    metrics = run.results()["metrics"]["test"]
    assert metrics["accuracy"] == 100 and len(metrics["confusion_matrix"]) == 3
    assert "f1" not in metrics and "f1_macro" in metrics
    assert run.results()["data"]["label_names"] == ["neg", "none", "pos"]


def test_the_lstm_head_is_saved_and_loaded(tmp_path):
    run = train(tmp_path, ROWS, "distilbert", "model.pooling=lstm_attention", "train.num_train_epochs=30", "train.logging_steps=50")
    assert run.results()["metrics"]["test"]["accuracy"] == 100
    from convert.tensors import open_weights

    names = set(open_weights(run / "best").tensors)
    assert {"pooling.lstm.weight_ih_l0", "pooling.lstm.weight_hh_l0_reverse", "pooling.score.weight"} <= names
    assert not any(name.startswith("pre_classifier") for name in names)
    _, metrics, _ = inference.evaluate(str(run.path), "test", [], None)
    assert metrics == run.results()["metrics"]["test"]
    task = inference.open_run(str(run.path))
    assert type(task.model).__name__ == "DistilBertForSequenceClassificationWithLSTMAttention"


def test_a_checkpoints_head_is_kept_for_its_own_classes_only(finished, tmp_path):
    def head(*settings):
        (tmp_path / "x").mkdir(exist_ok=True)
        settings = ["model.config=null", f"model.pretrained={finished / 'best'}", "model.new_vocabulary=null", *settings]
        task, _ = make_task(tmp_path / "x", rows, "distilbert", *settings)
        return task.model.classifier.weight.numpy(), task.model.distilbert.embeddings.word_embeddings.weight.numpy()

    rows = ROWS
    loaded, words = head()
    trained = inference.open_run(str(finished.path)).model
    np.testing.assert_array_equal(loaded, trained.classifier.weight.numpy())
    rows = [{**row, "label": {"pos": "spam", "neg": "ham"}[row["label"]]} for row in ROWS]
    renewed, words = head()
    assert np.abs(renewed - loaded).max() > 0.01
    np.testing.assert_array_equal(words, trained.distilbert.embeddings.word_embeddings.weight.numpy())
    rows = [*ROWS, {"text": "other", "label": "third"}]
    assert head()[0].shape == (32, 3)
    rows = ROWS
    assert head("model.pooling=lstm_attention")[0].shape == (32, 2)


@pytest.mark.parametrize(("names", "loaded"), [
    (["LABEL_0", "LABEL_1"], True),  # the default names of PaddleNLP
    (["LABEL_1", "LABEL_0"], False),
    (["LABEL_0", "pos"], False),
    (["no", "yes"], False),
])  # fmt: skip
def test_a_checkpoints_head_without_names_is_kept_for_as_many_classes(finished, tmp_path, names, loaded):
    shutil.copytree(finished / "best", tmp_path / "start")
    config = json.loads((tmp_path / "start" / "config.json").read_text())
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    (tmp_path / "start" / "config.json").write_text(json.dumps(config))
    settings = ["model.config=null", f"model.pretrained={tmp_path / 'start'}", "model.new_vocabulary=null"]
    task, _ = make_task(tmp_path, ROWS, "distilbert", *settings)
    trained = inference.open_run(str(finished.path)).model.classifier.weight.numpy()
    assert (task.model.classifier.weight.numpy() == trained).all() == loaded
    assert task.names == ["neg", "pos"]


def test_a_checkpoint_of_another_task_gives_its_encoder(tmp_path):
    """The checkpoint is a DistilBertForMaskedLM, like that of the recipe distilbert_imdb_mlm."""
    from paddlenlp.transformers import DistilBertConfig, DistilBertForMaskedLM

    task, _ = make_task(tmp_path)
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
             "max_position_embeddings")  # fmt: skip
    source = DistilBertForMaskedLM(DistilBertConfig(**{name: getattr(task.model.config, name) for name in sizes}))
    source.save_pretrained(str(tmp_path / "mlm"), safe_serialization=True)
    task.tokenizer.save_pretrained(str(tmp_path / "mlm"))
    (tmp_path / "x").mkdir()
    settings = ["model.config=null", f"model.pretrained={tmp_path / 'mlm'}", "model.new_vocabulary=null"]
    loaded, _ = make_task(tmp_path / "x", ROWS, "distilbert", *settings)
    for name, weight in source.distilbert.state_dict().items():
        np.testing.assert_array_equal(loaded.model.distilbert.state_dict()[name].numpy(), weight.numpy())


def test_a_checkpoint_without_the_encoder_is_refused(tmp_path):
    from safetensors.numpy import load_file, save_file

    task, _ = make_task(tmp_path)
    task.bundle.save(tmp_path / "broken")
    tensors = load_file(tmp_path / "broken" / "model.safetensors")
    del tensors["distilbert.encoder.layers.0.linear1.weight"]
    save_file(tensors, tmp_path / "broken" / "model.safetensors", metadata={"format": "np"})
    (tmp_path / "x").mkdir()
    settings = ["model.config=null", f"model.pretrained={tmp_path / 'broken'}", "model.new_vocabulary=null"]
    missing = "1 of .* weights of the encoder are not in this checkpoint.*encoder.layers.0.linear1.weight"
    with pytest.raises(UserError, match=missing):
        make_task(tmp_path / "x", ROWS, "distilbert", *settings)
