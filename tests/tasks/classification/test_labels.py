"""Test how labels become classes: which labels are accepted, the order of classes, and which labels are refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.values import class_text
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.classification.labels import class_names, class_weights, to_classes


def options(labels=None, round_labels=False):
    return SimpleNamespace(labels=labels, round_labels=round_labels)


def classes(row_labels, names, known=(), **settings):
    return to_classes(row_labels, names, options(**settings), "train", known).tolist()


def test_names_are_sorted_alphabetically_and_numbers_by_size():
    assert class_names(["pos", "neg", "pos"], options()) == ["neg", "pos"]
    assert class_names(["10", "9", "-1", "9"], options()) == ["-1", "9", "10"]
    assert classes(["10", "-1", "9"], ["-1", "9", "10"]) == [2, 0, 1]


def test_a_whole_number_is_one_class_however_it_is_written():
    assert class_names(["1.0", "0", "1", " 0.0 "], options()) == ["0", "1"]
    assert classes(["1.0", "0", "1e0", " 0.0 "], ["0", "1"]) == [1, 0, 1, 0]


def test_a_boolean_is_one_class_however_it_is_written():
    assert class_names(["True", " TRUE", "False"], options()) == ["False", "True"]
    assert classes(["True", "TRUE ", "False"], ["False", "True"]) == [1, 1, 0]
    names = ["true", "false"]  # the data's labels are True and False by now
    assert class_names(["False", "True"], options(labels=names)) == names
    assert classes(["False", "True"], names, labels=names) == [1, 0]


def test_a_label_may_be_a_name_or_its_number():
    names = class_names(["0", "1"], options(labels=["negative", "positive"]))
    assert names == ["negative", "positive"]
    assert classes(["1", "negative", "positive", "0"], names, labels=names) == [1, 0, 1, 0]


@pytest.mark.parametrize(("names", "first"), [("[0, 1]", "0"), ("[no, yes]", "False"), ("[neg, 1.0]", "1.0")])
def test_names_that_yaml_reads_as_other_values_need_quotes(names, first):
    with pytest.raises(UserError) as caught:
        load_config("distilbert_sst2", [f"task.labels={names}"])
    assert f'task.labels: {first} is no text: write the names in quotes, as in task.labels=\'["0", "1"]\' (' in str(caught.value)
    assert load_config("distilbert_sst2", ['task.labels=["0", "no"]']).task.labels == ["0", "no"]


def test_if_names_are_numbers_labels_cannot_be_class_numbers():
    stars = ["1", "2", "3", "4", "5"]
    assert classes(["1", "5", "3.0"], stars, labels=stars) == [0, 4, 2]
    with pytest.raises(UserError, match=r"^train row 3: the label '0' is none of the classes \(1, 2, 3, 4, 5\)$"):
        classes(["1", "5", "0"], stars, labels=stars)
    mixed = ["1", "2", "unknown"]
    assert classes(["unknown", "1"], mixed, labels=mixed) == [2, 0]
    with pytest.raises(UserError, match="train row 1: the label '0' is none of the classes"):
        classes(["0"], mixed, labels=mixed)
    assert classes(["2", "1"], ["1.0", "2.0"], labels=["1.0", "2.0"]) == [1, 0]


def test_names_that_the_data_set_has_are_the_classes_in_its_order():
    topics = ["World", "Sports", "Business"]
    assert class_names(["Sports", "World"], options(), topics) == topics  # also one without training rows
    assert classes(["Business", "World"], topics, known=topics) == [2, 0]
    assert class_names(["True", "False"], options(), ["true", "false"]) == ["True", "False"]
    assert class_names(["5", "4"], options(), ["5", "4", "3"]) == ["5", "4", "3"]
    assert class_names(["a", "b"], options(labels=["b", "a"]), ["a", "b"]) == ["b", "a"]
    for known in (["World", "Sports", "Sports"], ["World"], []):  # not those of all rows
        assert class_names(["World", "Sports", "Music"], options(), known) == ["Music", "Sports", "World"]
    with pytest.raises(UserError, match="every row has the label 'World'"):
        class_names(["World", "World"], options(), topics)


@pytest.mark.parametrize(
    ("known", "names", "expected"),
    [
        (["negative", "positive"], ["neg", "pos"], [0, 1]),  # other names for the same numbers
        (["not_duplicate", "duplicate"], ["different", "duplicate"], [0, 1]),
        (["1 star", "2 stars"], ["1", "2"], [0, 1]),
        (["false", "true"], ["no", "yes"], [0, 1]),
        (["True", "False"], ["false", "true"], [1, 0]),
        (["negative", "positive"], ["positive", "negative"], [1, 0]),  # the same names in another order
        (["a", "b"], ["a", "b", "c"], [0, 1]),
    ],
)
def test_task_labels_name_the_classes_of_a_data_set_anew(known, names, expected):
    assert classes([class_text(name) for name in known], names, labels=names, known=known) == expected


def test_task_labels_do_not_rename_classes_whose_order_is_another():
    with pytest.raises(UserError, match=r"the label 'duplicate' is none of the classes \(same, different\)"):
        classes(["duplicate"], ["same", "different"], labels=["same", "different"], known=["different", "duplicate"])


def test_two_named_classes_are_scores_of_0_and_1():
    names = ["negative", "positive"]
    assert classes(["bad", "good"], names, labels=names, round_labels=True, known=["bad", "good"]) == [0, 1]


def test_rounded_scores_are_class_numbers_whatever_the_names():
    assert classes(["0.2", "0.8"], ["1", "0"], labels=["1", "0"], round_labels=True) == [0, 1]


def test_scores_are_rounded_with_round_labels():
    assert class_names(["0.3"], options(round_labels=True)) == ["0", "1"]
    scores = ["0", "0.49", "0.5", "0.51", "0.69444", "1"]
    assert classes(scores, ["0", "1"], round_labels=True) == [0, 0, 0, 1, 1, 1]
    names = ["negative", "positive"]
    assert classes(["0.2", "0.8"], names, labels=names, round_labels=True) == [0, 1]


@pytest.mark.parametrize("label", ["1.2", "-0.1", "good", "nan", ""])
def test_labels_that_cannot_be_rounded(label):
    with pytest.raises(UserError, match="train row 2: task.round_labels needs numbers from 0 to 1"):
        classes(["0.5", label], ["0", "1"], round_labels=True)


def test_regression_is_refused():
    with pytest.raises(UserError) as caught:
        class_names(["1", "0.69444", "3"], options())
    assert str(caught.value) == (
        "train row 2: the label 0.69444 is not a whole number: that is regression, which this task does not do."
        " Scores between 0 and 1 become two classes with task.round_labels=true"
    )


@pytest.mark.parametrize(
    ("row_labels", "message"),
    [
        (["0", "1", "nan"], r"the labels mix numbers \(0\) and names \(nan\)"),
        (["yes", "yes"], "every row has the label 'yes': at least two classes are needed"),
        ([str(i) for i in range(1001)], "1,001 different labels, more than 1,000; is data.columns.label the right column"),
    ],
)
def test_labels_that_cannot_be_classes(row_labels, message):
    with pytest.raises(UserError, match=message):
        class_names(row_labels, options())


def test_unknown_labels():
    with pytest.raises(UserError, match=r"validation row 2: the label 'x' is none of the classes \(a, b\)$"):
        to_classes(["a", "x"], ["a", "b"], options(), "validation")
    with pytest.raises(UserError, match="-1 stands for labels that are kept secret.* set data.test to another split, or none"):
        to_classes(["-1"], ["0", "1"], options(), "test")


def test_class_weights():
    counts, names = np.array([6, 2]), ["a", "b"]
    assert class_weights(None, counts, names).tolist() == [1, 1]
    balanced = class_weights("balanced", counts, names)
    assert balanced.tolist() == [8 / 12, 2] and (balanced * counts).sum() == 8
    assert class_weights("balanced", np.array([4, 0, 4]), ["a", "b", "c"]).tolist() == [1, 0, 1]
    assert class_weights([0.5, 2.0], counts, names).tolist() == [0.5, 2]
    with pytest.raises(UserError, match=r"task.class_weights: 3 weights for 2 classes \(a, b\)"):
        class_weights([1, 2, 3], counts, names)
