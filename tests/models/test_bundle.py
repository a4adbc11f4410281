"""Test loading and saving of models with their tokenizers: added tokens, new models, and files that hold pickles."""

import json
import os
import pickle
import re

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartTokenizer,
    GPTConfig,
    GPTLMHeadModel,
)

from paddle_ft.models.build import load_pretrained
from paddle_ft.models.bundle import load_bundle, make_bundle, reload_bundle
from paddle_ft.models.request import ModelRequest
from paddle_ft.models.resolve import resolve
from paddle_ft.models.vocabulary import resize_vocabulary, tie_head
from paddle_ft.system.errors import UserError
from paddle_ft.tokenization.fast import fast_tokenizer
from paddle_ft.tokenization.load import load_tokenizer

SIZES = {"vocab_size": 11, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
         "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 40}  # fmt: skip


def bart(tied: bool):
    paddle.seed(1)
    model = BartForConditionalGeneration(BartConfig(**SIZES))
    if tied:
        tie_head(model, from_scratch=True)
    model.final_logits_bias += 0.5
    model.eval()
    return model


def logits(model):
    ids = paddle.to_tensor([[0, 4, 5, 2]])
    return model(input_ids=ids, decoder_input_ids=ids).numpy()


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_are_the_mean_of_the_old_and_old_logits_stay(tied):
    model = bart(tied)
    before, head = logits(model), model.lm_head_weight.numpy()
    old = model.bart.shared.weight.numpy()
    resize_vocabulary(model, 14)
    new = model.bart.shared.weight.numpy()
    assert new.shape == (14, 16)
    assert (new[:11] == old).all()
    np.testing.assert_allclose(new[11:], np.tile(old.mean(axis=0), (3, 1)), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(model.lm_head_weight.numpy()[11:], np.tile(head.mean(axis=0), (3, 1)), rtol=1e-5, atol=1e-8)
    assert (model.lm_head_weight is model.bart.shared.weight) == tied
    assert model.bart.encoder.embed_tokens.weight is model.bart.shared.weight
    assert model.bart.decoder.embed_tokens.weight is model.bart.shared.weight
    assert model.final_logits_bias.numpy().tolist() == [[0.5] * 11 + [0.0] * 3]
    np.testing.assert_allclose(logits(model)[:, :, :11], before, atol=1e-6)
    assert model.config.vocab_size == 14


def test_new_rows_are_trained():
    model = bart(tied=True)
    resize_vocabulary(model, 12)
    model(input_ids=paddle.to_tensor([[0, 11, 2]]), decoder_input_ids=paddle.to_tensor([[2, 0]])).sum().backward()
    weight = model.bart.shared.weight
    assert any(parameter is weight for parameter in model.parameters())
    assert float(weight.grad[11].abs().sum()) > 0


def test_a_vocabulary_that_is_large_enough_is_not_changed():
    model = bart(tied=True)
    weight = model.bart.shared.weight
    resize_vocabulary(model, 11)
    resize_vocabulary(model, 9)
    assert model.bart.shared.weight is weight


def test_gpt2_grows_with_its_tied_head():
    config = GPTConfig(vocab_size=12, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
                       max_position_embeddings=16)  # fmt: skip
    model = GPTLMHeadModel(config)
    model.eval()
    ids = paddle.to_tensor([[3, 4]])
    before = model(ids).numpy()
    resize_vocabulary(model, 15)
    after = model(ids).numpy()
    assert after.shape[-1] == 15
    np.testing.assert_allclose(after[..., :12], before, atol=1e-6)
    assert model.lm_head.weight is model.gpt.embeddings.word_embeddings.weight


@pytest.fixture
def english(tmp_path):
    """Write a checkpoint in bart-base's layout, and return its directory."""
    words = {w: i for i, w in enumerate(["<s>", "<pad>", "</s>", "<unk>", "a", "b", "c", "Ġ", "Ġa", "ab", "<mask>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ a\na b\n", encoding="utf-8")
    tokenizer = BartTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    make_bundle(bart(tied=True), tokenizer, tmp_path / "tokenizer").save(tmp_path)
    return tmp_path


def test_added_tokens_survive_save_and_load(english, tmp_path):
    from paddle_ft.config.schema import ModelSection

    added = {"additional_special_tokens": ["<line>", "<genre:rap>"]}
    request = ModelRequest("seq2seq", special_tokens=added)
    loaded = load_bundle(ModelSection(pretrained=str(english)), request, tmp_path / "built")
    assert loaded.model.bart.shared.weight.shape == [13, 16]
    loaded.save(tmp_path / "saved")
    again = reload_bundle("seq2seq", tmp_path / "saved")
    assert again.model.bart.shared.weight.shape == [13, 16]
    text = "<genre:rap>ab<line>c<mask> a"
    expected = [0, 12, 9, 11, 6, 10, 8, 2]
    assert fast_tokenizer(tmp_path / "saved").encode(text).ids == expected
    assert BartTokenizer.from_pretrained(str(tmp_path / "saved"))(text)["input_ids"] == expected
    plain = BartForConditionalGeneration.from_pretrained(str(tmp_path / "saved"))
    assert (plain.bart.shared.weight == loaded.model.bart.shared.weight).all()


SEPARATE = "the checkpoint's output head differs from its input embedding: they stay two parameters"
MEAN = "in the vocabulary: their embeddings start as the mean of the checkpoint's"


@pytest.mark.parametrize(
    ("tied", "added", "expected"),
    [
        (True, [], []),
        (True, ["<line>"], [f"1 new token (<line>) {MEAN}"]),
        (False, ["<line>", "<genre:rap>"], [SEPARATE, f"2 new tokens (<line>, <genre:rap>) {MEAN}"]),
    ],
)
def test_new_tokens_and_a_separate_head_are_said(english, tmp_path, tied, added, expected):
    from paddle_ft.config.schema import ModelSection

    make_bundle(bart(tied), load_tokenizer(english), tmp_path / "again").save(english)
    request = ModelRequest("seq2seq", special_tokens={"additional_special_tokens": added})
    assert load_bundle(ModelSection(pretrained=str(english)), request, tmp_path / "built").decisions == expected


def test_from_scratch_the_vocabulary_holds_the_added_tokens(tmp_path):
    from paddle_ft.config.schema import ModelSection

    section = ModelSection(config={key: value for key, value in SIZES.items() if key != "vocab_size"})
    added = {"additional_special_tokens": ["<line>"]}
    loaded = load_bundle(section, ModelRequest("seq2seq", ["今天"], added), tmp_path / "t")
    assert loaded.fast_tokenizer.encode("今<line>天").ids[2] == len(loaded.tokenizer) - 1 == loaded.model.config.vocab_size - 1


def test_sizes_under_an_alias_are_used(tmp_path):
    """PaddleNLP itself accepts dim and n_layers for DistilBERT but ignores them."""
    from paddle_ft.models.build import build_model
    from paddle_ft.tokenization.build import character_tokenizer

    tokenizer = character_tokenizer(["abc"], tmp_path)
    sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2}
    model = build_model("masked_lm", {"model_type": "distilbert", **sizes}, tokenizer)
    assert (model.config.hidden_size, model.config.num_hidden_layers, model.config.intermediate_size) == (32, 1, 64)


def test_an_unknown_size_is_answered_with_the_usual_ones(tmp_path):
    from paddle_ft.models.build import build_model
    from paddle_ft.tokenization.build import character_tokenizer

    with pytest.raises(UserError) as caught:
        build_model("causal_lm", {"zzz": 3}, character_tokenizer(["abc"], tmp_path))
    message = str(caught.value)
    assert message.startswith("model.config.zzz: GPTConfig has no such setting. It has vocab_size, hidden_size, num_hidden_layers")
    assert re.search(r"and \d+ more\.$", message) and message.count(",") < 12
    with pytest.raises(UserError, match=r"hidden_siz: .* Did you mean hidden_size\?$"):
        build_model("causal_lm", {"hidden_siz": 3}, character_tokenizer(["abc"], tmp_path))


# ---------------------------------------------------------------------------------------------------- pickles
def as_pdparams(directory):
    """Replace the weights by a .pdparams file, as PaddleNLP's default save writes it."""
    model = BartForConditionalGeneration.from_pretrained(str(directory))
    (directory / "model.safetensors").unlink()
    paddle.save(model.state_dict(), str(directory / "model_state.pdparams"))
    return model


def test_pdparams_are_loaded_as_paddlenlp_loads_them(english):
    saved = as_pdparams(english)
    loaded = load_pretrained("seq2seq", resolve(str(english), "seq2seq"))
    assert loaded.state_dict().keys() == saved.state_dict().keys()
    assert all((value == saved.state_dict()[name]).all() for name, value in loaded.state_dict().items())
    assert loaded.generation_config.to_dict() == saved.generation_config.to_dict()


def test_half_precision_pdparams(english):
    as_pdparams(english)
    state = {name: value.astype("bfloat16") for name, value in paddle.load(str(english / "model_state.pdparams")).items()}
    paddle.save(state, str(english / "model_state.pdparams"))
    loaded = load_pretrained("seq2seq", english).bart.shared.weight
    expected = BartForConditionalGeneration.from_pretrained(str(english)).bart.shared.weight
    assert loaded.dtype == expected.dtype and (loaded == expected).all()


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("index", [False, True])
def test_a_pickle_in_place_of_weights_is_not_run(english, index, tmp_path):
    """A pickle is not run either if a safetensors index names it as a shard."""
    (english / "model.safetensors").unlink()
    file = english / "model_state.pdparams"
    file.write_bytes(pickle.dumps({"w": Attack(tmp_path / "harmed")}))
    if index:
        content = {"metadata": {"total_size": 1}, "weight_map": {"w": file.name}}
        (english / "model.safetensors.index.json").write_text(json.dumps(content))
    message = r"damaged|not a safetensors file|header" if index else r"its pickle asks for posix.mkdir, .*; nothing was run"
    with pytest.raises(UserError, match=f"the model cannot be loaded: {re.escape(str(file))}: .*({message})"):
        load_pretrained("seq2seq", english)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ErnieTinyTokenizer", "is not allowed: its dict.wordseg.pickle is a pickle"),  # unpickles that file
        ("BartModel", "PaddleNLP has no tokenizer class BartModel"),  # loads weights
        ("AutoTokenizer", "PaddleNLP has no tokenizer class AutoTokenizer"),
    ],
)
def test_a_tokenizer_class_that_would_unpickle(english, name, message, tmp_path):
    harm = pickle.dumps(Attack(tmp_path / "harmed"))
    for file in ("dict.wordseg.pickle", "model_state.pdparams", "vocab.txt", "spm_cased_simp_sampled.model"):
        (english / file).write_bytes(harm)
    (english / "model.safetensors").unlink()
    (english / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    with pytest.raises(UserError, match=f"tokenizer_config.json: .*{message}"):
        load_tokenizer(english)
    assert not (tmp_path / "harmed").exists()


def test_a_tokenizer_class_that_does_not_fit_its_files(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "CTRLTokenizer"}')
    with pytest.raises(UserError, match=r"CTRLTokenizer \(tokenizer_class\) cannot be made of the files here"):
        load_tokenizer(tmp_path)
