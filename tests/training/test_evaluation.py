"""Test what is evaluated before and during a training: with a limit a sample, and nothing twice."""

import json

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.reporting.tables import split_table
from paddle_ft.system.errors import UserError
from paddle_ft.training import loop, results
from paddle_ft.training import run as training_run
from tests.support.tiny_runs import PLAIN, overrides, train

WHEN = "during the training (eval.limit)"


@pytest.fixture
def evaluations(monkeypatch):
    """Return the list to which each evaluation adds its label and its number of rows."""
    calls, original = [], results.evaluate

    def spy(task, dataset, label, world=None):
        calls.append((label, len(dataset)))
        return original(task, dataset, label, world)

    for module in (loop, results):
        monkeypatch.setattr(module, "evaluate", spy)
    return calls


def test_the_best_evaluation_is_not_repeated_at_the_end(tmp_path, evaluations):
    """The scores and predictions are those that an evaluation of best/ gives."""
    run = train(tmp_path / "a", *PLAIN, "train.num_train_epochs=2")
    assert evaluations == [("evaluate at step 2", 8), ("evaluate at step 4", 8), ("final: test", 8)]
    stored = run.results()["metrics"]
    assert stored["validation"] == stored["test"]  # the same rows
    lines = [(run / f"predictions-{split}.jsonl").read_text(encoding="utf-8") for split in ("validation", "test")]
    assert lines[0] == lines[1]


def test_a_resumed_run_that_did_not_evaluate_best_itself_evaluates_it(tmp_path, evaluations):
    settings = (*PLAIN, "train.lr_scheduler_type=constant_with_warmup", "train.warmup_steps=1", "data.test=null")
    train(tmp_path, *settings, "train.num_train_epochs=2", "eval.best_metric=loss", "train.learning_rate=0.3")
    state = json.loads((tmp_path / "run/last/trainer/state.json").read_text())
    del evaluations[:]
    config = load_config("bart_lcsts", overrides(tmp_path, *settings, "eval.best_metric=loss", "train.learning_rate=0.3",
                                                 "train.num_train_epochs=3"))  # fmt: skip
    run = training_run.train(config, resume=True)
    assert run.results()["best"]["step"] == state["best"]["step"]  # at this learning rate the loss only rises
    assert evaluations == [("evaluate at step 6", 8), ("final: validation", 8)]


def test_merged_adapters_are_evaluated_again(tmp_path, evaluations):
    train(tmp_path, *PLAIN, "train.num_train_epochs=1", "model.lora.rank=2", "data.test=null")
    assert evaluations == [("evaluate at step 2", 8), ("final: validation", 8)]


def test_a_sample_is_evaluated_during_the_training_and_all_rows_after_it(tmp_path, evaluations, capsys):
    run = train(tmp_path, *PLAIN, "train.num_train_epochs=2", "eval.limit=3", "data.test=null")
    assert evaluations == [("evaluate at step 2", 3), ("evaluate at step 4", 3), ("final: validation", 8)]
    assert "validation: 3 of its 8 rows are evaluated during the training (eval.limit)\n" in capsys.readouterr().err
    stored = run.results()
    assert stored["best"]["rows"] == 3 and stored["data"]["validation"]["rows_during_training"] == 3
    assert stored["data"]["validation"]["rows"] == 8


def test_a_sample_is_evaluated_before_the_training_and_its_scores_say_so(tmp_path, evaluations, capsys):
    run = train(tmp_path, "train.num_train_epochs=1", "eval.before_training=3", "data.test=null")
    assert evaluations == [("before training: validation", 3), ("evaluate at step 2", 8)]
    shown = capsys.readouterr()
    assert "validation: 3 of its 8 rows are evaluated before the training (eval.before_training)\n" in shown.err
    assert run.results()["before_training"]["validation"]["rows"] == 3
    assert next(event for event in run.events() if event.get("event") == "eval")["rows"] == 3
    assert "before (3 rows)" in split_table("validation", run.results()["metrics"]["validation"], run.results())[0]
    assert "before training (3 rows)" in (run / "report.html").read_text(encoding="utf-8")


def test_a_number_of_rows_is_at_least_one():
    with pytest.raises(UserError, match="eval.before_training"):
        load_config("bart_lcsts", ["eval.before_training=-1"])
    assert load_config("bart_lcsts", ["eval.before_training=1"]).eval.before_training is not True  # one row


def test_a_sample_is_random_and_the_same_for_every_seed(tmp_path):
    import numpy as np

    from paddle_ft.tasks.base import Dataset
    from paddle_ft.tasks.shared.evaluate import draw_sample

    dataset = Dataset("validation", [{"number": i} for i in range(100)], {"number": np.arange(100)}, np.arange(100))
    chosen, sample = draw_sample(dataset, 10, WHEN)
    numbers = [row["number"] for row in chosen.rows]
    assert sample == {"rows": 10} and len(set(numbers)) == 10 and numbers != list(range(10))
    assert list(chosen.columns["number"]) == numbers and chosen.lengths.tolist() == numbers
    assert [row["number"] for row in draw_sample(dataset, 10, WHEN)[0].rows] == numbers
    assert draw_sample(dataset, 100, WHEN) == (dataset, {}) and draw_sample(dataset, None, WHEN) == (dataset, {})
