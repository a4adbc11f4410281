"""Compute the losses of classifiers, one value for each row. The task weights and sums them.

Shapes: b rows, c classes. `smoothing` is the share of each row's target that is spread evenly over all classes.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F


def cross_entropy(logits, labels, smoothing: float = 0.0):
    """Return minus the sum over the classes of target * log probability.

    log_softmax is not used because Paddle cuts its values at -64 on a CPU.

    Args:
        logits: [b, c].
        labels: [b] class numbers.
        smoothing: label smoothing, 0 to 1.

    Returns:
        [b]
    """
    log_probabilities = logits - paddle.logsumexp(logits, axis=-1, keepdim=True)
    return -(_targets(logits, labels, smoothing) * log_probabilities).sum(axis=-1)


def binary_cross_entropy_over_softmax(logits, labels, smoothing: float = 0.0):
    """Return the binary cross-entropy of each class's softmax probability, as BCELoss gives for a softmax and one-hot labels.

    With the softmax probability p this is the mean over the classes of -(target * log p + (1 - target) * log(1 - p)). For two
    classes it equals the cross-entropy. log p and log(1 - p) are computed from the logits, so that no logarithm of 0 occurs.

    Args:
        logits: [b, c].
        labels: [b] class numbers.
        smoothing: label smoothing, 0 to 1.

    Returns:
        [b]
    """
    targets = _targets(logits, labels, smoothing)
    classes = logits.shape[-1]
    total = paddle.logsumexp(logits, axis=-1, keepdim=True)
    own_class = paddle.eye(classes, dtype=logits.dtype) * -1e30
    others = paddle.logsumexp(logits.unsqueeze(1) + own_class, axis=-1)
    return -(targets * (logits - total) + (1 - targets) * (others - total)).mean(axis=-1)


def _targets(logits, labels, smoothing: float):
    """Return the target distribution of each row, [b, c]."""
    classes = logits.shape[-1]
    hard = F.one_hot(labels, classes).astype(logits.dtype)
    return hard * (1 - smoothing) + smoothing / classes
