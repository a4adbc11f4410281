"""Test the list of metrics: our own, a user's, and metrics that are not in it."""

import math
import sys

import pytest

from paddle_ft.metrics.registry import METRICS, Metric, find_metric, known_metrics
from paddle_ft.system import plugins
from paddle_ft.system.errors import UserError


@pytest.fixture
def user_module(monkeypatch, tmp_path):
    """Return a function that imports a module with this text, as --import does."""
    monkeypatch.setattr(plugins, "_USER_MODULES", [])
    monkeypatch.syspath_prepend(tmp_path)

    def import_metrics(text: str) -> None:
        (tmp_path / "my_metrics.py").write_text(f"from paddle_ft.metrics.registry import Metric\n{text}\n")
        plugins.import_user_modules(["my_metrics"])

    yield import_metrics
    sys.modules.pop("my_metrics", None)


def test_each_key_has_one_entry():
    keys = [metric.key for metric in METRICS]
    assert len(keys) == len(set(keys))


def test_metrics_are_hidden_by_plotted_ones():
    plotted = {metric.key for metric in METRICS if metric.plot == "scores"}
    assert all(plotted >= {metric.key, *metric.hidden_by} for metric in METRICS if metric.hidden_by)


def test_an_unknown_place_of_a_plot_is_refused():
    with pytest.raises(ValueError, match="Metric 'wer': plot is 'score', but must be"):
        Metric("wer", plot="score")


def test_lower_is_better_of_what_should_be_small():
    lower = {metric.key for metric in METRICS if metric.lower_is_better}
    assert lower == {
        "loss", "perplexity", "ece", "max_bleu", "exact_copies", "longest_copy", "longest_copy_max", "unsupported",
        "unsupported_summaries",
    }  # fmt: skip


def test_comparison_follows_the_direction():
    loss, accuracy = find_metric("loss"), find_metric("accuracy")
    assert loss.is_better(1.0, 2.0) and not loss.is_better(2.0, 1.0)
    assert accuracy.is_better(2.0, 1.0) and not accuracy.is_better(1.0, 2.0)
    for metric in (loss, accuracy):
        assert not metric.is_better(1.0, 1.0) and not metric.is_better(math.nan, 1.0)


def test_an_unknown_metric_is_better_high_and_named_by_its_key():
    unknown = find_metric("exact_match")
    assert (unknown.title, unknown.lower_is_better, unknown.decimals, unknown.in_report) == ("exact match", False, None, True)


def test_a_users_metrics_are_found_and_win(user_module):
    user_module('METRICS = (Metric("word_error_rate", "WER", "%", "lower"), Metric("rouge1", "R1"))')
    assert find_metric("word_error_rate").is_better(3.0, 4.0)
    assert find_metric("rouge1").title == "R1"
    assert list(known_metrics()) == [*(metric.key for metric in METRICS), "word_error_rate"]


def test_something_else_in_a_users_metrics_is_refused(user_module):
    user_module('METRICS = ("word_error_rate",)')
    with pytest.raises(UserError, match="'word_error_rate' is not a Metric"):
        find_metric("loss")
