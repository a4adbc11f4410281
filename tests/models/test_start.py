"""Test loading a checkpoint of another task or of a base model: what starts anew is named, and the rest is the checkpoint's."""

import json

import numpy as np
import paddle
import pytest

import convert
from convert.tensors import open_weights
from paddle_ft.config.schema import ModelSection
from paddle_ft.models.resolve import resolve
from paddle_ft.models.start import load_start
from paddle_ft.models.vocabulary import input_embedding
from paddle_ft.system.errors import UserError
from tests.support.checkpoints import change_config, change_tensors, unpack

LABELS = {"id2label": {0: "neg", 1: "pos"}, "label2id": {"neg": 0, "pos": 1}, "classifier_head": "linear"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    for family in ("bert", "distilbert", "roberta", "bart", "gpt2"):
        unpack(family, folder / family)
    return folder


@pytest.fixture
def start(tmp_path, folder, monkeypatch):
    """Return a function (fixture, head type) -> (model, decisions), for the original or for its plain conversion to Paddle."""
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))

    def load(name, head_type, paddle_layout=False, head="auto", settings=None):
        directory = folder / name
        if paddle_layout:
            directory = tmp_path / name.replace("/", "-")
            convert.to_paddle(folder / name, directory, overwrite=True, progress=False)
        section = ModelSection(pretrained=str(directory), head=head)
        settings = dict(LABELS) if head_type == "sequence_classification" else settings
        return load_start(head_type, resolve(str(directory), head_type), section, settings)

    return load


PREDICTIONS = "cls.predictions, cls.predictions.transform, cls.predictions.layer_norm"
CASES = [
    ("bert/base", "masked_lm", f"the model's head ({PREDICTIONS}) starts anew: the checkpoint, a BertModel, has none"),
    ("roberta/base", "masked_lm",
     "the model's head (lm_head, lm_head.dense, lm_head.layer_norm) starts anew: the checkpoint, a RobertaModel, has none"),
    ("distilbert/base", "masked_lm", "the model's head (vocab_transform, vocab_layer_norm, vocab_projector) starts anew: the"
     " checkpoint, a DistilBertModel, has none"),
    ("bart/base", "seq2seq", None),  # its output matrix is the input embedding
    ("gpt2/base", "causal_lm", None),
    ("bert/masked_lm", "masked_lm", None),
    ("distilbert/masked_lm", "masked_lm", None),
    ("bart/seq2seq", "seq2seq", None),
    ("bert/sequence_classification", "masked_lm",
     f"the model's head ({PREDICTIONS}) starts anew: the checkpoint, a BertForSequenceClassification, has none"),
    ("bert/base", "sequence_classification",
     "model.head: the classification head (classifier) starts anew: the checkpoint is a BertModel"),
    ("distilbert/masked_lm", "sequence_classification",
     "model.head: the classification head (pre_classifier, classifier) starts anew: the checkpoint is a DistilBertForMaskedLM"),
    ("bert/token_classification", "sequence_classification",
     "model.head: the classification head (classifier) starts anew: the checkpoint is a BertForTokenClassification"),
]  # fmt: skip


@pytest.mark.parametrize("paddle_layout", [False, True], ids=["original", "converted"])
@pytest.mark.parametrize(("name", "head_type", "expected"), CASES, ids=[f"{name}-{head_type}" for name, head_type, _ in CASES])
def test_every_head_that_starts_anew_is_named(start, folder, name, head_type, expected, paddle_layout):
    model, decisions = start(name, head_type, paddle_layout)
    assert [text for text in decisions if "head" in text.split("(")[0]] == ([expected] if expected else [])
    model.eval()
    stored = open_weights(folder / name).tensors
    [words] = [tensor for key, tensor in stored.items() if key.endswith(("word_embeddings.weight", "wte.weight", "shared.weight"))]
    np.testing.assert_array_equal(input_embedding(model).weight.numpy(), words.read())


def test_a_head_that_starts_anew_is_initialised_as_a_new_one(start):
    model, _ = start("distilbert/base", "masked_lm", paddle_layout=True)
    assert 0.01 < float(model.vocab_transform.weight.std()) < 0.03 and not model.vocab_transform.bias.numpy().any()
    projector, embedding = model.vocab_projector, input_embedding(model)
    embedding.weight.set_value(embedding.weight * 2)
    states = paddle.eye(embedding.weight.shape[1])
    np.testing.assert_allclose(projector(states).numpy(), embedding.weight.numpy().T, atol=1e-6)  # tied


@pytest.mark.parametrize("paddle_layout", [False, True], ids=["original", "converted"])
@pytest.mark.parametrize(
    ("name", "head_type", "parameter"),
    [
        ("distilbert/base", "masked_lm", "vocab_transform.weight"),
        ("bert/masked_lm", "sequence_classification", "bert.pooler.dense.weight"),
        ("bert/masked_lm", "sequence_classification", "classifier.weight"),
    ],
)
def test_what_starts_anew_is_drawn_with_the_seed_of_the_training(start, paddle_layout, name, head_type, parameter):
    """The converter writes weights that the original lacks, which are the same for every seed."""
    drawn = []
    for seed in (1, 2, 1):
        paddle.seed(seed)
        drawn.append(start(name, head_type, paddle_layout)[0].state_dict()[parameter].numpy())
    assert (drawn[0] == drawn[2]).all() and (drawn[0] != drawn[1]).all() and 0.01 < drawn[0].std() < 0.03


def test_a_bart_without_output_matrix_uses_its_embedding(start):
    model, decisions = start("bart/base", "seq2seq", paddle_layout=True)
    assert model.lm_head_weight is model.bart.shared.weight and decisions == []


@pytest.mark.parametrize("paddle_layout", [False, True], ids=["original", "converted"])
def test_a_pooler_that_starts_anew_and_a_head_that_is_not_used_are_named(start, paddle_layout):
    _, decisions = start("bert/masked_lm", "sequence_classification", paddle_layout)
    kept = [text for text in decisions if "pooler" in text or "not used" in text]
    assert kept[0] == "the pooler (bert.pooler.dense) starts anew: the checkpoint, a BertForMaskedLM, has none"
    assert kept[1].startswith("weights of the checkpoint that are not used: cls.predictions")
    assert [text for text in start("bert/masked_lm", "masked_lm", paddle_layout)[1] if "pooler" in text] == []  # no output reads it


def test_an_originals_head_is_kept_by_its_names(start, folder, tmp_path):
    change_config(folder / "bert/sequence_classification", id2label={"0": "POSITIVE", "1": "NEGATIVE", "2": "x"}, label2id=None)
    model, decisions = start("bert/sequence_classification", "sequence_classification")
    stored = open_weights(folder / "bert/sequence_classification").tensors
    np.testing.assert_array_equal(model.classifier.weight.numpy(), stored["classifier.weight"].read().T[:, [1, 0]])
    np.testing.assert_array_equal(model.classifier.bias.numpy(), stored["classifier.bias"].read()[[1, 0]])
    assert model.config.id2label == {0: "neg", 1: "pos"} and model.num_labels == 2
    assert decisions[0].endswith("NEGATIVE is neg, POSITIVE is pos; its rows are in the data's order now")


def test_a_head_trained_here_is_kept_although_the_original_had_none(start, tmp_path):
    """A saved model keeps the original's configuration, which names the original's class."""
    model, _ = start("bert/masked_lm", "sequence_classification")
    paddle.seed(2)
    model.classifier.bias.set_value(paddle.normal(0.0, 1.0, [2]))
    model.save_pretrained(str(tmp_path / "trained"), safe_serialization=True)
    config = json.loads((tmp_path / "trained" / "config.json").read_text())
    assert config["huggingface"]["config"]["architectures"] == ["BertForMaskedLM"]
    section = ModelSection(pretrained=str(tmp_path / "trained"))
    again, decisions = load_start("sequence_classification", tmp_path / "trained", section, dict(LABELS))
    assert decisions == ["model.head: the checkpoint's trained head is kept: its classes are the data's (neg, pos)"]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name].numpy(), value.numpy())


@pytest.mark.parametrize("head_type", ["masked_lm", "sequence_classification"])
def test_a_checkpoint_without_a_layer_of_the_encoder_is_refused_for_every_task(start, folder, tmp_path, head_type):
    convert.to_paddle(folder / "bert/masked_lm", tmp_path / "broken", progress=False)
    change_tensors(tmp_path / "broken", lambda tensors: tensors.pop("bert.encoder.layers.0.linear1.weight"))
    settings = dict(LABELS) if head_type == "sequence_classification" else None
    with pytest.raises(UserError, match=r"1 of \d+ weights of the encoder are not .*: encoder.layers.0.linear1.weight"):
        load_start(head_type, tmp_path / "broken", ModelSection(pretrained=str(tmp_path / "broken")), settings)


def test_layers_that_the_configuration_does_not_have_are_named(start, folder, tmp_path):
    convert.to_paddle(folder / "bert/masked_lm", tmp_path / "deep", progress=False)
    layers = json.loads((tmp_path / "deep" / "config.json").read_text())["num_hidden_layers"]
    change_config(tmp_path / "deep", num_hidden_layers=layers - 1)
    _, decisions = load_start("masked_lm", tmp_path / "deep", ModelSection(pretrained=str(tmp_path / "deep")), None)
    [unused] = [text for text in decisions if "not used" in text]
    assert f"bert.encoder.layers.{layers - 1}.self_attn.q_proj" in unused and "(16 in all)" in unused


def test_keep_refuses_a_language_model_without_its_head(start):
    with pytest.raises(UserError, match="model.head=keep: there is no trained head to keep: the checkpoint, a BertModel, has none"):
        start("bert/base", "masked_lm", head="keep")
    start("bert/masked_lm", "masked_lm", head="keep")
    start("bart/base", "seq2seq", head="keep")


def test_a_note_of_the_conversion_is_a_decision(start, folder):
    change_config(folder / "distilbert/masked_lm", seq_classif_dropout=0.4, qa_dropout=0.3)
    _, decisions = start("distilbert/masked_lm", "masked_lm")
    note = "qa_dropout = 0.3 is trained with dropout = 0.1: PaddleNLP has one for both"
    assert f"conversion from Hugging Face's format: {note}" in decisions


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_trained_in_single_precision_and_said(folder, tmp_path, dtype):
    convert.to_paddle(folder / "bert/masked_lm", tmp_path / "half", dtype=dtype, progress=False)
    section = ModelSection(pretrained=str(tmp_path / "half"))
    for head_type, settings in (("masked_lm", None), ("sequence_classification", dict(LABELS))):
        model, decisions = load_start(head_type, tmp_path / "half", section, settings)
        assert {parameter.dtype for parameter in model.parameters()} == {paddle.float32}
        assert decisions[0] == f"the checkpoint's weights are {dtype} and are trained in float32 (train.use_amp)"
        stored = open_weights(tmp_path / "half").tensors["bert.encoder.layers.0.linear1.weight"].read()
        expected = stored.astype("float32") if dtype == "float16" else (stored.astype("uint32") << 16).view("float32")
        np.testing.assert_array_equal(model.bert.encoder.layers[0].linear1.weight.numpy(), expected)
