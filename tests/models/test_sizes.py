"""Test which values of a model's configuration are refused."""

import pytest
from paddlenlp.transformers import BertConfig

from paddle_ft.models.sizes import wrong_values


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("hidden_size", "16", "must be a whole number"), ("hidden_size", 16.0, "must be a whole number"),
        ("hidden_size", True, "must be a whole number"), ("hidden_size", None, "must be a whole number"),
        ("hidden_size", -1, "must not be negative"), ("hidden_size", 10**400, "must be a whole number"),
        ("hidden_dropout_prob", 1.5, "must be a probability, 0 to 1"), ("dropout", "x", "must be a number"),
        ("layer_norm_eps", float("nan"), "must be a number"), ("hidden_act", 3, "must be text"),
        ("fuse", 1, "must be true or false"), ("pad_token_id", "0", "must be the number of a token"),
    ],
)  # fmt: skip
def test_wrong_values(key, value, problem):
    assert list(wrong_values({"num_hidden_layers": 2, key: value}, BertConfig)) == [(key, value, problem)]


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": 16, "hidden_dropout_prob": 0, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}, {"pad_token_id": None},
        {"dropout": None}, {"classifier_dropout": 0.1},
        {"eos_token_id": [1, 2]}, {"unknown": object()}, {},
    ],
)  # fmt: skip
def test_right_values(values):
    assert list(wrong_values(values, BertConfig)) == []
