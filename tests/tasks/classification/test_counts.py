"""Test what the header says about the classes, and what is said about those that are probably mistakes."""

import json

import datasets
import numpy as np
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.classification.counts import describe_classes, describe_counts, describe_spellings
from paddle_ft.training import run as training_run
from tests.support.tiny_classification import ROWS, overrides, train


def test_the_classes_are_listed_with_their_rows():
    assert describe_counts(["neg", "pos"], np.array([1234, 3702])) == "neg 1,234 (25.0%), pos 3,702 (75.0%)"


def test_of_many_classes_the_most_frequent_and_the_rarest_are_listed():
    names, counts = [f"c{number}" for number in range(40)], np.arange(40)
    assert describe_counts(names, counts) == (
        "40 classes, the most frequent c39 39 (5.0%), c38 38 (4.9%), c37 37 (4.7%), c36 36 (4.6%), c35 35 (4.5%), c34 34 (4.4%);"
        " the rarest c2 2 (0.3%), c1 1 (0.1%), c0 0 (0.0%)"
    )


@pytest.mark.parametrize(
    ("names", "counts", "said"),
    [
        (["neg", "pos"], [50, 50], []),
        (["neg", "pos"], [2, 198], []),  # 1 %
        (["neg", "pos"], [1, 99], ["a class has only 1 of the 100 training rows: neg"]),
        (["a", "b", "c"], [1, 1, 12], ["each of 2 classes has only 1 of the 14 training rows: a, b"]),
        (["a", "b", "c"], [1, 1, 2], []),
        (["neg", "pos"], [1, 100], ["a class has less than 1 % of the 101 training rows: neg 1"]),
        (["a", "b", "c"], [0, 997, 3], ["2 classes have less than 1 % of the 1,000 training rows: a 0, c 3"]),
        (
            ["Neg", "neg", "pos"],
            [20, 40, 40],
            ["classes that differ only by case, spaces or width are taken as 2 classes: 'Neg' (20 rows), 'neg' (40 rows)"],
        ),
        (["1", "１", "world news", "worldnews"], [1, 1, 1, 1],
         ["classes that differ only by case, spaces or width are taken as 2 classes: '1' (1 row), '１' (1 row)",
          "classes that differ only by case, spaces or width are taken as 2 classes: 'world news' (1 row), 'worldnews' (1 row)"]),
        (["a-b", "ab"], [1, 1], []),
    ],
)  # fmt: skip
def test_classes_that_may_be_mistakes(names, counts, said):
    assert describe_classes(names, np.array(counts)) == said


def test_of_many_classes_those_below_half_of_an_even_share_are_rare():
    names = [f"c{number}" for number in range(200)]
    assert describe_classes(names, np.full(200, 5)) == []  # each has 0.5 %
    [said] = describe_classes(names, np.array([*[1] * 9, *[5] * 191]))
    assert said == "9 classes have less than 0.25 % of the 964 training rows: c0 1, c1 1, c2 1, c3 1, c4 1, c5 1 and 3 more"


def test_labels_in_other_spellings():
    assert describe_spellings(["neg", "pos"], ["neg", "pos"]) == []
    assert describe_spellings([" neg", "neg", "1e0"], ["neg", "neg", "1"]) == [
        "labels are compared without spaces around them, and numbers by their value: ' neg' is neg, '1e0' is 1"
    ]


def test_the_header_and_the_results_have_it(tmp_path, capsys):
    rows = [*ROWS * 34, {"text": "a film", "label": "Neg"}, {"text": "a story", "label": " pos "}]
    run = train(tmp_path, rows, "distilbert", "train.max_steps=1", "eval.before_training=false", "data.limit_validation=6",
                "data.limit_test=6")  # fmt: skip
    said = [
        "classes that differ only by case, spaces or width are taken as 2 classes: 'Neg' (1 row), 'neg' (102 rows)",
        "a class has less than 1 % of the 206 training rows: Neg 1",
        "labels are compared without spaces around them, and numbers by their value: ' pos ' is pos",
    ]
    assert run.results()["decisions"][1:] == said  # the first one is about the new tokenizer
    printed = capsys.readouterr().err
    assert "train: 206 rows\ntrain: classes: Neg 1 (0.5%), neg 102 (49.5%), pos 103 (50.0%)\nvalidation: 6 rows\n" in printed
    assert printed.count("decision: ") == 4 and all(f"decision: {text}\n" in printed for text in said)
    training_run.check(load_config("distilbert_sst2", overrides(tmp_path / "check", rows, "distilbert")))
    assert "train: classes: Neg 1 (0.5%)" in capsys.readouterr().err


@pytest.mark.parametrize(("columns", "said"), [("{text: 0, label: 1}", 1), ("{text: review, label: stars}", 0)])
def test_a_header_that_is_trained_as_a_row_is_said(tmp_path, columns, said):
    table = tmp_path / "a.csv"
    table.write_text("review,stars\n" + "".join(f"a good film {number},pos\na bad film {number},neg\n" for number in range(5)))
    files = [f"data.{split}={table}" for split in ("train", "validation", "test")]
    run = train(tmp_path, ROWS, "distilbert", "train.max_steps=1", "eval.before_training=false", *files, f"data.columns={columns}")
    told = [decision for decision in run.results()["decisions"] if decision.startswith("the columns are numbers, so the first row")]
    assert len(told) == said
    assert all("'stars' is that of no other row: if it is a header, name the columns by it" in decision for decision in told)


def test_a_class_of_task_labels_without_rows_is_said(tmp_path):
    run = train(tmp_path, ROWS, "distilbert", "train.max_steps=1", "eval.before_training=false", "task.labels=[neg, neutral, pos]")
    assert run.results()["decisions"][1:] == ["a class has less than 1 % of the 6 training rows: neutral 0"]


def test_a_label_that_only_differs_in_case_is_pointed_out(tmp_path):
    rows = [*ROWS, {"text": "a film", "label": "POS"}]
    with pytest.raises(UserError, match=r"the label 'POS' is none of the classes \(neg, pos\); it differs from 'pos' only by case"):
        train(tmp_path, rows, "distilbert", "task.labels=[neg, pos]")


def test_a_data_set_that_has_names_for_its_classes_gives_their_order(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["pos", "neutral", "neg"])})
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(ROWS, features=features).to_parquet(tmp_path / "hub.parquet")
    files = [f"data.{split}={tmp_path / 'hub.parquet'}" for split in ("train", "validation", "test")]
    run = train(tmp_path, ROWS, "distilbert", "train.max_steps=1", "eval.before_training=false", *files)
    results = run.results()
    assert results["data"]["label_names"] == ["pos", "neutral", "neg"]
    assert results["decisions"][0] == (
        f"{tmp_path}/hub.parquet: the numbers of the classes in 'label' are read as their names ('pos', 'neutral', 'neg')"
    )
    assert json.loads((run / "best" / "config.json").read_text())["id2label"] == {"0": "pos", "1": "neutral", "2": "neg"}
