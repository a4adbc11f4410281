"""Test classification on a few sentences: features, losses, baselines and error messages."""

import numpy as np
import paddle
import pytest

from paddle_ft.data.rows import Rows
from paddle_ft.system.errors import UserError
from tests.support.tiny_classification import PAIRS, ROWS, make_task


# ---------------------------------------------------------------------------------------------------- features
def test_a_bert_pair(tmp_path):
    task, dataset = make_task(tmp_path, PAIRS, "bert")
    batch = task.collate_fn(dataset, np.array([1, 0]), None)
    tokens = [[task.fast_tokenizer.id_to_token(int(i)) for i in row] for row in batch["input_ids"]]
    assert " ".join(tokens[0]) == "[CLS] how old are you [SEP] where do you live [SEP]"
    assert batch["token_type_ids"].tolist() == [[0] * 6 + [1] * 5] * 2
    assert batch["attention_mask"].tolist() == [[1] * 11] * 2
    assert batch["label"].tolist() == [0, 1]
    assert task.count_targets(batch) == 2


def test_pairs_that_the_user_did_not_ask_for_are_said(tmp_path):
    said = "the data has text_pair, so each row is a pair of texts"
    for number, (rows, columns, expected) in enumerate([(PAIRS, "{}", 1), (PAIRS, "{text_pair: text_pair}", 0), (ROWS, "{}", 0)]):
        _, dataset = make_task(tmp_path / str(number), rows, "distilbert", f"data.columns={columns}")
        assert dataset.info.get("decisions", []).count(said) == expected


def test_padding_and_the_end_of_a_pair(tmp_path):
    rows = [*PAIRS, {"text": "you", "text_pair": "", "label": "0"}]
    task, dataset = make_task(tmp_path, rows, "bert")
    batch = task.collate_fn(dataset, np.array([0, 4]), None)
    assert batch["token_type_ids"][1].tolist() == [0, 0, 0, 1] + [0] * 7
    assert batch["attention_mask"][1].tolist() == [1] * 4 + [0] * 7
    assert batch["input_ids"][1].tolist()[4:] == [0] * 7


def test_token_types_only_where_the_model_has_them(tmp_path):
    task, dataset = make_task(tmp_path, PAIRS, "distilbert")
    assert "token_type_ids" not in task.collate_fn(dataset, np.array([0]), None)
    (tmp_path / "b").mkdir()
    task, dataset = make_task(tmp_path / "b", ROWS, "bert")
    batch = task.collate_fn(dataset, np.array([0]), None)
    assert not batch["token_type_ids"].any() and batch["token_type_ids"].shape == batch["input_ids"].shape


def test_token_types_reach_the_model(tmp_path):
    task, dataset = make_task(tmp_path, PAIRS, "bert")
    task.model.eval()
    task.model.classifier.weight.set_value(task.model.classifier.weight * 100)
    batch = {name: paddle.to_tensor(value) for name, value in task.collate_fn(dataset, np.array([0]), None).items()}
    plain = task.logits(batch).numpy()
    other = task.logits({**batch, "token_type_ids": batch["token_type_ids"] * 0}).numpy()
    assert np.abs(plain - other).max() > 1e-4


def test_a_long_pair_loses_the_end_of_its_longer_text(tmp_path):
    rows = [{**PAIRS[0], "text": "you are old " * 10}, PAIRS[0], {**PAIRS[0], "label": "0"}]
    task, dataset = make_task(tmp_path, rows, "bert", "task.max_text_length=12")
    ids = task.collate_fn(dataset, np.array([0]), None)["input_ids"][0]
    text = " ".join(task.fast_tokenizer.id_to_token(int(i)) for i in ids)
    assert text == "[CLS] you are old you are [SEP] what is your age [SEP]"
    assert dataset.info["truncated_text"] == 1 and dataset.info["truncated_text_share"] == 0.3333


def test_rows_with_and_without_a_pair_do_not_mix(tmp_path):
    with pytest.raises(UserError, match="train row 3: has a text_pair, but row 1 has none: all rows must be pairs, or none"):
        make_task(tmp_path, [*ROWS[:2], {**PAIRS[0], "label": "pos"}, ROWS[3]])


def test_lengths_group_batches(tmp_path):
    _, dataset = make_task(tmp_path, PAIRS, "bert")
    assert dataset.lengths.tolist() == [len(dataset.columns["text"][i]) for i in range(4)]
    assert dataset.lengths[0] == 3 + 4 + 4


@pytest.mark.parametrize("model", ["distilbert", "bert", "roberta", "ernie"])
@pytest.mark.parametrize("head", ["first_token", "lstm_attention"])
def test_padding_changes_nothing(tmp_path, model, head):
    task, _ = make_task(tmp_path, PAIRS, model, f"model.pooling={head}")
    alone = task.predict([("how old", "what is"), ("how old are you are you", "where do you live")], "")
    with_long = task.predict([("how old", "what is")], "")
    assert alone[0]["probability"] == pytest.approx(with_long[0]["probability"], abs=2e-6)


def test_max_text_length_must_fit_the_model(tmp_path):
    with pytest.raises(UserError, match="task.max_text_length: 40 tokens are more than the model's 32"):
        make_task(tmp_path, ROWS, "distilbert", "task.max_text_length=40")


# ---------------------------------------------------------------------------------------------------- loss
def test_class_weights_weigh_the_training_rows(tmp_path):
    task, dataset = make_task(tmp_path, [*ROWS, ROWS[0], ROWS[1]], "distilbert", "task.class_weights=balanced")
    batch = task.collate_fn(dataset, np.array([0, 5]), None)
    assert batch["weight"].tolist() == pytest.approx([8 / (2 * 5), 8 / (2 * 3)])
    for split in ("validation", "test"):
        assert task.encode(Rows([*ROWS, ROWS[0], ROWS[1]]), split).columns["weight"].tolist() == [1] * 8


def test_the_baseline_is_the_commonest_class_of_the_training_rows(tmp_path):
    task, train_set = make_task(tmp_path, [*ROWS, ROWS[0]])
    mostly_neg = task.encode(Rows([*ROWS[3:], ROWS[0]]), "test")
    ((name, scores),) = task.baselines(mostly_neg, train_set).items()
    assert name == "majority" and scores.metrics["accuracy"] == 25
    assert {row["prediction"] for row in scores.predictions} == {"pos"}


def test_padding_to_a_multiple(tmp_path):
    task, dataset = make_task(tmp_path, PAIRS, "bert", "train.pad_to_multiple_of=8")
    batch = task.collate_fn(dataset, np.array([0, 1]), None)
    assert {name: batch[name].shape for name in ("input_ids", "attention_mask", "token_type_ids")} == dict.fromkeys(
        ("input_ids", "attention_mask", "token_type_ids"), (2, 16)
    )
    assert batch["attention_mask"].tolist() == [[1] * 11 + [0] * 5] * 2
    assert batch["token_type_ids"].tolist() == [[0] * 6 + [1] * 5 + [0] * 5] * 2
    assert (batch["input_ids"][:, 11:] == 0).all()
    task, dataset = make_task(tmp_path, PAIRS, "roberta", "train.pad_to_multiple_of=64")
    # 32 positions, counted from the id of the padding on
    assert task.collate_fn(dataset, np.array([0]), None)["input_ids"].shape == (1, 31)
    assert np.isfinite(task.probabilities(dataset, "")).all()


def test_the_loss_is_a_sum_over_rows(tmp_path):
    task, dataset = make_task(tmp_path, ROWS, "distilbert", "task.class_weights=[1.0, 3.0]", "task.label_smoothing=0.1")
    task.model.eval()

    def loss(rows):
        batch = task.collate_fn(dataset, np.array(rows), None)
        return float(task.loss({name: paddle.to_tensor(value) for name, value in batch.items()}))

    assert loss([0, 5]) == pytest.approx(loss([0]) + loss([5]), rel=1e-5)
    probability = task.probabilities(dataset.take([0]), "")[0]
    task.model.eval()
    expected = -(0.95 * np.log(probability[1]) + 0.05 * np.log(probability[0]))
    assert loss([0]) == pytest.approx(3 * expected, rel=1e-4)


def test_an_unknown_class_in_the_test_split_is_named(tmp_path):
    task, _ = make_task(tmp_path)
    with pytest.raises(UserError, match=r"test row 2: the label 'meh' is none of the classes \(neg, pos\)"):
        task.encode(Rows([ROWS[0], {"text": "x", "label": "meh"}]), "test")


def test_preview_shows_what_the_model_sees(tmp_path):
    task, dataset = make_task(tmp_path, PAIRS, "bert")
    assert task.preview(dataset, 1) == (
        "text          how old are you\ntext_pair     what is your age\nlabel         1 (1 of 2 classes)\n"
        "input_ids     [CLS] how old are you [SEP] what is your age [SEP]\ntoken types   0 0 0 0 0 0 1 1 1 1 1"
    )
