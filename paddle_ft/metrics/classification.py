"""Score a classifier by its probabilities. All scores are in percent (0-100; Matthews -100 to 100)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paddle_ft.metrics.paired import RowCounts

ECE_BINS = 15


def classification_scores(labels: Sequence[int], probabilities: np.ndarray, *, bootstrap: int = 1000, seed: int = 0) -> dict:
    """Return accuracy, F1, Matthews correlation and calibration error. The likeliest class counts as the prediction.

    Args:
        labels: [examples], the true classes, numbered from 0.
        probabilities: [examples, classes], rows sum to 1.
        bootstrap: number of resamples for the 95 % intervals over examples; 0: no intervals.
        seed: seed of the resampling.

    Returns:
        "accuracy", "f1_macro" and "matthews", each with its interval under NAME_ci; "ece"; "calibration" (see calibration_bins);
        and "confusion_matrix" (rows: true, columns: predicted). With two classes also "f1" (of class 1) and its interval.

    Raises:
        ValueError: the shapes do not match, a label is not the number of a class, or rows are not probabilities.
    """
    labels, probabilities = _check_arrays(labels, probabilities)
    examples, classes = probabilities.shape
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), classes)
    result = {name: round(float(value), 4) for name, value in matrix_scores(matrix).items()}
    if bootstrap:
        # All examples in a cell of the matrix count the same, so drawing counts per cell equals drawing examples with replacement.
        cells = np.random.default_rng(seed).multinomial(examples, matrix.ravel() / examples, size=bootstrap)
        for name, values in matrix_scores(cells.reshape(bootstrap, classes, classes)).items():
            result[f"{name}_ci"] = [round(float(end), 4) for end in np.quantile(values, [0.025, 0.975])]
    result["ece"] = round(expected_calibration_error(labels, probabilities), 4)
    result["calibration"] = [
        {"rows": rows, "confidence": round(100 * confidence, 2), "accuracy": round(100 * accuracy, 2)}
        for rows, confidence, accuracy in calibration_bins(labels, probabilities)
    ]
    result["confusion_matrix"] = matrix.tolist()
    return result


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Return the counts [true class, predicted class]."""
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def matrix_scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, F1 and Matthews correlation of confusion matrices.

    Args:
        matrix: [..., true, predicted], counts.

    Returns:
        Name of the score -> [...], in percent; see class_scores.
    """
    return class_scores(np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1), matrix.sum(axis=-2))


def class_scores(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, F1 and Matthews correlation of counts for each class.

    Macro F1 is the mean over the classes that occur as a label or as a prediction. Matthews is 0 if there is only one label or
    only one prediction.

    Args:
        hits: [..., classes], rows of the class that were predicted right.
        true: [..., classes], rows of the class.
        predicted: [..., classes], rows for which the class was predicted.

    Returns:
        Name of the score -> [...], in percent.

    Source: Gorodkin (2004), Comparing two K-category assignments by a K-category correlation coefficient (Matthews).
    """
    hits, true, predicted = (counts.astype(np.float64) for counts in (hits, true, predicted))
    total, correct = true.sum(axis=-1), hits.sum(axis=-1)
    occurs = true + predicted > 0
    f1 = 2 * hits / np.where(occurs, true + predicted, 1)
    product = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (true**2).sum(axis=-1))
    matthews = (correct * total - (true * predicted).sum(axis=-1)) / np.sqrt(np.where(product > 0, product, np.inf))
    scores = {"accuracy": 100 * correct / total}
    if hits.shape[-1] == 2:
        scores["f1"] = 100 * f1[..., 1]
    scores["f1_macro"] = 100 * f1.sum(axis=-1) / occurs.sum(axis=-1)
    scores["matthews"] = 100 * matthews
    return scores


def class_counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> RowCounts:
    """Return what each row adds to the scores of class_scores, for a paired test.

    Args:
        labels, predictions: [rows], numbers of classes.
        classes: number of classes.
    """
    true, predicted = np.eye(classes)[labels], np.eye(classes)[predictions]
    counts = np.hstack([true * predicted, true, predicted])
    return RowCounts(counts, lambda sums: class_scores(*np.split(sums, 3, axis=-1)))


def cross_entropy(labels: Sequence[int], probabilities: np.ndarray) -> float:
    """Return the mean of row_cross_entropy."""
    return float(row_cross_entropy(labels, probabilities).mean())


def row_cross_entropy(labels: Sequence[int], probabilities: np.ndarray) -> np.ndarray:
    """Return -log(probability of the true class) of each row, in nats. Probabilities below 1e-15 are raised to 1e-15."""
    true = np.asarray(probabilities)[np.arange(len(labels)), np.asarray(labels)]
    return -np.log(np.maximum(true, 1e-15))


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray, bins: int = ECE_BINS) -> list[tuple[int, float, float]]:
    """Return (rows, mean confidence, accuracy) of each bin that has rows, as shares. The confidence is the highest probability.

    The bins divide (0, 1] into intervals of equal width. Each includes its upper end.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks (reliability diagrams).
    """
    confidence = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return [
        (int((index == i).sum()), float(confidence[index == i].mean()), float(is_correct[index == i].mean()))
        for i in np.unique(index)
    ]


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = ECE_BINS) -> float:
    """Return the mean difference between confidence and accuracy over the calibration_bins, weighted by their sizes, in percent.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks.
    """
    gaps = [rows * abs(accuracy - confidence) for rows, confidence, accuracy in calibration_bins(labels, probabilities, bins)]
    return 100 * sum(gaps) / len(labels)


def majority_probabilities(train_labels: Sequence[int], examples: int, classes: int) -> np.ndarray:
    """Return the predictions of a baseline that knows only how often each class occurs in the training data.

    Args:
        train_labels: the classes of the training examples.
        examples: number of examples to predict.
        classes: number of classes.

    Returns:
        [examples, classes]. Every row is the shares of the classes in `train_labels`, so its argmax is the most frequent class
        (the first of equally frequent ones).

    Raises:
        ValueError: there are no training labels.
    """
    if not len(train_labels):
        raise ValueError("there are no training labels, so there is no most frequent class")
    shares = np.bincount(np.asarray(train_labels), minlength=classes) / len(train_labels)
    return np.tile(shares, (examples, 1))


def _check_arrays(labels: Sequence[int], probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays. Raise ValueError if they do not match each other or are not labels and probabilities."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} do not match: [n] and [n, classes]")
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}, but there are {classes} classes from 0")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3) or probabilities.min() < 0:
        raise ValueError("rows of probabilities must be at least 0 and sum to 1 (were logits passed?)")
    return labels, probabilities
