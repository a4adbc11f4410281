"""Test the rules: a round trip is the identity, names are unique, and every family's rules are consistent."""

import numpy as np
import pytest

from convert.checkpoint import HfCheckpoint
from convert.config import PaddleConfig, complete
from convert.errors import ConvertError
from convert.families import load_families
from convert.formats import StoredTensor
from convert.plan_to_paddle import plan_to_paddle
from convert.request import Request
from convert.rules import Alias, Conv1D, Embedding, If, LayerNorm, Linear, Parameter, Repeat, expand
from convert.tensors import Weights

SIZES = {"h": 6, "f": 10, "v": 9, "n": 3}
RULES = (
    Embedding("wte", "words", "v", "h"),
    Repeat("n", (
        Linear("h.{i}.a", "l.{i}.b", "h", "f"),
        Conv1D("h.{i}.qkv", ("l.{i}.q", "l.{i}.k", "l.{i}.v"), "h", "h"),
        LayerNorm("h.{i}.ln", "l.{i}.norm", "h"),
    )),
    If(lambda config: config["n"] > 2, (Linear("deep", "deep", "h", "h", bias=False),)),
)  # fmt: skip
HEAD = (Parameter("bias", "head_bias", ("v",)), Alias("wte.weight", "head.weight", "head_weight"))


def expanded(**sizes):
    return expand(RULES, HEAD, {**SIZES, **sizes}, head_group="head of test", hf_prefix="hf.", paddle_prefix="pd.")


def test_forward_then_inverse_is_the_identity():
    rng = np.random.default_rng(0)
    for pair in expanded():
        tensor = rng.normal(size=pair.shape).astype(np.float32)
        parameters = pair.to_paddle(tensor)
        assert [part.shape for part in parameters] == [pair.paddle_shape] * len(pair.paddle)
        np.testing.assert_array_equal(pair.to_hf(parameters), tensor)


@pytest.mark.parametrize("name", sorted(load_families()))
def test_forward_then_inverse_is_the_identity_for_every_tensor_of_every_family(name):
    family, rng = load_families()[name], np.random.default_rng(0)
    for task in family.tasks:
        sizes = small_config(family, task)
        for pair in family.pairs(task, sizes):
            tensor = rng.normal(size=pair.shape)
            np.testing.assert_array_equal(pair.to_hf(pair.to_paddle(tensor)), tensor, err_msg=pair.hf)


def small_config(family, task):
    """Return the family's default configuration with small sizes that are all different."""
    sizes = complete({}, family.entries(task))
    numbers = [key for key, value in sizes.items() if isinstance(value, int) and not isinstance(value, bool) and value > 8]
    return sizes | {key: 2 * number + 6 for number, key in enumerate(numbers)}


def test_a_linear_layer_is_transposed_and_a_conv1d_is_split_without():
    pairs = {pair.hf: pair for pair in expanded()}
    weight = np.arange(60.0).reshape(10, 6)
    np.testing.assert_array_equal(pairs["hf.h.1.a.weight"].to_paddle(weight)[0], weight.T)
    joined = np.arange(108.0).reshape(6, 18)
    parts = pairs["hf.h.0.qkv.weight"].to_paddle(joined)
    np.testing.assert_array_equal(parts[1], joined[:, 6:12])
    assert pairs["hf.h.0.qkv.weight"].paddle == ("pd.l.0.q.weight", "pd.l.0.k.weight", "pd.l.0.v.weight")


def test_names_carry_their_prefixes_and_further_names_are_attached():
    pairs = {pair.hf: pair for pair in expanded()}
    assert pairs["bias"].paddle == ("head_bias",) and pairs["bias"].group == "head of test"
    assert pairs["hf.wte.weight"].hf_aliases == ("head.weight",) and pairs["hf.wte.weight"].paddle_aliases == ("head_weight",)
    assert sum(name.startswith("hf.h.") for name in pairs) == 3 * 6


def test_a_conditional_rule_applies_only_if_its_condition_holds():
    assert "hf.deep.weight" in {pair.hf for pair in expanded()}
    assert "hf.deep.weight" not in {pair.hf for pair in expanded(n=2)}


def test_rules_that_give_a_name_twice_are_refused():
    with pytest.raises(AssertionError, match="named twice: \\['a.weight'\\]"):
        expand((Linear("a", "b", 2, 3, bias=False), Linear("a", "c", 2, 3, bias=False)), (), {}, head_group="x")


def test_an_unknown_tensor_a_missing_one_and_a_wrong_shape_are_all_listed(tmp_path):
    family = load_families()["distilbert"]
    task = family.task("sequence_classification")
    config = {"dim": 6, "n_layers": 1, "hidden_dim": 10, "vocab_size": 9, "max_position_embeddings": 5}
    sizes = complete(config, family.entries(task))
    tensors = {
        pair.hf: StoredTensor(pair.hf, "float32", pair.shape, tmp_path, lambda shape=pair.shape: np.zeros(shape, "f4"))
        for pair in family.pairs(task, sizes)
    }
    del tensors["distilbert.transformer.layer.0.ffn.lin1.bias"]
    tensors["distilbert.surprise"] = StoredTensor("distilbert.surprise", "float32", (2, 3), tmp_path, lambda: None)
    tensors["classifier.bias"] = StoredTensor("classifier.bias", "float32", (7,), tmp_path, lambda: None)
    weights, translated = Weights([], tensors), PaddleConfig({}, {}, sizes)
    checkpoint = HfCheckpoint(tmp_path, config, {}, family, task, Request(), weights, translated, tokenizer=tmp_path, notes=())
    with pytest.raises(ConvertError) as error:
        plan_to_paddle(checkpoint)
    text = str(error.value)
    assert "distilbert.surprise (2, 3): no place for it in DistilBertForSequenceClassification" in text
    assert (
        "distilbert.encoder.layers.0.linear1.bias (10,): the checkpoint has no distilbert.transformer.layer.0.ffn.lin1.bias" in text
    )
    assert "classifier.bias: shape (7,), the configuration makes it (2,)" in text
    assert text.count("\n") == 3
