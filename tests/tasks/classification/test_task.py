"""Classification on a few sentences: features, losses, heads, and whole trainings of seconds."""

import json
import shutil

import numpy as np
import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.runs import inference
from paddle_ft.system.errors import UserError
from paddle_ft.tasks import find_task
from paddle_ft.training import run as session
from tests.support.tasks import give_model

SIZES = (
    "hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64, max_position_embeddings: 32,"
    " hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.0"
)
WORDS = ["a good film", "a fine story", "we liked this film", "a bad film", "a poor story", "we hated this film"]
ROWS = [{"text": text, "label": label} for text, label in zip(WORDS, ["pos"] * 3 + ["neg"] * 3, strict=True)]
PAIRS = [
    {"text": "how old are you", "text_pair": "what is your age", "label": "1"},
    {"text": "how old are you", "text_pair": "where do you live", "label": "0"},
    {"text": "where do you live", "text_pair": "which town is your home", "label": "1"},
    {"text": "where do you live", "text_pair": "what is your age", "label": "0"},
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def overrides(folder, rows=ROWS, model="distilbert", *settings):
    data = write(folder / "rows.jsonl", rows)
    return [
        f"output_dir={folder / 'run'}", "device=cpu", "model.pretrained=null", f"model.config={{model_type: {model}, {SIZES}}}",
        "model.new_vocabulary=120", "data.source=null", "data.columns={}", f"data.train={data}", f"data.validation={data}",
        f"data.test={data}", "data.cache=false", "task.labels=null", "task.round_labels=false", "task.max_text_length=24",
        "train.train_batch_size=4", "train.learning_rate=0.003", "train.num_train_epochs=2", "train.logging_steps=1",
        "eval.bootstrap_samples=100", *settings,
    ]  # fmt: skip


def make(folder, rows=ROWS, model="distilbert", *settings):
    """Return a task with its model, and its encoded training data."""
    config = load_config("distilbert_sst2", overrides(folder, rows, model, *settings))
    task = find_task("classification")(config)
    paddle.seed(1)
    give_model(task, folder / "tokenizer", Rows(rows))
    return task, task.encode(Rows(rows), "train")


def train(folder, rows=ROWS, model="distilbert", *settings):
    return session.train(load_config("distilbert_sst2", overrides(folder, rows, model, *settings)))


# ---------------------------------------------------------------------------------------------------- features
def test_a_bert_pair(tmp_path):
    task, dataset = make(tmp_path, PAIRS, "bert")
    batch = task.collate_fn(dataset, np.array([1, 0]), None)
    tokens = [[task.fast_tokenizer.id_to_token(int(i)) for i in row] for row in batch["input_ids"]]
    assert " ".join(tokens[0]) == "[CLS] how old are you [SEP] where do you live [SEP]"
    assert batch["token_type_ids"].tolist() == [[0] * 6 + [1] * 5] * 2
    assert batch["attention_mask"].tolist() == [[1] * 11] * 2
    assert batch["label"].tolist() == [0, 1]
    assert task.count_targets(batch) == 2


def test_padding_and_the_end_of_a_pair(tmp_path):
    rows = [*PAIRS, {"text": "you", "text_pair": "", "label": "0"}]
    task, dataset = make(tmp_path, rows, "bert")
    batch = task.collate_fn(dataset, np.array([0, 4]), None)
    assert batch["token_type_ids"][1].tolist() == [0, 0, 0, 1] + [0] * 7
    assert batch["attention_mask"][1].tolist() == [1] * 4 + [0] * 7
    assert batch["input_ids"][1].tolist()[4:] == [0] * 7


def test_token_types_only_if_the_model_takes_them(tmp_path):
    task, dataset = make(tmp_path, PAIRS, "distilbert")
    assert "token_type_ids" not in task.collate_fn(dataset, np.array([0]), None)
    (tmp_path / "b").mkdir()
    task, dataset = make(tmp_path / "b", ROWS, "bert")
    batch = task.collate_fn(dataset, np.array([0]), None)
    assert not batch["token_type_ids"].any() and batch["token_type_ids"].shape == batch["input_ids"].shape


def test_token_types_reach_the_model(tmp_path):
    task, dataset = make(tmp_path, PAIRS, "bert")
    task.model.eval()
    task.model.classifier.weight.set_value(task.model.classifier.weight * 100)
    batch = {name: paddle.to_tensor(value) for name, value in task.collate_fn(dataset, np.array([0]), None).items()}
    plain = task.logits(batch).numpy()
    other = task.logits({**batch, "token_type_ids": batch["token_type_ids"] * 0}).numpy()
    assert np.abs(plain - other).max() > 1e-4


def test_a_long_pair_loses_the_end_of_its_longer_text(tmp_path):
    rows = [{**PAIRS[0], "text": "you are old " * 10}, PAIRS[0], {**PAIRS[0], "label": "0"}]
    task, dataset = make(tmp_path, rows, "bert", "task.max_text_length=12")
    ids = task.collate_fn(dataset, np.array([0]), None)["input_ids"][0]
    text = " ".join(task.fast_tokenizer.id_to_token(int(i)) for i in ids)
    assert text == "[CLS] you are old you are [SEP] what is your age [SEP]"
    assert dataset.info["truncated_text"] == 1 and dataset.info["truncated_text_share"] == 0.3333


def test_rows_with_and_without_a_pair_do_not_mix(tmp_path):
    with pytest.raises(UserError, match="train row 3: has a text_pair, but row 1 has none: all rows must be pairs, or none"):
        make(tmp_path, [*ROWS[:2], {**PAIRS[0], "label": "pos"}, ROWS[3]])


def test_lengths_are_those_of_the_encoded_rows(tmp_path):
    _, dataset = make(tmp_path, PAIRS, "bert")
    assert dataset.lengths.tolist() == [len(dataset.columns["text"][i]) for i in range(4)]
    assert dataset.lengths[0] == 3 + 4 + 4


@pytest.mark.parametrize("model", ["distilbert", "bert", "roberta", "ernie"])
@pytest.mark.parametrize("head", ["linear", "lstm_attention"])
def test_padding_changes_nothing(tmp_path, model, head):
    task, _ = make(tmp_path, PAIRS, model, f"model.head={head}")
    alone = task.predict([("how old", "what is"), ("how old are you are you", "where do you live")], "")
    with_long = task.predict([("how old", "what is")], "")
    assert alone[0]["probability"] == pytest.approx(with_long[0]["probability"], abs=2e-6)


def test_max_text_length_must_fit_the_model(tmp_path):
    with pytest.raises(UserError, match="task.max_text_length: 40 tokens are more than the model's 32"):
        make(tmp_path, ROWS, "distilbert", "task.max_text_length=40")


# ---------------------------------------------------------------------------------------------------- loss
def test_class_weights_apply_to_the_training_rows_only(tmp_path):
    task, dataset = make(tmp_path, [*ROWS, ROWS[0], ROWS[1]], "distilbert", "task.class_weights=balanced")
    batch = task.collate_fn(dataset, np.array([0, 5]), None)
    assert batch["weight"].tolist() == pytest.approx([8 / (2 * 5), 8 / (2 * 3)])
    for split in ("validation", "test"):
        assert task.encode(Rows([*ROWS, ROWS[0], ROWS[1]]), split).columns["weight"].tolist() == [1] * 8


def test_the_baseline_is_the_most_frequent_class_of_the_training_rows(tmp_path):
    task, train_set = make(tmp_path, [*ROWS, ROWS[0]])
    mostly_neg = task.encode(Rows([*ROWS[3:], ROWS[0]]), "test")
    ((name, scores),) = task.baselines(mostly_neg, train_set).items()
    assert name == "majority" and scores.metrics["accuracy"] == 25
    assert {row["prediction"] for row in scores.predictions} == {"pos"}


def test_padding_to_a_multiple(tmp_path):
    task, dataset = make(tmp_path, PAIRS, "bert", "train.pad_to_multiple_of=8")
    batch = task.collate_fn(dataset, np.array([0, 1]), None)
    assert {name: batch[name].shape for name in ("input_ids", "attention_mask", "token_type_ids")} == dict.fromkeys(
        ("input_ids", "attention_mask", "token_type_ids"), (2, 16)
    )
    assert batch["attention_mask"].tolist() == [[1] * 11 + [0] * 5] * 2
    assert batch["token_type_ids"].tolist() == [[0] * 6 + [1] * 5 + [0] * 5] * 2
    assert (batch["input_ids"][:, 11:] == 0).all()
    task, dataset = make(tmp_path, PAIRS, "roberta", "train.pad_to_multiple_of=64")
    # 32 positions, of which RoBERTa does not use those up to the padding id
    assert task.collate_fn(dataset, np.array([0]), None)["input_ids"].shape == (1, 31)
    assert np.isfinite(task.probabilities(dataset, "")).all()


def test_the_loss_is_a_sum_over_rows(tmp_path):
    task, dataset = make(tmp_path, ROWS, "distilbert", "task.class_weights=[1.0, 3.0]", "task.label_smoothing=0.1")
    task.model.eval()

    def loss(rows):
        batch = task.collate_fn(dataset, np.array(rows), None)
        return float(task.loss({name: paddle.to_tensor(value) for name, value in batch.items()}))

    assert loss([0, 5]) == pytest.approx(loss([0]) + loss([5]), rel=1e-5)
    probability = task.probabilities(dataset.head(1), "")[0]
    task.model.eval()
    expected = -(0.95 * np.log(probability[1]) + 0.05 * np.log(probability[0]))
    assert loss([0]) == pytest.approx(3 * expected, rel=1e-4)


# ---------------------------------------------------------------------------------------------------- whole runs
@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(tmp_path_factory.mktemp("cls"), ROWS, "distilbert", "train.num_train_epochs=25", "train.logging_steps=10",
                 "model.config.hidden_dropout_prob=0.0")  # fmt: skip


def test_it_learns_six_sentences_by_heart(finished):
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


def test_predict_takes_pairs(tmp_path):
    run = train(tmp_path, PAIRS, "bert", "train.num_train_epochs=40", "train.logging_steps=50")
    rows = [{name: row[name] for name in ("text", "text_pair")} for row in PAIRS]
    inference.predict(str(run.path), str(write(tmp_path / "in.jsonl", rows)), str(tmp_path / "out.jsonl"), [])
    predicted = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["text"], row["text_pair"]) for row in predicted] == [(row["text"], row["text_pair"]) for row in PAIRS]
    assert [row["prediction"] for row in predicted] == [row["label"] for row in PAIRS]
    write(tmp_path / "bad.jsonl", [{"text": "a", "text_pair": ["b"]}])
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
    run = train(tmp_path, ROWS, "distilbert", "model.head=lstm_attention", "train.num_train_epochs=30", "train.logging_steps=50")
    assert run.results()["metrics"]["test"]["accuracy"] == 100
    from convert.tensors import open_weights

    names = set(open_weights(run / "best").tensors)
    assert {"pooling.lstm.weight_ih_l0", "pooling.lstm.weight_hh_l0_reverse", "pooling.score.weight"} <= names
    assert not any(name.startswith("pre_classifier") for name in names)
    _, metrics, _ = inference.evaluate(str(run.path), "test", [], None)
    assert metrics == run.results()["metrics"]["test"]
    task = inference.open_run(str(run.path))
    assert type(task.model).__name__ == "DistilBertForSequenceClassificationWithLSTMAttention"


# ---------------------------------------------------------------------------------------------------- checkpoints
def test_a_checkpoints_head_is_kept_only_for_the_same_classes(finished, tmp_path):
    def head(*overrides):
        (tmp_path / "x").mkdir(exist_ok=True)
        settings = ["model.config=null", f"model.pretrained={finished / 'best'}", "model.new_vocabulary=null", *overrides]
        task, _ = make(tmp_path / "x", rows, "distilbert", *settings)
        return task.model.classifier.weight.numpy(), task.model.distilbert.embeddings.word_embeddings.weight.numpy()

    rows = ROWS
    kept, words = head()
    trained = inference.open_run(str(finished.path)).model
    np.testing.assert_array_equal(kept, trained.classifier.weight.numpy())
    rows = [{**row, "label": {"pos": "spam", "neg": "ham"}[row["label"]]} for row in ROWS]
    renewed, words = head()
    assert np.abs(renewed - kept).max() > 0.01
    np.testing.assert_array_equal(words, trained.distilbert.embeddings.word_embeddings.weight.numpy())
    rows = [*ROWS, {"text": "other", "label": "third"}]
    assert head()[0].shape == (32, 3)
    rows = ROWS
    assert head("model.head=lstm_attention")[0].shape == (32, 2)


@pytest.mark.parametrize(("names", "kept"), [
    (["LABEL_0", "LABEL_1"], True),  # the names in a checkpoint whose labels were never named
    (["LABEL_1", "LABEL_0"], False),
    (["LABEL_0", "pos"], False),
    (["no", "yes"], False),
])  # fmt: skip
def test_a_head_with_unnamed_classes_is_kept_for_the_same_number_of_classes(finished, tmp_path, names, kept):
    shutil.copytree(finished / "best", tmp_path / "start")
    config = json.loads((tmp_path / "start" / "config.json").read_text())
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    (tmp_path / "start" / "config.json").write_text(json.dumps(config))
    settings = ["model.config=null", f"model.pretrained={tmp_path / 'start'}", "model.new_vocabulary=null"]
    task, _ = make(tmp_path, ROWS, "distilbert", *settings)
    trained = inference.open_run(str(finished.path)).model.classifier.weight.numpy()
    assert (task.model.classifier.weight.numpy() == trained).all() == kept
    assert task.names == ["neg", "pos"]


def test_the_encoder_of_another_tasks_checkpoint_is_used(tmp_path):
    """The checkpoint is a DistilBertForMaskedLM, like the adapted one of distilbert_imdb_mlm."""
    from paddlenlp.transformers import DistilBertConfig, DistilBertForMaskedLM

    task, _ = make(tmp_path)
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
             "max_position_embeddings")  # fmt: skip
    source = DistilBertForMaskedLM(DistilBertConfig(**{name: getattr(task.model.config, name) for name in sizes}))
    source.save_pretrained(str(tmp_path / "mlm"), safe_serialization=True)
    task.tokenizer.save_pretrained(str(tmp_path / "mlm"))
    (tmp_path / "x").mkdir()
    settings = ["model.config=null", f"model.pretrained={tmp_path / 'mlm'}", "model.new_vocabulary=null"]
    loaded, _ = make(tmp_path / "x", ROWS, "distilbert", *settings)
    for name, weight in source.distilbert.state_dict().items():
        np.testing.assert_array_equal(loaded.model.distilbert.state_dict()[name].numpy(), weight.numpy())


def test_a_checkpoint_without_the_encoder_is_refused(tmp_path):
    from safetensors.numpy import load_file, save_file

    task, _ = make(tmp_path)
    task.bundle.save(tmp_path / "broken")
    tensors = load_file(tmp_path / "broken" / "model.safetensors")
    del tensors["distilbert.encoder.layers.0.linear1.weight"]
    save_file(tensors, tmp_path / "broken" / "model.safetensors", metadata={"format": "np"})
    (tmp_path / "x").mkdir()
    settings = ["model.config=null", f"model.pretrained={tmp_path / 'broken'}", "model.new_vocabulary=null"]
    missing = "1 of .* weights of the encoder are not in this checkpoint.*encoder.layers.0.linear1.weight"
    with pytest.raises(UserError, match=missing):
        make(tmp_path / "x", ROWS, "distilbert", *settings)


def test_an_unknown_class_in_the_test_split_is_named(tmp_path):
    task, _ = make(tmp_path)
    with pytest.raises(UserError, match=r"test row 2: the label 'meh' is none of the classes \(neg, pos\)"):
        task.encode(Rows([ROWS[0], {"text": "x", "label": "meh"}]), "test")


def test_preview_shows_what_the_model_sees(tmp_path):
    task, dataset = make(tmp_path, PAIRS, "bert")
    assert task.preview(dataset, 1) == (
        "text          how old are you\ntext_pair     what is your age\nlabel         1 (1 of 2 classes)\n"
        "input_ids     [CLS] how old are you [SEP] what is your age [SEP]\ntoken types   0 0 0 0 0 0 1 1 1 1 1"
    )
