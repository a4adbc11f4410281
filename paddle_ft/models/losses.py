"""Losses of classifiers, one value a row. The task sums or weights them.

Shapes: b rows, c classes. `smoothing` moves that share of each row's target to the uniform distribution over the classes.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F


def cross_entropy(logits, labels, smoothing: float = 0.0):
    """Return minus the sum over the classes of target * log probability.

    log_softmax is avoided: on a CPU its values are never below -64.

    Args:
        logits: [b, c].
        labels: [b] class numbers.

    Returns:
        [b]
    """
    log_probabilities = logits - paddle.logsumexp(logits, axis=-1, keepdim=True)
    return -(_targets(logits, labels, smoothing) * log_probabilities).sum(axis=-1)


def binary_cross_entropy_over_softmax(logits, labels, smoothing: float = 0.0):
    """Return the binary cross-entropy of each class's softmax probability p, as BCELoss on a softmax and one-hot labels:

        mean over the classes of -(target * log p + (1 - target) * log(1 - p)).

    For two classes this is the cross-entropy itself. log p and log(1 - p) are computed from the logits, never from p, so that
    no logarithm of 0 can arise.

    Args:
        logits: [b, c].
        labels: [b] class numbers.

    Returns:
        [b]
    """
    targets = _targets(logits, labels, smoothing)
    classes = logits.shape[-1]
    total = paddle.logsumexp(logits, axis=-1, keepdim=True)
    itself = paddle.eye(classes, dtype=logits.dtype) * -1e30
    others = paddle.logsumexp(logits.unsqueeze(1) + itself, axis=-1)
    return -(targets * (logits - total) + (1 - targets) * (others - total)).mean(axis=-1)


def _targets(logits, labels, smoothing: float):
    """Return the target distribution of each row, [b, c]."""
    classes = logits.shape[-1]
    hard = F.one_hot(labels, classes).astype(logits.dtype)
    return hard * (1 - smoothing) + smoothing / classes
