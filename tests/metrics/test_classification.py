import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from paddle_ft.metrics.classification import classification_scores, expected_calibration_error, majority_probabilities


def one_hot(predictions, classes, confidence=1.0):
    rest = (1 - confidence) / (classes - 1)
    return np.where(np.arange(classes) == np.array(predictions)[:, None], confidence, rest)


def test_two_classes_by_hand():
    # true 1: 3 found, 1 missed; true 0: 4 right, 2 taken for 1
    labels = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    predictions = [1, 1, 1, 0, 0, 0, 0, 0, 1, 1]
    scores = classification_scores(labels, one_hot(predictions, 2))
    assert scores["confusion_matrix"] == [[4, 2], [1, 3]]
    assert scores["accuracy"] == 70.0
    assert scores["f1"] == pytest.approx(100 * 6 / 9, abs=1e-4)  # 2 * 3 / (2 * 3 + 2 + 1)
    assert scores["f1_macro"] == pytest.approx(100 * (6 / 9 + 8 / 11) / 2, abs=1e-4)
    assert scores["matthews"] == pytest.approx(100 * (3 * 4 - 2 * 1) / np.sqrt(5 * 4 * 6 * 5), abs=1e-4)
    assert scores["ece"] == 30.0  # confidence 100 %, accuracy 70 %


def test_three_classes_by_hand_with_one_that_never_occurs():
    scores = classification_scores([0, 0, 1, 1], one_hot([0, 1, 1, 1], 3), bootstrap=0)
    assert scores["confusion_matrix"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert scores["f1_macro"] == pytest.approx(100 * (2 / 3 + 4 / 5) / 2, abs=1e-4)
    assert "f1" not in scores and "accuracy_ci" not in scores


def test_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 5, 400), random.integers(0, 5, 400)
    predictions[::2] = labels[::2]
    scores = classification_scores(labels, one_hot(predictions, 5), bootstrap=0)
    assert scores["accuracy"] == pytest.approx(100 * sklearn_metrics.accuracy_score(labels, predictions), abs=1e-4)
    macro = sklearn_metrics.f1_score(labels, predictions, average="macro")
    assert scores["f1_macro"] == pytest.approx(100 * macro, abs=1e-4)
    matthews = sklearn_metrics.matthews_corrcoef(labels, predictions)
    assert scores["matthews"] == pytest.approx(100 * matthews, abs=1e-4)
    assert scores["confusion_matrix"] == sklearn_metrics.confusion_matrix(labels, predictions).tolist()


def test_one_class_alone():
    scores = classification_scores([1, 1, 0], one_hot([1, 1, 1], 2), bootstrap=200)
    assert scores["matthews"] == 0 and scores["matthews_ci"] == [0, 0]
    assert scores["f1"] == 80.0


def test_intervals():
    labels = [1] * 100
    probabilities = one_hot([1] * 80 + [0] * 20, 2)
    scores = classification_scores(labels, probabilities)
    low, high = scores["accuracy_ci"]
    assert 70 <= low <= 74 and 86 <= high <= 89  # binomial: 80 +- 7.8
    assert scores == classification_scores(labels, probabilities)
    assert scores != classification_scores(labels, probabilities, seed=1)


def test_calibration_by_hand():
    # bin (0.5333, 0.6]: two at 0.6, one right: gap 2 * 0.6 - 1 = 0.2; bin (0.8667, 0.9333]: one at 0.9, right: gap 0.1
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1]])
    assert expected_calibration_error(np.array([0, 0, 0]), probabilities) == pytest.approx(100 * 0.3 / 3)
    assert expected_calibration_error(np.array([0]), np.array([[1.0, 0.0]])) == 0


def test_calibration_has_fifteen_bins():
    # 0.52 (right) and 0.58 (wrong) lie in two bins of a fifteenth, in one of a tenth; 0.62 (wrong) and 0.66 (right) share one
    probabilities = np.array([[0.52, 0.48], [0.58, 0.42], [0.62, 0.38], [0.66, 0.34]])
    labels = [0, 1, 1, 0]
    expected = 0.48 + 0.58 + abs(0.34 - 0.62)
    assert expected_calibration_error(np.array(labels), probabilities) == pytest.approx(100 * expected / 4)
    assert classification_scores(labels, probabilities, bootstrap=0)["ece"] == pytest.approx(100 * expected / 4, abs=1e-4)


def test_majority_baseline():
    probabilities = majority_probabilities([2, 2, 0, 1], examples=3, classes=4)
    assert probabilities.tolist() == [[0.25, 0.25, 0.5, 0.0]] * 3
    scores = classification_scores([2, 2, 0], probabilities, bootstrap=0)
    assert scores["accuracy"] == pytest.approx(66.6667)
    assert scores["ece"] == pytest.approx(16.6667)  # confidence 50 %, accuracy 66.7 %
    with pytest.raises(ValueError, match="no training labels"):
        majority_probabilities([], 3, 2)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[1.0, 0.0]], r"labels \(2,\) and probabilities \(1, 2\) do not match"),
        ([], np.zeros((0, 2)), "do not match"),
        ([2], [[1.0, 0.0]], "labels from 2 to 2, but there are 2 classes from 0"),
        ([-1], [[1.0, 0.0]], "labels from -1 to -1"),
        ([0], [[2.3, -1.1]], "were logits passed"),
        ([0], [[np.nan, 1.0]], "must be at least 0 and sum to 1"),
    ],
)
def test_wrong_input(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        classification_scores(labels, np.array(probabilities))


def test_the_bins_of_the_reliability_diagram_by_hand():
    """Two bins: three rows of 0.95 and 0.94 of which two are right, and one row of 0.6 that is wrong."""
    probabilities = np.array([[0.95, 0.05], [0.05, 0.95], [0.94, 0.06], [0.6, 0.4]])
    scores = classification_scores([0, 1, 1, 1], probabilities, bootstrap=0)
    assert scores["calibration"] == [
        {"rows": 1, "confidence": 60.0, "accuracy": 0.0},
        {"rows": 3, "confidence": 94.67, "accuracy": 66.67},
    ]
    assert scores["ece"] == pytest.approx(100 * (0.6 + abs(2 - 2.84)) / 4, abs=1e-3)
