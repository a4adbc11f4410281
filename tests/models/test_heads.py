"""Test the LSTM attention head against its formula, and that it does not read padding."""

import numpy as np
import paddle
from paddlenlp.transformers import BertConfig, BertForSequenceClassification

from paddle_ft.models.architectures import Architecture
from paddle_ft.models.heads import LSTMAttention, with_lstm_attention
from tests.support.tiny_models import IDS, MASK, SIZES


def layer(size=6):
    paddle.seed(3)
    return LSTMAttention(size)


def states(steps, size=6, seed=0):
    return np.random.default_rng(seed).normal(size=(1, steps, size)).astype("float32")


def test_the_head_computes_its_formula():
    head, x = layer(), states(4)
    outputs = head.lstm(paddle.to_tensor(x))[0].numpy()[0]
    scores = np.tanh(outputs) @ head.score.weight.numpy()[:, 0]
    weights = np.exp(scores) / np.exp(scores).sum()
    expected = np.tanh((weights[:, None] * outputs).sum(axis=0))
    pooled = head(paddle.to_tensor(x), paddle.ones([1, 4], "int64")).numpy()[0]
    np.testing.assert_allclose(pooled, expected, atol=1e-6)


def test_padding_changes_nothing():
    head, x = layer(), states(4)
    alone = head(paddle.to_tensor(x), paddle.ones([1, 4], "int64")).numpy()
    padded = np.concatenate([x, 5 * states(3, seed=1)], axis=1)
    mask = paddle.to_tensor(np.array([[1] * 4 + [0] * 3]))
    np.testing.assert_allclose(head(paddle.to_tensor(padded), mask).numpy(), alone, atol=1e-6)


def test_both_directions_are_read():
    head, x = layer(), states(4)
    outputs = head.lstm(paddle.to_tensor(x))[0].numpy()[0]
    changed = x.copy()
    changed[0, -1] += 1
    later = head.lstm(paddle.to_tensor(changed))[0].numpy()[0]
    np.testing.assert_array_equal(outputs[0, :3], later[0, :3])  # the forward direction has not read the last step yet
    assert np.abs(outputs[0, 3:] - later[0, 3:]).max() > 1e-4


def test_an_architecture_names_its_sizes():
    own = Architecture(name="own", config_class="BertConfig", model_classes={}, hidden_size=lambda config: config.width,
                       hidden_dropout=lambda config: config.rate)  # fmt: skip
    config = BertConfig(**SIZES, hidden_dropout_prob=0.0, num_labels=3, width=SIZES["hidden_size"], rate=0.25)
    model = with_lstm_attention(BertForSequenceClassification, own)(config)
    assert model.dropout.p == 0.25
    assert model(IDS, attention_mask=MASK).shape == [IDS.shape[0], 3]
