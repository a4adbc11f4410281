"""Test that the adapters' steps give the logits of PaddleNLP's own forward pass over the whole sequence."""

import numpy as np
import paddle
import pytest

from paddle_ft.generation.adapters import make_adapter
from paddle_ft.system.errors import UserError
from tests.support.generation_checkpoints import batch, reference

BART_CONFIGS = {
    "plain": {"scale_embedding": False},
    "scaled embeddings, relu": {"scale_embedding": True, "activation_function": "relu"},
}
GPT_CONFIGS = {
    "plain": {},
    "fused qkv": {"fuse_attention_qkv": True},
    "norm after": {"normalize_before": False},
    "qk coefficient": {"scale_qk_coeff": 2.0},
}


def randomise(model):
    """Give all weights random values, wide enough for every part to matter. PaddleNLP starts norms at 1 and biases at 0."""
    rng = np.random.default_rng(3)
    for name, value in model.state_dict().items():
        if not name.startswith("lm_head.") and "gpt.bias" not in name:
            value.set_value(rng.normal(0, 0.4, value.shape).astype("float32"))
    model.eval()
    return model


def make_bart(**config):
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration

    return randomise(BartForConditionalGeneration(BartConfig(**{**reference()["bart"]["config"], **config})))


def make_gpt(**config):
    from paddlenlp.transformers import GPTConfig, GPTLMHeadModel

    size = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
    return randomise(GPTLMHeadModel(GPTConfig(intermediate_size=40, max_position_embeddings=64, **size, **config)))


@paddle.no_grad()
def bart_forward(model, ids, mask, decoder_ids):
    """Return the logits of the last position of decoder_ids [r, n] for inputs [r, s]."""
    mask = paddle.to_tensor(mask.astype("float32"))
    return model(paddle.to_tensor(ids), mask, decoder_input_ids=paddle.to_tensor(decoder_ids))[:, -1].numpy()


@paddle.no_grad()
def gpt_forward(model, ids, mask, new):
    ids = np.concatenate([ids, new], axis=1)
    mask = np.concatenate([mask, np.ones_like(new)], axis=1)
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    return model(paddle.to_tensor(ids), paddle.to_tensor(positions), paddle.to_tensor(mask))[:, -1].numpy()


@pytest.mark.parametrize("config", BART_CONFIGS)
def test_bart_steps_give_the_logits_of_the_whole_forward(config):
    model = make_bart(**BART_CONFIGS[config])
    ids, mask = batch("bart")
    decoder_ids = np.random.default_rng(0).integers(4, 60, [len(ids), 20])
    adapter = make_adapter(model)
    state = adapter.prepare(ids, mask, 1)
    for step in range(20):
        logits = adapter.step(decoder_ids[:, step], state).numpy()
        np.testing.assert_allclose(logits, bart_forward(model, ids, mask, decoder_ids[:, : step + 1]), atol=1e-4)


@pytest.mark.parametrize("config", GPT_CONFIGS)
def test_gpt_steps_give_the_logits_of_the_whole_forward(config):
    model = make_gpt(**GPT_CONFIGS[config])
    ids, mask = batch("gpt2")
    new = np.random.default_rng(0).integers(4, 60, [len(ids), 20])
    adapter = make_adapter(model)
    state = adapter.prepare(ids, mask, 1)
    logits = adapter.step(ids[:, -1], state).numpy()
    np.testing.assert_allclose(logits, gpt_forward(model, ids, mask, new[:, :0]), atol=1e-4)
    for step in range(20):
        logits = adapter.step(new[:, step], state).numpy()
        np.testing.assert_allclose(logits, gpt_forward(model, ids, mask, new[:, : step + 1]), atol=1e-4)


@pytest.mark.parametrize("name", ["bart", "gpt2"])
def test_beams_that_change_places_and_items_that_leave(name):
    """Run 40 steps, more than are allocated at first, with three beams that continue from random parents after each step."""
    model = make_bart(max_position_embeddings=64) if name == "bart" else make_gpt()
    ids, mask = batch(name)
    items, group, rng = np.arange(len(ids)), 3, np.random.default_rng(1)
    adapter = make_adapter(model)
    state = adapter.prepare(ids, mask, group)
    tokens = np.repeat(adapter.first_ids(ids)[:, -1:], group, axis=0)
    paths = tokens.reshape(len(items), group, 1)
    for step in range(40):
        logits = adapter.step(paths[:, :, -1].reshape(-1), state).numpy()
        flat = paths.reshape(len(items) * group, -1)
        rows = np.repeat(items, group)
        if name == "bart":
            expected = bart_forward(model, ids[rows], mask[rows], flat)
        else:
            expected = gpt_forward(model, ids[rows], mask[rows], flat[:, 1:])
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        if step in (10, 25):
            remaining = np.array([0, 2, 3]) if step == 10 else np.array([1, 2])
            items, paths = items[remaining], paths[remaining]
            state.keep(remaining)
        parents = rng.integers(0, group, [len(items), group])
        state.reorder(parents)
        new = rng.integers(4, 60, [len(items), group, 1])
        paths = np.concatenate([np.take_along_axis(paths, parents[:, :, None], axis=1), new], axis=2)


def test_lora_weights_are_used_before_they_are_merged():
    from paddlenlp.peft import LoRAConfig, LoRAModel

    model = make_gpt()
    ids, mask = batch("gpt2")
    plain = make_adapter(model)
    without = plain.step(ids[:, -1], plain.prepare(ids, mask, 1)).numpy()
    names = [".*q_proj.*", ".*linear1.*"]
    LoRAModel(model, LoRAConfig(target_modules=names, r=2, lora_alpha=4))
    for name, value in model.state_dict().items():
        if "lora_B" in name:
            value.set_value(np.random.default_rng(0).normal(0, 1, value.shape).astype("float32"))
    adapter = make_adapter(model)
    logits = adapter.step(ids[:, -1], adapter.prepare(ids, mask, 1)).numpy()
    np.testing.assert_allclose(logits, gpt_forward(model, ids, mask, ids[:, :0]), atol=1e-4)
    assert np.abs(logits - without).max() > 0.1


def test_another_model_is_refused_by_name():
    with pytest.raises(UserError, match="this model is a Linear"):
        make_adapter(paddle.nn.Linear(2, 2))
