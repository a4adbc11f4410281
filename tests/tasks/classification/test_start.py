"""Test what becomes of the head of a checkpoint that a classification starts from: which rows are kept, and what is said."""

import json
import shutil

import numpy as np
import paddle
import pytest

from paddle_ft import cli
from paddle_ft.runs import inference
from paddle_ft.system.errors import UserError
from tests.support.tiny_classification import ROWS, make_task, overrides, train

HEADS = [("distilbert", "first_token"), ("bert", "first_token"), ("roberta", "first_token"), ("ernie", "first_token"),
         ("distilbert", "lstm_attention"), ("bert", "lstm_attention")]  # fmt: skip
TEXTS = [row["text"] for row in ROWS]


def rows_of(*labels: str) -> list[dict[str, str]]:
    return [{"text": TEXTS[i % len(TEXTS)], "label": label} for i, label in enumerate(labels * 2)]


class Checkpoint:
    """A checkpoint whose classes a test names, and the logits that it gives."""

    def __init__(self, folder, model_type: str, pooling: str):
        self.path, self.model_type, self.pooling, self.folder = folder / "start", model_type, pooling, folder
        self.task, _ = make_task(folder / "made", rows_of("a", "b", "c"), model_type, f"model.pooling={pooling}")
        paddle.seed(5)
        for name, parameter in self.task.model.named_parameters():
            if "classifier" in name and len(parameter.shape) == 1:
                parameter.set_value(paddle.normal(0.0, 1.0, parameter.shape))  # biases are 0 in a new model
        self.path.mkdir()
        self.task.bundle.save(self.path)
        self.count = 0

    def name_classes(self, *names: str, **config) -> None:
        old = json.loads((self.path / "config.json").read_text())
        labels = {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
        (self.path / "config.json").write_text(json.dumps(old | labels | config))

    def start(self, *labels: str, settings: tuple[str, ...] = (), pooling: str | None = None):
        """Return the task as it starts from the checkpoint on data with these labels."""
        self.count += 1
        where = ("model.config=null", f"model.pretrained={self.path}", "model.new_vocabulary=null")
        head = f"model.pooling={pooling or self.pooling}"
        return make_task(self.folder / f"start{self.count}", rows_of(*labels), self.model_type, *where, head, *settings)[0]


def logits(task) -> np.ndarray:
    """Return the logits [texts, classes] of a task."""
    encoded = task.encode_texts(TEXTS, "", 24, cache=False)
    ids = [encoded[i] for i in range(len(encoded))]
    width = max(map(len, ids))
    batch = {"input_ids": np.array([[*row, *[task.model.config.pad_token_id] * (width - len(row))] for row in ids]),
             "attention_mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids])}  # fmt: skip
    task.model.eval()
    with paddle.no_grad():
        return task.logits({name: paddle.to_tensor(value) for name, value in batch.items()}).numpy()


@pytest.fixture(scope="module", params=HEADS, ids=["-".join(head) for head in HEADS])
def checkpoint(request, tmp_path_factory):
    return Checkpoint(tmp_path_factory.mktemp("start"), *request.param)


@pytest.fixture(scope="module")
def distilbert(tmp_path_factory):
    return Checkpoint(tmp_path_factory.mktemp("start"), "distilbert", "first_token")


def test_a_head_for_the_same_classes_is_kept_to_the_bit(checkpoint):
    checkpoint.name_classes("NEGATIVE", "Neutral", "POSITIVE")
    task = checkpoint.start("neg", "neutral", "pos")
    np.testing.assert_array_equal(logits(task), logits(checkpoint.task))
    assert task.names == ["neg", "neutral", "pos"] and task.model.config.id2label == {0: "neg", 1: "neutral", 2: "pos"}
    assert task.bundle.decisions == [
        "model.head: the checkpoint's trained head is kept, its classes matched by their names: NEGATIVE is neg, Neutral is"
        " neutral, POSITIVE is pos"
    ]


def test_the_rows_of_a_head_follow_the_datas_order(checkpoint):
    checkpoint.name_classes("positive", "negative", "neutral")
    task = checkpoint.start("neg", "neutral", "pos")
    np.testing.assert_array_equal(logits(task), logits(checkpoint.task)[:, [1, 2, 0]])
    assert task.bundle.decisions[0].endswith("positive is pos; its rows are in the data's order now")
    saved = checkpoint.folder / f"saved{checkpoint.count}"
    saved.mkdir()
    task.bundle.save(saved)
    again, _ = make_task(checkpoint.folder / f"again{checkpoint.count}", rows_of("neg", "neutral", "pos"), checkpoint.model_type,
                         "model.config=null", f"model.pretrained={saved}", "model.new_vocabulary=null",
                         f"model.pooling={checkpoint.pooling}")  # fmt: skip
    np.testing.assert_array_equal(logits(again), logits(task))
    assert again.bundle.decisions == [
        "model.head: the checkpoint's trained head is kept: its classes are the data's (neg, neutral, pos)"
    ]


def test_of_a_head_that_shares_some_classes_their_rows_are_kept(checkpoint):
    checkpoint.name_classes("b", "x", "d")
    task = checkpoint.start("a", "b", "c", "d", "e", settings=("seed=3",))
    now, before = logits(task), logits(checkpoint.task)
    np.testing.assert_allclose(now[:, [1, 3]], before[:, [0, 2]], atol=1e-6)  # a product with another number of columns
    [output] = [layer for layer in task.model.sublayers() if isinstance(layer, paddle.nn.Linear) and layer.weight.shape[1] == 5]
    assert (output.bias.numpy()[[0, 2, 4]] == 0).all()
    new = output.weight.numpy()[:, [0, 2, 4]]
    assert 0.01 < new.std() < 0.03 and abs(np.corrcoef(new.T) - np.eye(3)).max() < 0.6  # drawn, and each by itself
    assert task.bundle.decisions == [
        "model.head: the checkpoint's trained head is kept for 2 of 5 classes (b, d)",
        "model.head: the rows of the head for a, c, e start anew: the checkpoint has no such class",
        "model.head: the checkpoint's rows for x are not used: the data has no such class",
    ]


def test_a_head_for_other_classes_starts_anew_as_a_whole(checkpoint):
    checkpoint.name_classes("spam", "ham", "other")
    task = checkpoint.start("neg", "neutral", "pos")
    assert abs(logits(task) - logits(checkpoint.task)).max() > 0.01
    encoder, prefix = checkpoint.task.model.state_dict(), f"{task.model.base_model_prefix}."
    for name, value in task.model.state_dict().items():
        if name.startswith(prefix):
            np.testing.assert_array_equal(value.numpy(), encoder[name].numpy())
        elif name.endswith("bias") and "lstm" not in name:
            assert not value.numpy().any()
        else:
            assert (value.numpy() != encoder[name].numpy()).all()
    [decision] = task.bundle.decisions
    assert decision.endswith("starts anew: none of the checkpoint's classes (spam, ham, other) is certainly one of the data's"
                             " (neg, neutral, pos)")  # fmt: skip
    layers = {"distilbert": "pre_classifier, classifier", "roberta": "classifier.dense, classifier.out_proj"}
    head = layers.get(checkpoint.model_type, "classifier")
    head = "classifier, pooling.lstm, pooling.score" if checkpoint.pooling == "lstm_attention" else head
    assert decision.startswith(f"model.head: the classification head ({head}) starts anew: ")


def test_a_head_without_names_is_kept_by_position_for_as_many_classes(distilbert):
    distilbert.name_classes("LABEL_0", "LABEL_1", "LABEL_2")
    task = distilbert.start("neg", "neutral", "pos")
    np.testing.assert_array_equal(logits(task), logits(distilbert.task))
    assert task.bundle.decisions == [
        "model.head: the checkpoint's trained head is kept, by position, because its classes have no names: LABEL_0 is neg,"
        " LABEL_1 is neutral, LABEL_2 is pos; if that is wrong, set model.head=new"
    ]
    two = distilbert.start("neg", "pos")
    assert "starts anew: none of the checkpoint's classes (LABEL_0, LABEL_1, LABEL_2)" in two.bundle.decisions[0]
    numbers = distilbert.start("0", "2")
    np.testing.assert_allclose(logits(numbers), logits(distilbert.task)[:, [0, 2]], atol=1e-6)
    numbered = distilbert.start("0", "1", "2").bundle.decisions
    assert numbered == ["model.head: the checkpoint's trained head is kept: its classes are the data's (0, 1, 2)"]
    task = distilbert.start("LABEL_0", "LABEL_1", "LABEL_2", settings=("task.labels=[LABEL_2, LABEL_0, LABEL_1]",))
    np.testing.assert_array_equal(logits(task), logits(distilbert.task)[:, [2, 0, 1]])
    assert task.bundle.decisions == [
        "model.head: the checkpoint's trained head is kept: its classes are the data's (LABEL_2, LABEL_0, LABEL_1); its rows are in"
        " the data's order now"
    ]


def test_names_from_task_labels_count_and_labels_may_be_their_numbers(distilbert):
    distilbert.name_classes("NEGATIVE", "NEUTRAL", "POSITIVE")
    task = distilbert.start("0", "1", "2")
    assert "starts anew: none of the checkpoint's classes" in task.bundle.decisions[0]
    task = distilbert.start("0", "1", "2", settings=("task.labels=[POSITIVE, NEUTRAL, NEGATIVE]",))
    np.testing.assert_array_equal(logits(task), logits(distilbert.task)[:, ::-1])


def test_new_starts_anew_on_purpose(distilbert):
    distilbert.name_classes("neg", "neutral", "pos")
    task = distilbert.start("neg", "neutral", "pos", settings=("model.head=new",))
    assert abs(logits(task) - logits(distilbert.task)).max() > 0.01
    assert task.bundle.decisions == [
        "model.head: the classification head (pre_classifier, classifier) starts anew: model.head=new; the checkpoint's was trained"
        " for neg, neutral, pos"
    ]


def test_keep_accepts_what_loses_nothing(distilbert):
    distilbert.name_classes("Neg", "POS", "neutral")
    task = distilbert.start("neg", "neutral", "pos", "unclear", settings=("model.head=keep",))
    np.testing.assert_allclose(logits(task)[:, :3], logits(distilbert.task)[:, [0, 2, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (
            ["spam", "ham", "other"],
            ["neg", "pos"],
            "model.head=keep: the trained head would be thrown away.\n  the checkpoint's classes: spam, ham, other\n"
            "  the data's classes:       neg, pos\nGive the data's classes the checkpoint's names and order with task.labels",
        ),
        (
            ["neg", "neutral", "pos"],
            ["neg", "pos"],
            "model.head=keep: the trained head's rows for neutral would be thrown away.\n"
            "  the checkpoint's classes: neg, neutral, pos\n  the data's classes:       neg, pos\n",
        ),
    ],
)
def test_keep_refuses_what_would_be_thrown_away(distilbert, tmp_path, capsys, names, labels, message):
    distilbert.name_classes(*names)
    settings = overrides(tmp_path, rows_of(*labels), "distilbert", "model.config=null", f"model.pretrained={distilbert.path}",
                         "model.new_vocabulary=null", "model.head=keep")  # fmt: skip
    assert cli.main(["train", "--config", "distilbert_sst2", *settings]) == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_keep_refuses_a_checkpoint_without_a_head_and_a_new_model(distilbert, tmp_path):
    distilbert.name_classes("neg", "neutral", "pos", architectures=["DistilBertForMaskedLM"])
    with pytest.raises(UserError, match="head=keep: there is no trained head to keep: the checkpoint is a DistilBertForMaskedLM"):
        distilbert.start("neg", "neutral", "pos", settings=("model.head=keep",))
    distilbert.name_classes("neg", "neutral", "pos", architectures=["DistilBertForSequenceClassification"])
    with pytest.raises(UserError, match="head is keep, but a new model .config. has no trained head"):
        make_task(tmp_path, ROWS, "distilbert", "model.head=keep")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"architectures": ["DistilBertForTokenClassification"]}, "the checkpoint is a DistilBertForTokenClassification"),
        ({"architectures": None}, "its config.json does not name its class"),
        ({"id2label": {"0": "score"}}, "the checkpoint's head has a single output, as for regression"),
        ({"id2label": {"0": "neg", "1": "pos"}}, "the checkpoint has a head of another size than its 2 classes"),
    ],
)
def test_a_head_of_another_kind_starts_anew_and_the_reason_is_said(distilbert, config, reason):
    distilbert.name_classes("neg", "neutral", "pos", **{"architectures": ["DistilBertForSequenceClassification"], **config})
    task = distilbert.start("neg", "neutral", "pos")
    distilbert.name_classes("neg", "neutral", "pos", architectures=["DistilBertForSequenceClassification"])
    assert task.bundle.decisions == [f"model.head: the classification head (pre_classifier, classifier) starts anew: {reason}"]
    assert logits(task).shape == (6, 3) and abs(logits(task) - logits(distilbert.task)).max() > 0.01


def test_a_head_for_several_classes_a_text_is_kept_and_said_to_be(distilbert):
    distilbert.name_classes("neg", "neutral", "pos", problem_type="multi_label_classification")
    task = distilbert.start("neg", "neutral", "pos")
    distilbert.name_classes("neg", "neutral", "pos", problem_type=None)
    np.testing.assert_array_equal(logits(task), logits(distilbert.task))
    assert task.bundle.decisions[1] == (
        "model.head: the checkpoint's head was trained to give a text several classes, here it gives one"
    )


def test_another_pooling_has_another_head(distilbert):
    distilbert.name_classes("neg", "neutral", "pos")
    task = distilbert.start("neg", "neutral", "pos", pooling="lstm_attention")
    head, unused = task.bundle.decisions
    assert head == (
        "model.head: the classification head (classifier, pooling.lstm, pooling.score) starts anew: the checkpoint's head pools"
        " otherwise (model.pooling)"
    )
    assert unused == "weights of the checkpoint that are not used: pre_classifier (2 in all)"


# ---------------------------------------------------------------------------------------------------- whole trainings
@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a run that knows its six sentences."""
    return train(tmp_path_factory.mktemp("cls"), ROWS, "distilbert", "train.num_train_epochs=25", "train.logging_steps=50",
                 "model.config.hidden_dropout_prob=0.0", "eval.before_training=false")  # fmt: skip


@pytest.mark.parametrize(
    ("names", "order"), [(["NEGATIVE", "POSITIVE"], [0, 1]), (["positive", "negative"], [1, 0])], ids=["renamed", "another order"]
)
def test_a_training_starts_with_what_the_head_knows_and_says_so_everywhere(finished, tmp_path, capsys, names, order):
    from safetensors.numpy import load_file, save_file

    shutil.copytree(finished / "best", tmp_path / "start")
    config = json.loads((tmp_path / "start" / "config.json").read_text())
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    (tmp_path / "start" / "config.json").write_text(json.dumps(config))
    tensors = load_file(tmp_path / "start" / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = np.ascontiguousarray(tensors[name][..., order])
    save_file(tensors, tmp_path / "start" / "model.safetensors", metadata={"format": "np"})
    (tmp_path / "start" / ".checksums.json").unlink(missing_ok=True)
    settings = ("model.config=null", f"model.pretrained={tmp_path / 'start'}", "model.new_vocabulary=null", "train.max_steps=2")
    run = train(tmp_path, ROWS, "distilbert", *settings)
    results = run.results()
    _, metrics, _ = inference.evaluate(str(finished.path), "test", [], None)
    assert results["before_training"]["test"] == metrics and metrics["accuracy"] == 100
    [decision] = results["decisions"]
    assert f"its classes matched by their names: {names[order[0]]} is neg, {names[order[1]]} is pos" in decision
    assert f"decision: {decision}\n" in capsys.readouterr().err
    assert decision in (run / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
    again = train(tmp_path, ROWS, "distilbert", *settings, resume=True)
    assert again.results()["metrics"] == results["metrics"] and again.results()["decisions"] == [decision]
    assert inference.evaluate(str(run.path), "test", [], None)[1] == results["metrics"]["test"]


def test_texts_that_the_checkpoints_vocabulary_does_not_know_are_said(finished, tmp_path):
    rows = [{"text": "今天北京", "label": "neg"}, {"text": "a good film", "label": "pos"}]
    run = train(tmp_path, rows, "distilbert", "model.config=null", f"model.pretrained={finished / 'best'}",
                "model.new_vocabulary=null", "train.max_steps=1", "eval.before_training=false")  # fmt: skip
    head, unknown = run.results()["decisions"]
    assert "its classes are the data's (neg, pos)" in head
    assert unknown.startswith("28.6% of the tokens of the training rows are unknown to the tokenizer and read as [UNK]")
