"""Test the training loop: which checkpoint is the best, early stopping, non-finite steps, and what is logged."""

import math
import re

import numpy as np
import paddle
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.world import World
from paddle_ft.training import optim
from paddle_ft.training import run as training_run
from paddle_ft.training.loop import TrainLoop
from paddle_ft.training.step import Stepper
from paddle_ft.training.trackers import Trackers
from tests.support.regression import Regression, regression_dataset
from tests.support.tiny_runs import overrides, write_pairs


class Saved(Regression):
    best_metric = "loss"

    def set_model(self, bundle):
        super().set_model(bundle)
        bundle.save = lambda directory: (directory / "weights").write_text("weights")


class Noisy(Regression):
    """A regression that draws and stores a random number in each pass, as dropout does."""

    def loss(self, batch):
        self.draw = float(paddle.rand([1]))
        return self.model(batch["rows"])


def make_stepper(kind, folder, *settings):
    task = kind(load_config("bart_lcsts", overrides(folder, "train.num_train_epochs=4", *settings)))
    return Stepper(task, regression_dataset(), RunDirectory(folder), World())


def make_loop(folder, *settings):
    stepper = make_stepper(Saved, folder, *settings)
    return TrainLoop(stepper.task, stepper, None, stepper.run, Trackers(stepper.task.config, folder))


def score(loop, *values):
    """Pass evaluations to the loop, and return the step of the best one."""
    for value in values:
        loop.state.step += 1
        loop._update_best({"loss": 1.0, loop.best_metric: value})
    return loop.state.best["step"]


@pytest.mark.parametrize(
    ("metric", "best"), [("accuracy", 3), ("loss", 2), ("perplexity", 2), ("ece", 2), ("max_bleu", 2), ("exact_copies", 2)]
)
def test_which_score_is_better(tmp_path, metric, best):
    assert score(make_loop(tmp_path, f"eval.best_metric={metric}"), 0.5, 0.3, 0.7) == best


def test_patience_counts_from_the_best_evaluation(tmp_path):
    loop = make_loop(tmp_path, "eval.best_metric=accuracy", "eval.early_stopping_patience=2")
    score(loop, 0.5, 0.4, 0.6, 0.5)
    assert not loop.state.stopped_early and loop.state.patience_used == 1
    score(loop, 0.6 - 1e-9)
    assert loop.state.stopped_early


def test_scores_of_another_metric_are_not_compared(tmp_path, capsys):
    loop = make_loop(tmp_path, "eval.best_metric=accuracy", "eval.early_stopping_patience=2")
    loop.state.best = {"metric": "perplexity", "value": 40.0, "loss": 0.1, "step": 1}
    loop.state.step, loop.state.patience_used = 1, 1
    assert score(loop, 0.5, 0.4) == 2
    assert loop.state.best == {"metric": "accuracy", "value": 0.5, "loss": 1.0, "step": 2}
    assert loop.state.patience_used == 1 and not loop.state.stopped_early
    messages = capsys.readouterr().err
    assert messages.count("eval.best_metric is accuracy now and was perplexity: the previous best is not compared") == 1


def test_scores_of_other_rows_are_not_compared(tmp_path, capsys):
    loop = make_loop(tmp_path, "eval.best_metric=accuracy")
    loop.state.best = {"metric": "accuracy", "value": 90.0, "loss": 0.1, "step": 1, "rows": 5}
    loop.state.step = 1
    assert score(loop, 0.5) == 2
    assert "eval.limit has another value than before: the previous best is not compared" in capsys.readouterr().err


def test_each_step_draws_its_own_dropout_and_draws_it_again(tmp_path):
    draws = []
    for _ in range(2):
        stepper = make_stepper(Noisy, tmp_path)
        for step in range(3):
            stepper.train_step(step)
            draws.append(stepper.task.draw)
        stepper.close()
    assert len(set(draws[:3])) == 3
    assert draws[:3] == draws[3:]


class Steep(Regression):
    """A finite loss whose gradient is infinite."""

    def loss(self, batch):
        value = self.model(batch["rows"])
        return paddle.sqrt(value - value.detach()) + 1.0


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_ends_the_run_before_it_reaches_the_weights(tmp_path, limit):
    stepper = make_stepper(Steep, tmp_path, f"train.max_grad_norm={limit}", "train.warmup_proportion=0.0")
    with pytest.raises(UserError) as caught:
        stepper.train_step(0)
    stepper.close()
    assert re.match(
        r"The norm of the gradient of step 1 is (nan|inf), though its loss is finite\. Its rows are in .*bad-batch\.jsonl",
        str(caught.value),
    )
    assert len((tmp_path / "bad-batch.jsonl").read_text().splitlines()) == 4
    assert all(math.isfinite(float(p.sum())) for p in stepper.task.model.parameters())


@pytest.mark.parametrize("share", [0.5, 0.75, 0.99])
def test_clipping_begins_at_the_limit(share):
    parameter = paddle.create_parameter([2], "float32")
    (parameter * paddle.to_tensor([3.0, 4.0])).sum().backward()
    optim.clip_gradients([parameter], 5 * share)
    np.testing.assert_allclose(parameter.grad.numpy(), [3 * share, 4 * share], rtol=1e-5)


def test_the_share_of_padding_in_the_log(tmp_path):
    """Sources of 8, 7, 4 and 2 characters with two special tokens each are 29 tokens and 11 of padding in [4, 10]."""
    pairs = [("今天北京天气晴朗", "北京晴"), ("上海明天有大雨", "上海雨"), ("广州比赛", "广州赛"), ("深圳", "深圳铁")]
    data = write_pairs(tmp_path / "lengths.tsv", pairs)
    settings = overrides(tmp_path, f"data.train={data}", "train.max_steps=4", "train.logging_steps=2", "eval.before_training=false")
    run = training_run.train(load_config("bart_lcsts", settings))
    assert [e["padding_share"] for e in run.events() if e["event"] == "train"] == [11 / 40, 11 / 40]
