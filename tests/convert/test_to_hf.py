"""Test the conversion back to Hugging Face, also after training in Paddle."""

import json

import numpy as np
import pytest

import convert
from convert.tensors import open_weights
from convert.tokenizers.to_hf import write_hf_tokenizer
from tests.support.checkpoints import change_config, change_tensors, read_config


@pytest.fixture
def source(checkpoint_copy):
    return checkpoint_copy("bert/masked_lm")


def train_and_convert_back(checkpoints, name, tmp_path, change):
    """Convert a fixture to Paddle, change the model as training would, save it with PaddleNLP, and convert it back."""
    import paddlenlp.transformers as library

    report = convert.to_paddle(checkpoints(name), tmp_path / "paddle", progress=False)
    model = getattr(library, report.target_class).from_pretrained(str(tmp_path / "paddle"))
    change(model)
    model.save_pretrained(str(tmp_path / "trained"))
    return convert.to_hf(tmp_path / "trained", tmp_path / "back", progress=False)


def test_a_head_that_the_task_ignored_comes_back(source, tmp_path):
    report = convert.to_paddle(source, tmp_path / "paddle", task="base", progress=False)
    assert report.target_class == "BertModel" and len(report.ignored) == 5
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    before, after = open_weights(source).tensors, open_weights(tmp_path / "back").tensors
    assert read_config(tmp_path / "back")["architectures"] == ["BertForMaskedLM"]
    assert {name: tensor.read().tobytes() for name, tensor in before.items()}.items() <= {
        name: tensor.read().tobytes() for name, tensor in after.items()
    }.items()


@pytest.mark.parametrize("name", ["bert/masked_lm", "bart/seq2seq", "gpt2/causal_lm", "distilbert/masked_lm", "t5/seq2seq"])
def test_a_checkpoint_saved_by_paddlenlp_comes_back(checkpoints, tmp_path, name):
    report = train_and_convert_back(checkpoints, name, tmp_path, lambda model: None)
    before, after = open_weights(checkpoints(name)).tensors, open_weights(tmp_path / "back").tensors
    assert report.notes == []
    assert set(after) == set(before)
    for key in before:
        assert after[key].read().tobytes() == before[key].read().tobytes(), key
    assert read_config(tmp_path / "back") == read_config(checkpoints(name))


@pytest.mark.parametrize(
    ("name", "head", "aliases"),
    [
        ("bart/seq2seq", "lm_head.weight", {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}),
        ("distilbert/masked_lm", "vocab_projector.weight", set()),
    ],
)
def test_a_head_that_has_drifted_from_its_embedding_is_exported_untied(checkpoints, tmp_path, name, head, aliases):
    def drift(model):
        parameter = model.lm_head_weight if "bart" in name else model.vocab_projector.weight
        parameter.set_value(parameter * 2)

    report = train_and_convert_back(checkpoints, name, tmp_path, drift)
    assert report.notes == [f"{head} has drifted from the embedding: exported untied (tie_word_embeddings = false)"]
    assert read_config(tmp_path / "back")["tie_word_embeddings"] is False
    after = open_weights(tmp_path / "back").tensors
    assert aliases <= set(after)
    embedding = next(tensor for key, tensor in after.items() if key.endswith(("shared.weight", "word_embeddings.weight")))
    np.testing.assert_array_equal(after[head].read(), 2 * embedding.read())
    # and once more to Paddle: still the drifted head
    convert.to_paddle(tmp_path / "back", tmp_path / "paddle-again", progress=False)
    tensors = open_weights(tmp_path / "paddle-again").tensors
    value = tensors["lm_head_weight" if "bart" in name else "vocab_projector.weight"].read()
    np.testing.assert_array_equal(value if "bart" in name else value.T, after[head].read())


@pytest.mark.parametrize(
    ("class_name", "config", "hf_class"),
    [
        ("GPTForTokenClassification", {"hidden_size": 8, "num_attention_heads": 2}, "GPT2ForTokenClassification"),
        ("BertForMaskedLM", {"hidden_size": 8, "num_attention_heads": 2}, "BertForMaskedLM"),
        ("BartForConditionalGeneration", {"d_model": 24}, "BartForConditionalGeneration"),
    ],
)
def test_a_checkpoint_made_by_paddlenlp_converts_to_hf(tmp_path, class_name, config, hf_class):
    import paddlenlp.transformers as library

    model_class = getattr(library, class_name)
    model = model_class(model_class.config_class(vocab_size=20, num_hidden_layers=1, intermediate_size=12, **config))
    model.save_pretrained(str(tmp_path / "paddle"))
    report = convert.to_hf(tmp_path / "paddle", tmp_path / "hf", progress=False)
    assert report.target_class == hf_class and read_config(tmp_path / "hf")["architectures"] == [hf_class]
    # the report names what is left out: BERT's pooler, which the class of transformers lacks, and BART's bias of zeros
    left_out = {"BertForMaskedLM": ["bert.pooler.dense.weight", "bert.pooler.dense.bias"],
                "BartForConditionalGeneration": ["final_logits_bias"]}.get(class_name, [])  # fmt: skip
    assert list(report.ignored) == left_out
    # and every tensor of the source is in it, under whichever of its names the file has
    assert report.tensors.keys() | report.ignored.keys() == open_weights(tmp_path / "paddle").tensors.keys()
    # PaddleNLP never ties BART's head
    assert read_config(tmp_path / "hf")["tie_word_embeddings"] is ("Bart" not in class_name)
    # and back again: the same parameters
    convert.to_paddle(tmp_path / "hf", tmp_path / "again", progress=False)
    before, after = open_weights(tmp_path / "paddle").tensors, open_weights(tmp_path / "again").tensors
    assert before.keys() == after.keys()
    for name in before.keys() - report.ignored.keys():
        np.testing.assert_array_equal(after[name].read(), before[name].read(), err_msg=name)


def test_a_paddle_checkpoint_with_missing_or_extra_tensors_is_refused(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    odd = {"odd": np.zeros(2, "f4")}
    change_tensors(tmp_path / "paddle", lambda arrays: (arrays.pop("cls.predictions.layer_norm.bias"), arrays.update(odd)))
    with pytest.raises(convert.ConvertError) as error:
        convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert "cls.predictions.layer_norm.bias (8,): missing" in str(error.value)
    assert "odd (2,): no place for it in BertForMaskedLM" in str(error.value)
    assert not (tmp_path / "back").exists()


def test_a_trained_bias_that_transformers_lacks_is_refused(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("gpt2/causal_lm-head_untied"), tmp_path / "paddle", progress=False)
    change_tensors(tmp_path / "paddle", lambda arrays: arrays.update({"classifier.bias": arrays["classifier.bias"] + 1}))
    with pytest.raises(convert.ConvertError, match="classifier.bias: was trained, and GPT2LMHeadModel has no such tensor"):
        convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)


@pytest.mark.parametrize("part", ["config", "generation"])
def test_a_damaged_record_of_the_original_is_named(source, tmp_path, part):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    change_config(tmp_path / "paddle", huggingface={**read_config(tmp_path / "paddle")["huggingface"], part: ["odd"]})
    with pytest.raises(convert.ConvertError, match="huggingface must be what to-paddle stored about the original"):
        convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)


def test_the_wrong_direction_is_named(source, tmp_path):
    with pytest.raises(convert.ConvertError, match="not a Paddle checkpoint; use to-paddle for the other direction"):
        convert.to_hf(source, tmp_path / "back", progress=False)
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    with pytest.raises(convert.ConvertError, match="already a Paddle checkpoint; use to-hf for the other direction"):
        convert.to_paddle(tmp_path / "paddle", tmp_path / "again", progress=False)


@pytest.mark.parametrize(("paddle_class", "hf_class"), [
    ("GPTTokenizer", "GPT2Tokenizer"), ("PretrainedTokenizerFast", "PreTrainedTokenizerFast"), ("BertTokenizer", "BertTokenizer"),
])  # fmt: skip
def test_the_tokenizer_of_a_trained_model_gets_the_class_that_transformers_knows(tmp_path, paddle_class, hf_class):
    """PaddleNLP writes its own name of the class, and transformers' AutoTokenizer finds the tokenizer by it."""
    (tmp_path / "paddle").mkdir()
    (tmp_path / "hf").mkdir()
    (tmp_path / "paddle" / "vocab.json").write_text("{}")
    (tmp_path / "paddle" / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": paddle_class, "errors": "replace"}))
    write_hf_tokenizer(tmp_path / "paddle", tmp_path / "hf", tmp_path / "none")
    written = json.loads((tmp_path / "hf" / "tokenizer_config.json").read_text())
    assert written == {"tokenizer_class": hf_class, "errors": "replace"}
