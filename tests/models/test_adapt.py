"""Test that the changes that adapt_model makes to a model work together, two at a time and all at once."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from paddle_ft.config.schema import LoRASection
from paddle_ft.models import adapt, lora
from paddle_ft.models.adapt import adapt_model
from paddle_ft.models.attention import use_attention
from paddle_ft.models.bundle import ModelBundle
from paddle_ft.models.compile import CompiledStack, compile_stacks
from paddle_ft.models.cpu_layers import use_cpu_layers
from paddle_ft.models.recompute import recompute_activations, transformer_layers
from paddle_ft.system.errors import UserError
from paddle_ft.system.paddle_compat import replaced_forward
from tests.support.model_families import assert_same, inputs, make_model, output_and_gradients
from tests.support.models import uses_sdpa


def add_lora(model):
    paddle.seed(5)
    lora.add_adapters(model, LoRASection(rank=2, dropout=0.0), new_tokens=False)
    for layer in lora.adapted_layers(model).values():
        layer.lora_B.set_value(paddle.randn(layer.lora_B.shape) * 0.3)


CHANGE_OF = {  # a change of adapt_model -> how it is made to a model
    "lora": add_lora,
    "attention": lambda model: use_attention(model, "sdpa"),
    "cpu_layers": use_cpu_layers,
    "recompute": recompute_activations,
    "compile": compile_stacks,
}
EXCLUDED = ({"cpu_layers", "compile"}, {"recompute", "compile"})
PAIRS = [pair for pair in combinations(adapt.CHANGES, 2) if set(pair) not in EXCLUDED]  # in the order of adapt_model
NO_DROPOUT = {
    "bart": {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0},
    "gpt": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "distilbert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}


def make_changed_model(name, changes, **config):
    """Return a model in training mode with these changes made to it."""
    model = make_model(name, **config)
    for change in changes:
        CHANGE_OF[change](model)
    model.train()
    return model


def compute(model, name, seed=7):
    paddle.seed(seed)
    return output_and_gradients(model, inputs(name))


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
@pytest.mark.parametrize("name", NO_DROPOUT)
def test_two_changes_compute_what_one_does(name, pair):
    """Without dropout no change but LoRA alters the results, so both changes together give what the first gives alone."""
    alone = compute(make_changed_model(name, pair[:1], **NO_DROPOUT[name]), name)
    assert_same(compute(make_changed_model(name, pair, **NO_DROPOUT[name]), name), alone)


@pytest.mark.parametrize("first", ["lora", "attention", "cpu_layers"])
@pytest.mark.parametrize("name", NO_DROPOUT)
def test_recompute_keeps_results_to_the_bit_with_dropout_on(name, first):
    output, gradients = compute(make_changed_model(name, [first]), name)
    again, again_gradients = compute(make_changed_model(name, [first, "recompute"]), name)
    np.testing.assert_array_equal(again, output)
    assert again_gradients.keys() == gradients.keys()
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(again_gradients[key], gradient, err_msg=key)


def settings(attention="plain", recompute=False, compile=False, rank=None):
    adapters = LoRASection(rank=rank) if rank else None
    return SimpleNamespace(
        model=SimpleNamespace(attention=attention, lora=adapters), train=SimpleNamespace(recompute=recompute, compile=compile)
    )


def bundle(name, **config):
    return ModelBundle(make_model(name, **config), SimpleNamespace(pad_token_id=1), None, {})


def test_lora_attention_cpu_layers_and_recompute_at_once():
    model = adapt_model(bundle("bart"), settings("sdpa", recompute=True, rank=2), for_training=True).model
    attention = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.MultiHeadAttention)]
    assert attention and all(map(uses_sdpa, attention))
    assert lora.adapted_layers(model)
    assert all(replaced_forward(layer) for layer in transformer_layers(model))
    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.LayerNorm)]
    assert all(replaced_forward(norm) for norm in norms)  # the CPU's own layers


def test_compiled_stacks_have_no_cpu_layers_and_only_in_training():
    trained = adapt_model(bundle("bert"), settings(compile=True), for_training=True).model
    forwards = [replaced_forward(layer) for layer in trained.sublayers() if replaced_forward(layer)]
    assert len(forwards) == 1 and isinstance(forwards[0], CompiledStack)
    finished = adapt_model(bundle("bert"), settings(compile=True)).model
    assert not any(replaced_forward(layer) for layer in finished.sublayers())


def test_a_finished_or_resumed_model_gets_no_new_adapters():
    assert not lora.adapted_layers(adapt_model(bundle("bert"), settings(rank=2)).model)
    resumed = bundle("bert")
    add_lora(resumed.model)
    before = {name: layer.lora_A for name, layer in lora.adapted_layers(resumed.model).items()}
    adapt_model(resumed, settings(rank=2), for_training=True)
    assert all(layer.lora_A is before[name] for name, layer in lora.adapted_layers(resumed.model).items())


def test_the_padding_row_of_gpt_alone_is_frozen():
    assert [row for _, row in adapt_model(bundle("gpt"), settings()).frozen_rows] == [1]
    assert adapt_model(bundle("bart"), settings()).frozen_rows == []


def test_gpt_with_paddlenlps_flash_attention_is_refused():
    flash = bundle("gpt")
    flash.model.config.use_flash_attention = True
    with pytest.raises(UserError, match=r"model\.config\.use_flash_attention: .* ignores the attention mask: leave it off\."):
        adapt_model(flash, settings())
