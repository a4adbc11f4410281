"""Adapters of low rank: what is trained, what is saved, and that plain PaddleNLP and transformers read it."""

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    GPTConfig,
    GPTLMHeadModel,
)
from safetensors.numpy import load_file

import convert
from paddle_ft.config.schema import LoRASection
from paddle_ft.models import lora
from paddle_ft.models.build import load_pretrained
from paddle_ft.models.bundle import ModelBundle
from paddle_ft.models.vocabulary import freeze_row, input_embedding, tie_head
from paddle_ft.system.errors import UserError
from tests.support.models import causal_lm_logits, masked_lm_logits
from tests.support.tiny_models import BART, IDS, MASK, SIZES

EVERY = paddle.arange(10)


def bart_logits(model):
    return model(input_ids=IDS, attention_mask=MASK, decoder_input_ids=IDS[:, :3])


FAMILIES = {  # a model, its kind, what it computes, what is trained beside the adapters
    "bert": (
        lambda: BertForSequenceClassification(BertConfig(**SIZES, num_labels=3)), "sequence_classification",
        lambda model: model(IDS, attention_mask=MASK),
        {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"},
    ),
    "bert masked": (
        lambda: BertForMaskedLM(BertConfig(**SIZES)), "masked_lm", lambda model: masked_lm_logits(model, IDS, MASK, EVERY),
        {"cls.predictions.transform.weight", "cls.predictions.transform.bias", "cls.predictions.layer_norm.weight",
         "cls.predictions.layer_norm.bias", "cls.predictions.decoder_bias"},
    ),
    "distilbert": (
        lambda: DistilBertForMaskedLM(DistilBertConfig(**SIZES)), "masked_lm",
        lambda model: masked_lm_logits(model, IDS, MASK, EVERY),
        {"vocab_transform.weight", "vocab_transform.bias", "vocab_layer_norm.weight", "vocab_layer_norm.bias",
         "vocab_projector.bias"},
    ),
    "bart": (lambda: BartForConditionalGeneration(BartConfig(**BART)), "seq2seq", bart_logits, set()),
    "gpt": (
        lambda: GPTLMHeadModel(GPTConfig(**SIZES)), "causal_lm", lambda model: causal_lm_logits(model, IDS, EVERY), set(),
    ),
}  # fmt: skip


@pytest.fixture(params=FAMILIES)
def family(request):
    """A model with values wide enough for every part to matter, and the rest of its row above."""
    make, kind, outputs, heads = FAMILIES[request.param]
    paddle.seed(1)
    model = make()
    for parameter in model.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.3)
    tie_head(model, from_scratch=True)
    model.eval()
    return model, kind, outputs, heads


def trained_adapters(model, section=None, new_tokens=False):
    """Puts adapters on the model as if they had been trained."""
    lora.add(model, section or LoRASection(rank=2, alpha=6), new_tokens)
    for name, layer in lora.adapted(model).items():
        layer.lora_B.set_value(paddle.randn(layer.lora_B.shape) * 0.3)
        assert name.endswith(("q_proj", "k_proj", "v_proj", "out_proj"))
    model.eval()


def bits(model) -> dict:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def test_only_adapters_and_heads_are_trained(family):
    model, _, outputs, heads = family
    before = outputs(model).numpy()
    lora.add(model, LoRASection(rank=2), new_tokens=False)
    model.eval()
    assert (outputs(model).numpy() == before).all()  # B is 0 at the start
    outputs(model).square().sum().backward()
    adapters = {f"{name}.{part}" for name in lora.adapted(model) for part in ("lora_A", "lora_B")}
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == adapters | heads
    assert {name for name, parameter in model.named_parameters() if not parameter.stop_gradient} == adapters | heads
    attentions = sum(type(layer).__name__ == "MultiHeadAttention" for layer in model.sublayers())
    assert len(adapters) == attentions * 4 * 2
    counted = lora.count_parameters(model)
    assert counted[1] == sum(p.size for name, p in model.named_parameters() if name in adapters | heads)
    assert counted[0] == sum(p.size for p in model.parameters())


def test_plain_paddlenlp_loads_what_is_saved(family, tmp_path):
    model, _, outputs, _ = family
    cls, without = type(model), outputs(model).numpy()
    trained_adapters(model)
    expected, before = outputs(model).numpy(), bits(model)
    assert abs(expected - without).max() > 0.01
    ModelBundle(model, None, None, {}).save(tmp_path)
    assert bits(model) == before
    assert not any("lora" in name for name in load_file(str(tmp_path / "model.safetensors")))
    plain = cls.from_pretrained(str(tmp_path))
    tie_head(plain)
    plain.eval()
    np.testing.assert_allclose(outputs(plain).numpy(), expected, rtol=1e-6, atol=2e-6)


def test_hugging_face_gets_the_merged_weights(family, tmp_path):
    model, kind, outputs, _ = family
    trained_adapters(model)
    ModelBundle(model, None, None, {}).save(tmp_path / "saved")
    convert.to_hf(tmp_path / "saved", tmp_path / "hf", progress=False)
    convert.to_paddle(tmp_path / "hf", tmp_path / "again", progress=False)
    again = load_pretrained(kind, tmp_path / "again")
    tie_head(again)
    again.eval()
    np.testing.assert_allclose(outputs(again).numpy(), outputs(model).numpy(), rtol=1e-6, atol=2e-6)


def test_a_training_goes_on_from_the_very_same_bits(family, tmp_path):
    model, kind, outputs, _ = family
    trained_adapters(model, LoRASection(rank=3, alpha=5, dropout=0.25, targets=["q_proj", "v_proj"]))
    ModelBundle(model, None, None, {}).save(tmp_path)
    lora.save(model, tmp_path)
    again = load_pretrained(kind, tmp_path)
    tied = tie_head(again)
    lora.restore(again, tmp_path / lora.FILE)
    again.eval()
    assert bits(again) == bits(model)
    assert (outputs(again).numpy() == outputs(model).numpy()).all()
    assert tied == ((kind == "masked_lm" and "DistilBert" in type(model).__name__) or kind == "seq2seq")
    for one, other in zip(again.named_parameters(), model.named_parameters(), strict=True):
        assert one[0] == other[0]
        assert one[1].stop_gradient == other[1].stop_gradient
    layer, same = (next(iter(lora.adapted(m).values())) for m in (again, model))
    assert (layer.scaling, layer.lora_dropout.p) == (same.scaling, same.lora_dropout.p) == (5 / 3, 0.25)


def test_tied_heads_follow_a_trained_embedding(family):
    """New tokens have to be learned: then embedding and head are trained, as the one parameter that they are."""
    model, kind, outputs, heads = family
    if kind == "sequence_classification":
        pytest.skip("has no head over the vocabulary")
    lora.add(model, LoRASection(rank=2), new_tokens=True)
    embedding = input_embedding(model).weight
    names = {name for name, p in model.named_parameters() if not p.stop_gradient and "lora" not in name}
    assert names - heads == {name for name, p in model.named_parameters() if p is embedding}
    outputs(model)[:, -1].square().sum().backward()
    assert float(embedding.grad[19].abs().sum()) > 0  # token 19 stands in no input: this is the head's gradient
    large = [value.numpy() for value in lora.merged_state(model).values() if {20, 16} == set(value.shape)]
    for value in large:
        assert (value if value.shape[0] == 20 else value.T).tolist() == embedding.numpy().tolist()


def test_other_layers_on_demand_and_none_that_is_not_there():
    model = GPTLMHeadModel(GPTConfig(**SIZES))
    with pytest.raises(UserError) as caught:
        lora.add(model, LoRASection(targets=["q_proj", "query"]), new_tokens=False)
    assert str(caught.value) == (
        "model.lora.targets: 'query' is no layer of this model (GPTForCausalLM); it has"
        " k_proj, linear1, linear2, out_proj, q_proj, v_proj."
    )
    assert not lora.adapted(model)
    lora.add(model, LoRASection(targets=["linear1"]), new_tokens=False)
    assert list(lora.adapted(model)) == ["gpt.decoder.layers.0.linear1", "gpt.decoder.layers.1.linear1"]


def test_a_joined_projection_of_gpt_is_attention_too():
    model = GPTLMHeadModel(GPTConfig(**SIZES, fuse_attention_qkv=True))
    lora.add(model, LoRASection(), new_tokens=False)
    assert {name.rsplit(".", 1)[-1] for name in lora.adapted(model)} == {"qkv_proj", "out_proj"}


def test_a_head_of_its_own_as_large_as_the_vocabulary_is_frozen():
    model = BartForConditionalGeneration(BartConfig(**BART))
    lora.add(model, LoRASection(), new_tokens=False)
    assert model.lm_head_weight.stop_gradient
    model = BartForConditionalGeneration(BartConfig(**BART))
    lora.add(model, LoRASection(), new_tokens=True)
    assert not model.lm_head_weight.stop_gradient


def test_a_frozen_embedding_needs_no_frozen_row():
    model = GPTLMHeadModel(GPTConfig(**SIZES))
    lora.add(model, LoRASection(), new_tokens=False)
    freeze_row(input_embedding(model).weight, 1)
    causal_lm_logits(model, IDS, EVERY).sum().backward()
    assert input_embedding(model).weight.grad is None


def test_what_is_trained_is_said(capsys):
    lora.add(GPTLMHeadModel(GPTConfig(**SIZES)), LoRASection(rank=2, targets=["q_proj"]), new_tokens=False)
    assert "LoRA: adapters of rank 2 on 2 layers (q_proj); 128 of 5,184 parameters are trained (2.47%)" in capsys.readouterr().err
