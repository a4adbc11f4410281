"""Test LoRA: what is trained, what is saved, and that plain PaddleNLP and transformers read it."""

from types import SimpleNamespace

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
from paddle_ft.models.architectures import Architecture
from paddle_ft.models.build import load_pretrained
from paddle_ft.models.bundle import ModelBundle
from paddle_ft.models.vocabulary import freeze_row, input_embedding, tie_head
from paddle_ft.system import plugins
from paddle_ft.system.errors import UserError
from tests.support.models import causal_lm_logits, masked_lm_logits
from tests.support.tiny_models import BART, IDS, MASK, SIZES

ALL_POSITIONS = paddle.arange(10)


def bart_logits(model):
    return model(input_ids=IDS, attention_mask=MASK, decoder_input_ids=IDS[:, :3])


FAMILIES = {  # name -> how to build the model, its head type, its output, and the parameters trained besides the adapters
    "bert": (
        lambda: BertForSequenceClassification(BertConfig(**SIZES, num_labels=3)), "sequence_classification",
        lambda model: model(IDS, attention_mask=MASK),
        {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"},
    ),
    "bert masked": (
        lambda: BertForMaskedLM(BertConfig(**SIZES)), "masked_lm", lambda model: masked_lm_logits(model, IDS, MASK, ALL_POSITIONS),
        {"cls.predictions.transform.weight", "cls.predictions.transform.bias", "cls.predictions.layer_norm.weight",
         "cls.predictions.layer_norm.bias", "cls.predictions.decoder_bias"},
    ),
    "distilbert": (
        lambda: DistilBertForMaskedLM(DistilBertConfig(**SIZES)), "masked_lm",
        lambda model: masked_lm_logits(model, IDS, MASK, ALL_POSITIONS),
        {"vocab_transform.weight", "vocab_transform.bias", "vocab_layer_norm.weight", "vocab_layer_norm.bias",
         "vocab_projector.bias"},
    ),
    "bart": (lambda: BartForConditionalGeneration(BartConfig(**BART)), "seq2seq", bart_logits, set()),
    "gpt": (
        lambda: GPTLMHeadModel(GPTConfig(**SIZES)), "causal_lm", lambda model: causal_lm_logits(model, IDS, ALL_POSITIONS), set(),
    ),
}  # fmt: skip


@pytest.fixture(params=FAMILIES)
def family(request):
    """Return (model, head type, function of its output, trained parameters), with weights large enough to matter everywhere."""
    make, head_type, outputs, heads = FAMILIES[request.param]
    paddle.seed(1)
    model = make()
    for parameter in model.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.3)
    tie_head(model, from_scratch=True)
    model.eval()
    return model, head_type, outputs, heads


def add_trained_adapters(model, section=None, new_tokens=False):
    """Add adapters with random weights, as if they had been trained."""
    lora.add_adapters(model, section or LoRASection(rank=2, alpha=6), new_tokens)
    for name, layer in lora.adapted_layers(model).items():
        layer.lora_B.set_value(paddle.randn(layer.lora_B.shape) * 0.3)
        assert name.endswith(("q_proj", "k_proj", "v_proj", "out_proj"))
    model.eval()


def state_bytes(model) -> dict:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def test_only_adapters_and_heads_are_trained(family):
    model, _, outputs, heads = family
    before = outputs(model).numpy()
    lora.add_adapters(model, LoRASection(rank=2), new_tokens=False)
    model.eval()
    assert (outputs(model).numpy() == before).all()  # B is 0 at the start
    outputs(model).square().sum().backward()
    adapters = {f"{name}.{part}" for name in lora.adapted_layers(model) for part in ("lora_A", "lora_B")}
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == adapters | heads
    assert {name for name, parameter in model.named_parameters() if not parameter.stop_gradient} == adapters | heads
    attentions = sum(type(layer).__name__ == "MultiHeadAttention" for layer in model.sublayers())
    assert len(adapters) == attentions * 4 * 2
    counts = lora.count_parameters(model)
    assert counts[1] == sum(p.size for name, p in model.named_parameters() if name in adapters | heads)
    assert counts[0] == sum(p.size for p in model.parameters())


def test_plain_paddlenlp_loads_what_is_saved(family, tmp_path):
    model, _, outputs, _ = family
    cls, without = type(model), outputs(model).numpy()
    add_trained_adapters(model)
    expected, before = outputs(model).numpy(), state_bytes(model)
    assert abs(expected - without).max() > 0.01
    ModelBundle(model, None, None, {}).save(tmp_path)
    assert state_bytes(model) == before
    assert not any("lora" in name for name in load_file(str(tmp_path / "model.safetensors")))
    plain = cls.from_pretrained(str(tmp_path))
    tie_head(plain)
    plain.eval()
    np.testing.assert_allclose(outputs(plain).numpy(), expected, rtol=1e-6, atol=2e-6)


def test_hugging_face_gets_the_merged_weights(family, tmp_path):
    model, head_type, outputs, _ = family
    add_trained_adapters(model)
    ModelBundle(model, None, None, {}).save(tmp_path / "saved")
    convert.to_hf(tmp_path / "saved", tmp_path / "hf", progress=False)
    convert.to_paddle(tmp_path / "hf", tmp_path / "again", progress=False)
    again = load_pretrained(head_type, tmp_path / "again")
    tie_head(again)
    again.eval()
    np.testing.assert_allclose(outputs(again).numpy(), outputs(model).numpy(), rtol=1e-6, atol=2e-6)


def test_a_saved_and_restored_model_is_the_same_to_the_bit(family, tmp_path):
    model, head_type, outputs, _ = family
    add_trained_adapters(model, LoRASection(rank=3, alpha=5, dropout=0.25, targets=["q_proj", "v_proj"]))
    ModelBundle(model, None, None, {}).save(tmp_path)
    lora.save_adapters(model, tmp_path)
    again = load_pretrained(head_type, tmp_path)
    tied = bool(tie_head(again))
    lora.restore_adapters(again, tmp_path / lora.ADAPTERS_FILE)
    again.eval()
    assert state_bytes(again) == state_bytes(model)
    assert (outputs(again).numpy() == outputs(model).numpy()).all()
    assert tied == ((head_type == "masked_lm" and "DistilBert" in type(model).__name__) or head_type == "seq2seq")
    for (name, parameter), (other_name, other) in zip(again.named_parameters(), model.named_parameters(), strict=True):
        assert name == other_name
        assert parameter.stop_gradient == other.stop_gradient
    layer, same = (next(iter(lora.adapted_layers(m).values())) for m in (again, model))
    assert (layer.scaling, layer.lora_dropout.p) == (same.scaling, same.lora_dropout.p) == (5 / 3, 0.25)


def test_tied_heads_follow_a_trained_embedding(family):
    """With new tokens embedding and head are trained, and they are one parameter."""
    model, head_type, outputs, heads = family
    if head_type == "sequence_classification":
        pytest.skip("has no head over the vocabulary")
    lora.add_adapters(model, LoRASection(rank=2), new_tokens=True)
    embedding = input_embedding(model).weight
    names = {name for name, p in model.named_parameters() if not p.stop_gradient and "lora" not in name}
    assert names - heads == {name for name, p in model.named_parameters() if p is embedding}
    outputs(model)[:, -1].square().sum().backward()
    assert float(embedding.grad[19].abs().sum()) > 0  # token 19 is in no input, so this gradient comes from the head
    large = [value.numpy() for value in lora.merged_state(model).values() if {20, 16} == set(value.shape)]
    for value in large:
        assert (value if value.shape[0] == 20 else value.T).tolist() == embedding.numpy().tolist()


def test_targets_name_other_layers_and_unknown_ones_are_refused():
    model = GPTLMHeadModel(GPTConfig(**SIZES))
    with pytest.raises(UserError) as caught:
        lora.add_adapters(model, LoRASection(targets=["q_proj", "query"]), new_tokens=False)
    assert str(caught.value) == (
        "model.lora.targets: 'query' is no layer of this model (GPTForCausalLM); it has"
        " k_proj, linear1, linear2, out_proj, q_proj, v_proj."
    )
    assert not lora.adapted_layers(model)
    lora.add_adapters(model, LoRASection(targets=["linear1"]), new_tokens=False)
    assert list(lora.adapted_layers(model)) == ["gpt.decoder.layers.0.linear1", "gpt.decoder.layers.1.linear1"]


def test_the_fused_projection_of_gpt_gets_an_adapter():
    model = GPTLMHeadModel(GPTConfig(**SIZES, fuse_attention_qkv=True))
    lora.add_adapters(model, LoRASection(), new_tokens=False)
    assert {name.rsplit(".", 1)[-1] for name in lora.adapted_layers(model)} == {"qkv_proj", "out_proj"}


class RenamedProjections(paddle.nn.MultiHeadAttention):
    """An attention layer whose query and value projections have other names."""

    q_proj, v_proj = property(lambda self: self.query), property(lambda self: self.value)


def make_renamed_bert(monkeypatch, **fields):
    """Return a BERT with RenamedProjections, of an own architecture whose record has these fields."""
    own = Architecture(name="renamed", config_class="BertConfig", model_classes={}, **fields)
    monkeypatch.setattr(plugins, "_USER_MODULES", [SimpleNamespace(ARCHITECTURE=own)])
    paddle.seed(1)
    model = BertForSequenceClassification(BertConfig(**SIZES, num_labels=3))
    model.config.model_type = "renamed"
    for layer in [layer for layer in model.sublayers() if type(layer) is paddle.nn.MultiHeadAttention]:
        layer.query, layer.value = layer.q_proj, layer.v_proj
        del layer.q_proj, layer.v_proj
        layer.__class__ = RenamedProjections
    model.eval()
    return model


def test_an_architecture_names_its_attention_projections(monkeypatch):
    model = make_renamed_bert(monkeypatch, attention_projections=("query", "value"))
    before = model(IDS, attention_mask=MASK).numpy()
    expected = {f"bert.encoder.layers.{i}.self_attn.{name}" for i in range(2) for name in ("query", "value")}
    lora.add_adapters(model, LoRASection(rank=2), new_tokens=False)
    model.eval()
    assert set(lora.adapted_layers(model)) == expected
    assert (model(IDS, attention_mask=MASK).numpy() == before).all()
    for layer in lora.adapted_layers(model).values():
        layer.lora_B.set_value(paddle.randn(layer.lora_B.shape))
    assert (model(IDS, attention_mask=MASK).numpy() != before).any()


def test_an_architecture_whose_projections_do_not_exist_is_refused(monkeypatch):
    model = make_renamed_bert(monkeypatch, attention_projections=("q_proj", "v_proj"))
    with pytest.raises(UserError) as caught:
        lora.add_adapters(model, LoRASection(), new_tokens=False)
    assert str(caught.value) == (
        "model.lora.targets: a model of type 'renamed' has no layers named q_proj, v_proj, which get adapters by default."
        " Set it to some of its linear layers: k_proj, linear1, linear2, out_proj, query, value."
    )
    assert not lora.adapted_layers(model)


def test_an_architecture_names_its_pooler(monkeypatch):
    model = make_renamed_bert(monkeypatch, pooler="first_token")
    model.bert.first_token = model.bert.pooler
    del model.bert.pooler
    lora.add_adapters(model, LoRASection(), new_tokens=False)
    trained = {name for name, parameter in model.named_parameters() if not parameter.stop_gradient and "lora" not in name}
    head = {"classifier.weight", "classifier.bias"}
    assert trained == head | {"bert.first_token.dense.weight", "bert.first_token.dense.bias"}
    model = make_renamed_bert(monkeypatch, reads_pooler=lambda model: False)
    lora.add_adapters(model, LoRASection(), new_tokens=False)
    assert {name for name, parameter in model.named_parameters() if not parameter.stop_gradient and "lora" not in name} == head


def test_a_separate_output_matrix_is_trained_only_with_new_tokens():
    model = BartForConditionalGeneration(BartConfig(**BART))
    lora.add_adapters(model, LoRASection(), new_tokens=False)
    assert model.lm_head_weight.stop_gradient
    model = BartForConditionalGeneration(BartConfig(**BART))
    lora.add_adapters(model, LoRASection(), new_tokens=True)
    assert not model.lm_head_weight.stop_gradient


def test_a_frozen_embedding_needs_no_frozen_row():
    model = GPTLMHeadModel(GPTConfig(**SIZES))
    lora.add_adapters(model, LoRASection(), new_tokens=False)
    freeze_row(input_embedding(model).weight, 1)
    causal_lm_logits(model, IDS, ALL_POSITIONS).sum().backward()
    assert input_embedding(model).weight.grad is None


def test_the_number_of_trained_parameters_is_printed(capsys):
    lora.add_adapters(GPTLMHeadModel(GPTConfig(**SIZES)), LoRASection(rank=2, targets=["q_proj"]), new_tokens=False)
    assert "LoRA: adapters of rank 2 on 2 layers (q_proj); 128 of 5,184 parameters are trained (2.47%)" in capsys.readouterr().err
