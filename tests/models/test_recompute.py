"""Test that recomputed activations give bit-identical gradients, use less memory, and run each layer twice."""

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPTConfig,
    GPTLMHeadModel,
)

from paddle_ft.config.schema import LoRASection
from paddle_ft.models import lora
from paddle_ft.models.attention import use_attention
from paddle_ft.models.recompute import recompute_activations, transformer_layers
from tests.support.paddle_private import allocated_cpu_bytes, restore_forward
from tests.support.tiny_models import BART, IDS, MASK, SIZES

MODELS = {
    "bert": lambda: BertForSequenceClassification(BertConfig(**SIZES, num_labels=3)),
    "distilbert": lambda: DistilBertForSequenceClassification(DistilBertConfig(**SIZES, num_labels=3)),
    "bart": lambda: BartForConditionalGeneration(BartConfig(**{**BART, "encoder_layers": 2, "decoder_layers": 2})),
    "gpt": lambda: GPTLMHeadModel(GPTConfig(**SIZES)),
}


@pytest.fixture(params=MODELS)
def model(request):
    paddle.seed(1)
    model = MODELS[request.param]()
    for parameter in model.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.3)
    model.train()
    return model


def outputs(model):
    targets = {"decoder_input_ids": IDS[:, :3]} if model.base_model_prefix == "bart" else {}
    return model(input_ids=IDS, attention_mask=MASK, **targets)


def gradients(model, seed: int) -> dict:
    model.clear_gradients()
    paddle.seed(seed)
    outputs(model).square().sum().backward()
    return {name: p.grad.numpy().tobytes() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture
def passes(model) -> list:
    """Return a list that grows by one whenever the first linear layer of a transformer layer runs."""
    passes: list = []
    for layer in transformer_layers(model):
        layer.linear1.register_forward_pre_hook(lambda *_: passes.append(1))
    return passes


def test_gradients_are_the_same_to_the_bit(model):
    plain = gradients(model, 3)
    assert gradients(model, 3) == plain
    assert gradients(model, 4) != plain  # there is dropout
    recompute_activations(model)
    assert gradients(model, 3) == plain


def test_every_layer_runs_twice_a_step_and_once_in_evaluation(model, passes):
    recompute_activations(model)
    gradients(model, 3)
    assert len(passes) == 2 * len(transformer_layers(model)) > 0
    model.eval()
    passes.clear()
    with paddle.no_grad():
        outputs(model)
    assert len(passes) == len(transformer_layers(model))


def test_activations_are_not_kept():
    """Between forward and backward pass the inputs of eight layers are in memory instead of all their activations."""
    stored_bytes = []
    for recomputed in (False, True):
        paddle.seed(1)
        sizes = {**SIZES, "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 8, "max_position_embeddings": 128}
        model = BertForSequenceClassification(BertConfig(**sizes, num_labels=3))
        model.train()
        if recomputed:
            recompute_activations(model)
        before = allocated_cpu_bytes()
        loss = model(paddle.ones([8, 128], dtype="int64") * 3).sum()
        stored_bytes.append(allocated_cpu_bytes() - before)
        loss.backward()
    assert stored_bytes[1] < stored_bytes[0] / 4


@pytest.mark.parametrize("first", ["recompute", "attention"])
def test_with_adapters_and_other_attention_in_any_order(model, first):
    lora.add_adapters(model, LoRASection(rank=2, dropout=0.2), new_tokens=False)
    for layer in lora.adapted_layers(model).values():
        layer.lora_B.set_value(paddle.randn(layer.lora_B.shape) * 0.3)
    if first == "recompute":
        recompute_activations(model)
    assert use_attention(model, "sdpa")
    if first == "attention":
        recompute_activations(model)
    recomputed = gradients(model, 3)
    for layer in transformer_layers(model):
        restore_forward(layer)
    assert recomputed == gradients(model, 3)


def test_generation_is_untouched(model):
    if model.base_model_prefix not in ("bart", "gpt"):
        pytest.skip("does not generate")
    model.eval()
    ids = IDS[:1]
    expected = model.generate(ids, max_new_tokens=6, decode_strategy="greedy_search")[0].numpy()
    recompute_activations(model)
    np.testing.assert_array_equal(model.generate(ids, max_new_tokens=6, decode_strategy="greedy_search")[0].numpy(), expected)
