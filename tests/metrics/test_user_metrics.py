"""Test a user's metrics that are computed on predictions: their values, and what is refused."""

import importlib.util

import numpy as np
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.metrics.bootstrap import confidence_interval
from paddle_ft.metrics.registry import Metric
from paddle_ft.metrics.user_metrics import compute_metrics
from paddle_ft.reporting.plots import _scores
from paddle_ft.reporting.records import Run
from paddle_ft.system import plugins
from paddle_ft.system.errors import UserError
from paddle_ft.tasks import find_task
from paddle_ft.tasks.base import Scores
from paddle_ft.tasks.shared.evaluate import add_user_metrics
from tests.support.examples import EXAMPLES


def compute(function, predictions, references, key="mine"):
    metric = Metric(key, compute=function, tasks=("summarization",))
    return compute_metrics([metric], predictions, references, seed=3, num_samples=200)


@pytest.fixture
def user_metrics(monkeypatch):
    """Return a function that defines metrics as a user's module does."""

    class Module:
        pass

    monkeypatch.setattr(plugins, "_USER_MODULES", [Module])
    Module.METRICS = ()
    return lambda *metrics: setattr(Module, "METRICS", metrics)


def make_task(recipe):
    config = load_config(recipe)
    return find_task(config.task.name)(config)


# ---------------------------------------------------------------------------------------------------- computing
def test_one_number_is_the_figure():
    assert compute(lambda predictions, references: 1 / 3, ["a", "b"], ["a", "c"]) == {"mine": 0.3333}
    assert compute(lambda predictions, references: np.float32(2), ["a"], ["a"]) == {"mine": 2.0}


def test_one_number_per_row_gives_the_mean_with_an_interval():
    values = [0, 50, 100, 100, 25]
    figures = compute(lambda predictions, references: values, list("abcde"), list("abcde"))
    low, high = confidence_interval(values, 3, 200)
    assert figures == {"mine": 55.0, "mine_ci": [round(low, 4), round(high, 4)]}
    assert low < 55 < high


def test_predictions_and_references_come_in_the_rows_order():
    pairs = []
    compute(lambda predictions, references: pairs.extend(zip(predictions, references)) or 0, ["a", "b"], ["x", "y"])  # noqa: B905
    assert pairs == [("a", "x"), ("b", "y")]


def fail(predictions, references):
    return 1 / 0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fail, f"'mine' cannot be computed: ZeroDivisionError: division by zero \\({__file__}:\\d+\\)"),
        (lambda predictions: 0, "'mine' cannot be computed: TypeError: .*takes 1 positional argument but 2 were given"),
        (lambda predictions, references: "x", "'mine' cannot be computed: ValueError: could not convert string to float: 'x'"),
        (lambda predictions, references: [1, 2, 3], r"'mine' gives \[3\] numbers for 2 rows: give one, or one a row"),
        (lambda predictions, references: [[1, 2]], r"'mine' gives \[1, 2\] numbers for 2 rows"),
    ],
)
def test_a_function_with_a_mistake_is_one_message(function, message):
    with pytest.raises(UserError, match=f"^METRICS: {message}"):
        compute(function, ["a", "b"], ["a", "b"])


# ---------------------------------------------------------------------------------------------------- for a task
ROWS = [{"source": "s", "target": "abc", "prediction": "abd"}, {"source": "s", "target": "abc", "prediction": "abc"}]


def exact(predictions, references):
    return [100 * (prediction == reference) for prediction, reference in zip(predictions, references, strict=True)]


def test_without_metrics_for_the_task_the_scores_do_not_change(user_metrics):
    scores = Scores({"loss": 1.0}, ROWS)
    task = make_task("bart_lcsts")
    assert add_user_metrics(task, scores) is scores
    user_metrics(Metric("exact", compute=exact, tasks=("classification",)), Metric("rouge1", "R1"))
    assert add_user_metrics(task, scores) is scores


def test_the_figures_follow_those_of_the_task(user_metrics):
    user_metrics(Metric("exact", compute=exact, tasks=("classification", "summarization")))
    scores = add_user_metrics(make_task("bart_lcsts"), Scores({"loss": 1.0, "rougeL": 2.0}, ROWS))
    assert list(scores.metrics) == ["loss", "rougeL", "exact", "exact_ci"] and scores.metrics["exact"] == 50
    assert scores.predictions == ROWS
    rows = [{"text": "t", "label": "yes", "prediction": "yes"}]
    assert add_user_metrics(make_task("distilbert_sst2"), Scores({"loss": 1.0}, rows)).metrics["exact"] == 100
    assert add_user_metrics(make_task("bart_lcsts"), Scores({"loss": 1.0})).metrics == {"loss": 1.0}, "a baseline without texts"


@pytest.mark.parametrize(
    ("recipe", "metric", "message"),
    [
        ("bart_lcsts", Metric("exact", compute=exact, tasks=("summarisation",)),
         "'exact' is for 'summarisation', which is no task. Tasks: causal_lm, classification, "),
        ("gpt2_booksum", Metric("exact", compute=exact, tasks=("causal_lm",)),
         "'exact' is for causal_lm, whose predictions have no references to compare with"),
        ("bart_lcsts", Metric("rougeL", compute=exact, tasks=("summarization",)),
         "'rougeL' is already a metric of summarization: give yours another key"),
    ],
)  # fmt: skip
def test_a_metric_that_cannot_be_computed_is_refused(user_metrics, recipe, metric, message):
    user_metrics(metric)
    with pytest.raises(UserError, match=f"^METRICS: {message}"):
        add_user_metrics(make_task(recipe), Scores({"loss": 1.0, "rougeL": 2.0}, ROWS))


@pytest.mark.parametrize("settings", [{"compute": exact}, {"tasks": ("lyrics",)}, {"compute": exact, "tasks": "lyrics"}])
def test_compute_and_tasks_go_together(settings):
    with pytest.raises(ValueError, match="Metric 'exact': compute goes with the tasks it is for"):
        Metric("exact", **settings)


def test_the_plot_of_scores_shows_those_that_ask_for_it(user_metrics):
    user_metrics(Metric("exact", plot="scores", compute=exact, tasks=("summarization",)),
                 Metric("hidden", compute=exact, tasks=("summarization",)))  # fmt: skip
    event = {"step": 1, "rougeL": 3.0, "bleu4": 1.0, "exact": 50.0, "hidden": 1.0}
    figure = _scores(Run(None, evaluations={"validation": [event]}))
    assert [line.get_label() for line in figure.axes[0].lines] == ["ROUGE-L", "exact"]


# ---------------------------------------------------------------------------------------------------- the example
@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("my_metric", EXAMPLES / "my_metric.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("carlow closes old bridge", "Granby closes old bridge", 68.87433043392795),
        ("北京天气晴", "北京今天晴朗", 17.960526315789473),
        ("the cat sat on the mat", "the cat is on the mat", 64.5779420625287),
        ("a", "ab", 55.55555555555556),
        ("abc", "xyz", 0),
        ("", "abc", 0),
        ("same text", "same text", 100),
    ],
)
def test_chrf_is_that_of_sacrebleu(example, prediction, reference, score):
    """The scores are those of sacrebleu 2, sentence_chrf with its defaults."""
    assert example.chrf([prediction], [reference]) == [pytest.approx(score, abs=1e-9)]


def test_balanced_accuracy_counts_each_class_once(example):
    labels, predicted = ["a"] * 8 + ["b"] * 2, ["a"] * 8 + ["a", "b"]
    assert example.balanced_accuracy(predicted, labels) == 75
    assert example.balanced_accuracy(labels, labels) == 100
