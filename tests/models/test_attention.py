"""Test that attention through scaled_dot_product_attention gives the outputs and gradients of PaddleNLP's own."""

from types import MethodType

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import GPTLMHeadModel, T5Config, T5ForConditionalGeneration

from paddle_ft.config.load import load_config
from paddle_ft.generation import GenerationOptions, generate
from paddle_ft.models import attention
from paddle_ft.models.attention import sdpa_forward, use_attention
from paddle_ft.runs.inference import open_run
from paddle_ft.system.errors import UserError
from paddle_ft.system.paddle_compat import replace_forward
from paddle_ft.training.run import train
from tests.support.model_families import FAMILIES, IDS, MASK, TARGETS, assert_same, inputs, make_model, output_and_gradients
from tests.support.models import uses_sdpa
from tests.support.tiny_runs import overrides


@pytest.mark.parametrize("name", FAMILIES)
def test_outputs_and_gradients_are_those_of_the_plain_path(name):
    model = make_model(name)
    names = list(model.state_dict())
    plain = output_and_gradients(model, inputs(name))
    assert use_attention(model, "sdpa")
    assert_same(output_and_gradients(model, inputs(name)), plain)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("name", ["bart", "gpt"])
def test_without_a_mask_the_causal_kernel_is_used_and_the_result_is_the_same(name, monkeypatch):
    model, batch = make_model(name), inputs(name)
    del batch["attention_mask"]
    plain = output_and_gradients(model, batch)
    use_attention(model, "sdpa")
    is_causal = []

    def spy(*args, **kwargs):
        is_causal.append(kwargs.get("is_causal", False))
        return original(*args, **kwargs)

    original = attention.scaled_dot_product_attention
    monkeypatch.setattr(attention, "scaled_dot_product_attention", spy)
    assert_same(output_and_gradients(model, batch), plain)
    assert is_causal == ([False, False, True, False, True, False] if name == "bart" else [True, True])


def test_gpt_with_padding_on_the_left_has_rows_that_may_see_nothing_and_stays_equal():
    model = make_model("gpt")
    batch = {"input_ids": paddle.to_tensor(IDS[:, ::-1].copy()), "attention_mask": paddle.to_tensor(MASK[:, ::-1].copy())}
    plain = output_and_gradients(model, batch)
    assert np.isfinite(plain[0]).all()
    use_attention(model, "sdpa")
    assert_same(output_and_gradients(model, batch), plain)


def test_gpt_scaled_otherwise():
    model = make_model("gpt", scale_qk_coeff=4.0)
    plain = output_and_gradients(model, inputs("gpt"))
    use_attention(model, "sdpa")
    assert_same(output_and_gradients(model, inputs("gpt")), plain)


def test_masks_of_every_kind_are_applied():
    paddle.seed(5)
    plain, sdpa = paddle.nn.MultiHeadAttention(32, 4), paddle.nn.MultiHeadAttention(32, 4)
    sdpa.set_state_dict(plain.state_dict())
    sdpa.causal = False
    replace_forward(sdpa, MethodType(sdpa_forward, sdpa))
    x, memory = paddle.randn([3, 5, 32]), paddle.randn([3, 7, 32])
    keys = paddle.to_tensor(MASK)[:, None, None]
    for mask in (keys, keys.astype("bool"), (1 - keys.astype("float32")) * -1e4, paddle.zeros([5, 7]), None):
        expected = plain(x, memory, memory, mask)
        np.testing.assert_allclose(sdpa(x, memory, memory, mask).numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    masked, unmasked = sdpa(x, memory, memory, keys), sdpa(x, memory, memory)
    assert float((masked - unmasked).abs()[1].max()) > 1e-3  # row 1 is padded, row 0 is not
    np.testing.assert_allclose(masked[0].numpy(), unmasked[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["bart", "gpt", "bert"])
def test_step_by_step_with_a_cache(name):
    model = make_model(name)
    at_once, steps = {}, {}
    for choice in ("plain", "sdpa"):
        use_attention(model, choice)
        with paddle.no_grad():
            at_once[choice], steps[choice] = STEPWISE[name](model)
    np.testing.assert_allclose(steps["sdpa"], steps["plain"], rtol=1e-5, atol=1e-5 * np.abs(steps["plain"]).max())
    if name != "bert":  # an encoder's tokens see later tokens, so two halves do not give the result of the whole input
        np.testing.assert_allclose(steps["sdpa"], at_once["plain"], rtol=1e-4, atol=1e-4)


def _bart_steps(model):
    batch = {"input_ids": paddle.to_tensor(IDS), "attention_mask": paddle.to_tensor(MASK)}
    full = model(**batch, decoder_input_ids=paddle.to_tensor(TARGETS))
    memory = model.bart.encoder(**batch)
    hidden = (1 - batch["attention_mask"].astype("float32"))[:, None, None] * -1e4
    cache = model.bart.decoder.decoder.gen_cache(memory)
    steps = []
    for i in range(TARGETS.shape[1]):
        step = paddle.to_tensor(TARGETS[:, i : i + 1])
        nothing = paddle.zeros([1, 1, 1, i + 1])
        out = model.bart.decoder(step, nothing, encoder_output=memory, memory_mask=hidden, cache=cache)
        state, cache = out
        steps.append(paddle.matmul(state, model.lm_head_weight, transpose_y=True) + model.final_logits_bias)
    return full.numpy(), paddle.concat(steps, axis=1).numpy()


def _gpt_steps(model):
    ids = paddle.to_tensor(IDS[[0, 2], :5])
    full = model(input_ids=ids)
    first, past = model(input_ids=ids[:, :3], use_cache=True)[:2]
    rest = model(input_ids=ids[:, 3:], use_cache=True, past_key_values=past)[0]
    return (full[0] if isinstance(full, tuple) else full).numpy(), paddle.concat([first, rest], axis=1).numpy()


def _bert_steps(model):
    first = model.bert(paddle.to_tensor(IDS[:, :3]), use_cache=True, return_dict=True)
    rest = model.bert(paddle.to_tensor(IDS[:, 3:5]), past_key_values=first.past_key_values, use_cache=True, return_dict=True)
    return None, rest.last_hidden_state.numpy()


STEPWISE = {"bart": _bart_steps, "gpt": _gpt_steps, "bert": _bert_steps}


@pytest.mark.parametrize("name", ["bart", "gpt"])
def test_generation_goes_on_as_before(name):
    model = make_model(name)
    ids, mask = (IDS, MASK) if name == "bart" else (IDS[:, ::-1].copy(), MASK[:, ::-1].copy())
    options = GenerationOptions(max_length=16, num_beams=3)
    plain = generate(model, ids, mask, options)
    use_attention(model, "sdpa")
    assert generate(model, ids, mask, options) == plain
    single = dict(max_length=6, decode_strategy="greedy_search", use_cache=True)
    ours, _ = model.generate(paddle.to_tensor(IDS[:1]), **single)  # PaddleNLP's own
    other, _ = make_model(name).generate(paddle.to_tensor(IDS[:1]), **single)
    assert ours.tolist() == other.tolist()


@pytest.mark.parametrize("name", FAMILIES)
def test_dropout_of_attention_in_training_only(name):
    """On a CPU both implementations draw the same random numbers in the same order."""
    rate = {"attention_dropout" if name == "bart" else "attention_probs_dropout_prob": 0.4}
    other = {"dropout": 0.0, "activation_dropout": 0.0} if name == "bart" else {"hidden_dropout_prob": 0.0}
    model = make_model(name, **rate, **other)
    without = output_and_gradients(model, inputs(name))[0]
    model.train()
    paddle.seed(11)
    plain = output_and_gradients(model, inputs(name))
    use_attention(model, "sdpa")
    paddle.seed(11)
    assert_same(output_and_gradients(model, inputs(name)), plain)
    assert np.abs(plain[0] - without).max() > 1e-3
    model.eval()
    np.testing.assert_allclose(output_and_gradients(model, inputs(name))[0], without, rtol=1e-5, atol=1e-5)


def test_attention_weights_are_still_returned():
    model, batch = make_model("bert"), inputs("bert")
    plain = model(**batch, output_attentions=True, return_dict=True).attentions
    use_attention(model, "sdpa")
    outcome = model(**batch, output_attentions=True, return_dict=True).attentions
    np.testing.assert_allclose(outcome[1].numpy(), plain[1].numpy(), rtol=1e-5, atol=1e-6)
    gpt = make_model("gpt")
    use_attention(gpt, "sdpa")
    assert gpt.gpt(**inputs("gpt"), output_attentions=True)[-1][1].shape == [3, 4, 7, 7]


def test_projections_are_called_not_read():
    """Layers that have replaced a projection, as LoRA's do, are called."""

    class Twice(paddle.nn.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) * 2

    model = make_model("bart")
    for layer in model.sublayers():
        if isinstance(layer, paddle.nn.MultiHeadAttention):
            layer.q_proj, layer.v_proj = Twice(layer.q_proj), Twice(layer.v_proj)
    plain = output_and_gradients(model, inputs("bart"))
    use_attention(model, "sdpa")
    assert_same(output_and_gradients(model, inputs("bart")), plain)


def test_a_saved_model_is_plain_again(tmp_path):
    model = make_model("gpt")
    use_attention(model, "sdpa")
    model.save_pretrained(str(tmp_path))
    again = GPTLMHeadModel.from_pretrained(str(tmp_path))
    again.eval()
    assert not any(uses_sdpa(layer) for layer in again.sublayers())
    assert_same(output_and_gradients(again, inputs("gpt")), output_and_gradients(model, inputs("gpt")))


def test_auto_and_plain_leave_a_model_on_a_cpu_alone():
    model = make_model("bert")
    assert not use_attention(model, "auto") and not use_attention(model, "plain")
    assert not any(uses_sdpa(layer) for layer in model.sublayers())


def test_unknown_attention_is_refused_by_name():
    model = T5ForConditionalGeneration(T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))
    with pytest.raises(UserError) as error:
        use_attention(model, "sdpa")
    assert str(error.value) == (
        "model.attention: sdpa is not known for models of type 't5'"
        " (it is for distilbert, bert, roberta, ernie, bart and gpt). Set it to auto or plain."
    )


def losses(folder, *overriding):
    settings = ("eval.before_training=false", *overriding)
    run = train(load_config("bart_lcsts", overrides(folder, *settings)))
    return [event["loss"] for event in run.events() if event["event"] == "train"], run


def test_a_training_computes_the_same_and_its_run_predicts_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("paddle_ft.models.cpu_layers.use_cpu_layers", lambda model: None)  # they draw other dropout masks
    for name in ("plain", "sdpa"):
        (tmp_path / name).mkdir()
    plain, run = losses(tmp_path / "plain", "model.attention=plain")
    outcome, _ = losses(tmp_path / "sdpa", "model.attention=sdpa")
    np.testing.assert_allclose(outcome, plain, rtol=1e-4)
    texts = ["今天北京天气晴朗", "上海明天有大雨"]
    task = open_run(str(run.path), ["model.attention=sdpa"])
    assert any(uses_sdpa(layer) for layer in task.model.sublayers())
    assert task.predict(texts, "p") == open_run(str(run.path)).predict(texts, "p")
