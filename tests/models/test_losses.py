"""Test the losses of classifiers against their formulas, and their gradients against each other."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from paddle_ft.models.losses import binary_cross_entropy_over_softmax, cross_entropy

LABELS = np.array([0, 1, 1, 0])


def logits(classes, scale=1.0):
    values = np.random.default_rng(0).normal(size=(4, classes)) * scale
    return paddle.to_tensor(values.astype("float32"), stop_gradient=False)


def gradient(loss, values, *arguments):
    loss(values, paddle.to_tensor(LABELS), *arguments).sum().backward()
    return values.grad.numpy()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_for_two_classes_both_losses_and_their_gradients_are_the_same(smoothing):
    labels = paddle.to_tensor(LABELS)
    plain = cross_entropy(logits(2), labels, smoothing).numpy()
    np.testing.assert_allclose(binary_cross_entropy_over_softmax(logits(2), labels, smoothing).numpy(), plain, rtol=1e-5)
    first, second = gradient(cross_entropy, logits(2), smoothing), gradient(binary_cross_entropy_over_softmax, logits(2), smoothing)
    assert np.abs(first).max() > 0.1
    np.testing.assert_allclose(second, first, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 5])
def test_the_binary_loss_is_bceloss_on_a_softmax(classes):
    """The naive form, as in Paddle's tutorial, is exact for moderate logits."""
    values = logits(classes)
    targets = F.one_hot(paddle.to_tensor(LABELS), classes)
    naive = paddle.nn.BCELoss(reduction="none")(F.softmax(values), targets).mean(axis=-1)
    ours = binary_cross_entropy_over_softmax(values, paddle.to_tensor(LABELS))
    np.testing.assert_allclose(ours.numpy(), naive.numpy(), rtol=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy_over_softmax])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_very_wrong_prediction_has_a_finite_loss_and_a_gradient(loss, classes):
    values = paddle.to_tensor(np.tile([200.0] + [-200.0] * (classes - 1), (4, 1)).astype("float32"), stop_gradient=False)
    computed = loss(values, paddle.to_tensor(LABELS))
    # with three classes: -log p of the true class, and -log(1 - p) of the predicted class, whose 1 - p two others share
    expected = 400 if loss is cross_entropy or classes == 2 else (400 + 400 - np.log(2)) / 3
    assert computed.numpy()[1] == pytest.approx(expected)
    assert computed.numpy()[0] == 0
    gradients = gradient(loss, values)
    assert np.isfinite(gradients).all() and abs(gradients[1, 0]) > 0.3


def test_cross_entropy_is_paddles():
    values, labels = logits(3), paddle.to_tensor(LABELS)
    np.testing.assert_allclose(cross_entropy(values, labels).numpy(), F.cross_entropy(values, labels, reduction="none").numpy(),
                               rtol=1e-5)  # fmt: skip
    smooth = F.label_smooth(F.one_hot(labels, 3), epsilon=0.3)
    expected = F.cross_entropy(values, smooth, soft_label=True, reduction="none").squeeze(-1)
    np.testing.assert_allclose(cross_entropy(values, labels, 0.3).numpy(), expected.numpy(), rtol=1e-5)
