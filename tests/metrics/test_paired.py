"""Test the paired test against hand computation, the exact binomial test, and scipy's permutation test and bootstrap."""

import math

import numpy as np
import pytest

from paddle_ft.metrics.bleu import bleu4, bleu_counts
from paddle_ft.metrics.classification import class_counts, classification_scores
from paddle_ft.metrics.paired import EXACT_ROWS, RowCounts, compare_rows, holm, row_means
from paddle_ft.metrics.perplexity import loss_counts, perplexity


def test_all_swaps_of_few_rows_are_tried():
    """Of the 8 sign patterns of the differences 1, 2 and 4, the mean is as large as 7/3 for all plus and all minus."""
    difference = compare_rows(row_means({"x": [0, 0, 0]}), row_means({"x": [1, 2, 4]}))["x"]
    assert (difference.first, difference.second) == (0, pytest.approx(7 / 3))
    assert difference.p == 2 / 8 and difference.rows == 3
    assert compare_rows(row_means({"x": [0, 0, 0]}), row_means({"x": [1, 2, -3]}))["x"].p == 1


def test_equal_results_are_no_difference():
    counts = row_means({"x": np.arange(50.0)})
    difference = compare_rows(counts, counts)["x"]
    assert (difference.difference, difference.p, difference.interval) == (0, 1, (0, 0))


@pytest.mark.parametrize(("only_first", "only_second"), [(1, 8), (3, 10), (0, 5)])
def test_accuracy_with_few_disagreements_is_mcnemars_exact_test(only_first, only_second):
    """Rows that both have right or wrong do not matter; the others are heads and tails of a fair coin (McNemar, 1947)."""
    labels = np.zeros(100, dtype=int)
    first, second = np.zeros(100, dtype=int), np.zeros(100, dtype=int)
    first[:only_second] = 1  # wrong in the first alone
    second[50 : 50 + only_first] = 1
    n, k = only_first + only_second, min(only_first, only_second)
    assert n <= EXACT_ROWS
    expected = min(1, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)
    difference = compare_rows(class_counts(labels, first, 2), class_counts(labels, second, 2))["accuracy"]
    assert difference.p == pytest.approx(expected, abs=1e-12)
    assert difference.difference == only_second - only_first


def test_means_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    first = rng.normal(50, 20, 200)
    second = first + rng.normal(1.2, 8, 200)
    ours = compare_rows(row_means({"x": first}), row_means({"x": second}))["x"]

    def statistic(a, b, axis):
        return (b - a).mean(axis=axis)

    theirs = stats.permutation_test((first, second), statistic, permutation_type="samples", n_resamples=9999, random_state=1)
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.01) and 0.005 < ours.p < 0.2
    interval = stats.bootstrap((first, second), statistic, paired=True, method="percentile", n_resamples=9999, random_state=1)
    assert ours.interval == pytest.approx(tuple(interval.confidence_interval), abs=0.1)


def test_a_true_difference_is_found_and_chance_is_not():
    """Under the null hypothesis, p is below 0.05 in about 5 % of the samples."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)

    def predict(accuracy):
        return np.where(rng.random(400) < accuracy, labels, (labels + 1) % 3)

    def p(first, second):
        return compare_rows(class_counts(labels, first, 3), class_counts(labels, second, 3), n=500)["accuracy"].p

    assert p(predict(0.7), predict(0.85)) < 0.01
    false_alarms = sum(p(predict(0.8), predict(0.8)) < 0.05 for _ in range(200))
    assert 2 <= false_alarms <= 20


def test_class_counts_give_the_scores_of_the_classifier():
    rng = np.random.default_rng(1)
    labels, probabilities = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60)
    scores = classification_scores(labels, probabilities, bootstrap=0)
    totals = class_counts(labels, probabilities.argmax(axis=1), 3).totals()
    assert totals == pytest.approx({name: scores[name] for name in ("accuracy", "f1_macro", "matthews")}, abs=1e-4)


def test_grouped_rows_give_the_interval_of_single_rows():
    """Rows with the same counts are drawn together, which must not change the distribution."""
    rng = np.random.default_rng(5)
    labels, first, second = rng.integers(0, 2, (3, 300))
    grouped = class_counts(labels, first, 2), class_counts(labels, second, 2)
    scores = grouped[0].scores
    single = [RowCounts(np.hstack([one.counts, np.arange(300)[:, None]]), lambda sums: scores(sums[..., :-1])) for one in grouped]
    a, b = compare_rows(*grouped)["f1"], compare_rows(*single)["f1"]
    assert a.interval == pytest.approx(b.interval, abs=0.5) and a.p == pytest.approx(b.p, abs=0.03)
    assert a.first_interval == pytest.approx(b.first_interval, abs=0.5)


def test_losses_and_bleu_are_ratios_of_sums():
    losses = [{"nll": 2.0, "targets": 1, "correct": 1}, {"nll": 4.0, "targets": 3, "correct": 0}]
    totals = loss_counts(losses).totals()
    assert totals == {"loss": 1.5, "perplexity": pytest.approx(perplexity(6.0, 4)), "accuracy": 25.0}
    assert set(loss_counts([{"nll": 2.0, "targets": 1}]).totals()) == {"loss", "perplexity"}
    texts, targets = ["the cat sat on the mat today", "a b c d e"], ["the cat sat on a mat today", "a b c d f"]
    assert bleu_counts(texts, targets).totals()["bleu4"] == pytest.approx(bleu4(texts, targets), abs=1e-4)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert holm([0.6, 0.5]) == [1.0, 1.0] and holm([0.02]) == [0.02]


def test_rows_must_be_the_same():
    with pytest.raises(ValueError, match=r"counts \(2, 2\) and \(3, 2\): they must be of the same rows"):
        compare_rows(row_means({"x": [1, 2]}), row_means({"x": [1, 2, 3]}))
