"""Test after which steps the loop evaluates, saves and logs, and the evaluation of a batch before the first step."""

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.summarization import Summarization
from paddle_ft.training import checkpoint
from paddle_ft.training import run as training_run
from tests.support import tiny_runs
from tests.support.tiny_runs import PAIRS, overrides, write_pairs

QUICK = ("eval.before_training=false", "train.num_train_epochs=1", "train.train_batch_size=1", "generation.num_beams=1")


def train(folder, *settings):
    return tiny_runs.train(folder, *QUICK, *settings)


def evaluated(run) -> list[int]:
    return [event["step"] for event in run.events() if event["event"] == "eval" and event["step"]]


def test_evaluations_and_saves_within_an_epoch(tmp_path):
    """Of eight steps in an epoch every third and the last are evaluated, every fifth and the last saved."""
    run = train(tmp_path, "eval.eval_steps=3", "train.save_steps=5", "train.keep_checkpoints=9")
    assert evaluated(run) == [3, 6, 8]
    assert [path.name for path in run.path.glob("checkpoint-*")] == ["checkpoint-00000005"]


def test_without_eval_steps_each_epoch_is_evaluated(tmp_path):
    run = train(tmp_path, "train.num_train_epochs=1.25", "train.keep_checkpoints=9")
    assert evaluated(run) == [8, 10]
    assert [path.name for path in run.path.glob("checkpoint-*")] == ["checkpoint-00000008"]


def test_steps_before_an_early_stop_are_logged_and_counted(tmp_path):
    run = train(tmp_path, "eval.best_metric=rougeL", "eval.early_stopping_patience=1", "train.learning_rate=1e-12",
                "eval.eval_steps=3", "train.logging_steps=4")  # fmt: skip
    assert evaluated(run) == [3, 6]
    logged = [event for event in run.events() if event["event"] == "train"]
    assert [event["step"] for event in logged] == [4, 6]
    assert logged[1]["loss"] == pytest.approx(logged[0]["loss"], rel=0.3)
    assert checkpoint.read_state(run / "last")["samples"] == 6
    assert run.results()["train"]["samples_per_second"] > 0


@pytest.mark.parametrize("broken", ["validation", "test"])
def test_a_batch_of_every_split_is_tried_before_anything_is_written(tmp_path, monkeypatch, broken):
    real, rows = Summarization.scores, {}

    def scores(self, dataset, result):
        rows.setdefault(dataset.split, []).append(len(dataset))
        if dataset.split == broken:
            raise UserError(f"{broken} cannot be evaluated")
        return real(self, dataset, result)

    monkeypatch.setattr(Summarization, "scores", scores)
    with pytest.raises(UserError, match=f"{broken} cannot be evaluated"):
        train(tmp_path, "eval.eval_batch_size=3")
    assert not (tmp_path / "run").exists()
    assert rows == ({"validation": [3]} if broken == "validation" else {"validation": [3], "test": [3]})


def test_check_tries_both_splits_and_takes_two_steps(tmp_path, capsys):
    write_pairs(tmp_path / "one.tsv", PAIRS[:1])
    training_run.check(load_config("bart_lcsts", overrides(tmp_path, *QUICK, f"data.test={tmp_path / 'one.tsv'}")))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" evaluated")[0].split()[-1] for line in lines if line.startswith("two batches")] == ["validation", "test"]
    assert "steps               8 (8 an epoch)" in lines
