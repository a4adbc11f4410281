"""Options of to-paddle and to-hf, what the reports say, and what training in Paddle does to the way back."""

import json
import shutil

import numpy as np
import pytest

import convert
from convert import parity
from convert.dtypes import cast
from convert.formats import safetensors
from convert.tensors import open_weights


@pytest.fixture
def source(checkpoints, tmp_path):
    target = tmp_path / "source"
    shutil.copytree(checkpoints("bert/masked_lm"), target)
    return target


def config_of(directory):
    return json.loads((directory / "config.json").read_text())


def rewrite(directory, change):
    """Lets `change` alter the arrays of a safetensors file."""
    arrays = {name: np.array(tensor.read()) for name, tensor in open_weights(directory).tensors.items()}
    change(arrays)
    safetensors.write(
        directory / "model.safetensors",
        [(name, array.dtype.name, array.shape, lambda array=array: array) for name, array in arrays.items()],
        {"format": "np"},
    )


@pytest.mark.parametrize("format", ["safetensors", "pdparams", "both"])
def test_formats_hold_the_same_and_plain_paddlenlp_loads_each(source, tmp_path, format):
    from paddlenlp.transformers import BertForMaskedLM

    convert.to_paddle(source, tmp_path / "paddle", format=format, progress=False)
    names = {path.name for path in (tmp_path / "paddle").iterdir()} & {"model.safetensors", "model_state.pdparams"}
    assert names == {"safetensors": {"model.safetensors"}, "pdparams": {"model_state.pdparams"},
                     "both": {"model.safetensors", "model_state.pdparams"}}[format]  # fmt: skip
    model = BertForMaskedLM.from_pretrained(str(tmp_path / "paddle"))
    written = open_weights(source).tensors["bert.embeddings.LayerNorm.weight"]
    np.testing.assert_array_equal(model.bert.embeddings.layer_norm.weight.numpy(), written.read())
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert open_weights(tmp_path / "back").tensors.keys() == open_weights(source).tensors.keys()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_type_can_be_asked_for(source, tmp_path, dtype):
    convert.to_paddle(source, tmp_path / "paddle", dtype=dtype, progress=False)
    assert {tensor.dtype for tensor in open_weights(tmp_path / "paddle").tensors.values()} == {dtype}
    assert config_of(tmp_path / "paddle")["dtype"] == dtype
    comparison = convert.verify(source, tmp_path / "paddle")
    worst = max(d["max_rel"] for d in comparison.differences.values())
    assert not comparison.equal and 1e-5 < worst < (3e-2 if dtype == "bfloat16" else 3e-3)


def test_bfloat16_is_rounded_to_the_nearest_ties_to_even():
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F80FFFF, 0xBF807FFF, 0x7F800000, 0x7FA00001], np.uint32)
    expected = [0x3F80, 0x3F82, 0x3F81, 0x3F81, 0xBF80, 0x7F80, 0x7FC0]
    assert cast(bits.view(np.float32), "float32", "bfloat16").tolist() == expected


def test_a_value_beyond_float16_is_refused(source, tmp_path):
    rewrite(source, lambda arrays: arrays["bert.embeddings.LayerNorm.weight"].__setitem__(0, 1e6))
    with pytest.raises(convert.ConvertError, match="too large for float16"):
        convert.to_paddle(source, tmp_path / "paddle", dtype="float16", progress=False)
    assert not (tmp_path / "paddle").exists()


def test_another_head_starts_anew_only_when_asked_for_and_is_named(source, tmp_path):
    report = convert.to_paddle(source, tmp_path / "paddle", task="sequence_classification", progress=False)
    assert report.initialised == [
        "bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias",
    ]  # fmt: skip
    assert report.ignored["cls.predictions.bias"] == "head of masked_lm"
    written = open_weights(tmp_path / "paddle").tensors
    assert written["classifier.weight"].read().std() > 0 and not written["classifier.bias"].read().any()
    again = convert.to_paddle(source, tmp_path / "again", task="sequence_classification", progress=False)
    assert again.initialised == report.initialised
    same = open_weights(tmp_path / "again").tensors["classifier.weight"].read()
    np.testing.assert_array_equal(same, written["classifier.weight"].read())
    comparison = convert.verify(source, tmp_path / "paddle")
    assert comparison.equal and "logits" not in comparison.differences and "newly initialised" in comparison.text()


def test_a_head_left_out_comes_back(source, tmp_path):
    report = convert.to_paddle(source, tmp_path / "paddle", task="base", progress=False)
    assert report.target_class == "BertModel" and len(report.ignored) == 5
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    before, after = open_weights(source).tensors, open_weights(tmp_path / "back").tensors
    assert config_of(tmp_path / "back")["architectures"] == ["BertForMaskedLM"]
    assert {name: tensor.read().tobytes() for name, tensor in before.items()}.items() <= {
        name: tensor.read().tobytes() for name, tensor in after.items()
    }.items()


def test_a_head_the_file_claims_to_have_but_has_not_is_an_error(source, tmp_path):
    rewrite(source, lambda arrays: [arrays.pop(name) for name in list(arrays) if name.startswith("cls.")])
    with pytest.raises(convert.ConvertError, match="the whole head of masked_lm is missing: name the task with --task"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_half_a_head_is_an_error_even_when_asked_for(source, tmp_path):
    rewrite(source, lambda arrays: arrays.pop("cls.predictions.transform.dense.weight"))
    with pytest.raises(convert.ConvertError, match="the checkpoint has no cls.predictions.transform.dense.weight"):
        convert.to_paddle(source, tmp_path / "paddle", task="masked_lm", progress=False)


def test_a_task_that_the_family_has_not(source, tmp_path):
    with pytest.raises(convert.ConvertError, match="bert has no task 'seq2seq' in both libraries; it has: base, masked_lm"):
        convert.to_paddle(source, tmp_path / "paddle", task="seq2seq", progress=False)


def test_without_architectures_the_tensors_tell_what_it_is(source, tmp_path):
    config = config_of(source)
    del config["architectures"]
    (source / "config.json").write_text(json.dumps(config))
    assert convert.to_paddle(source, tmp_path / "paddle", progress=False).task == "masked_lm"


def test_without_architectures_a_bare_classifier_is_ambiguous(checkpoints, source, tmp_path):
    shutil.copy(checkpoints("bert/token_classification") / "model.safetensors", source / "model.safetensors")
    config = config_of(source)
    del config["architectures"]
    config["id2label"] = {str(i): f"L{i}" for i in range(3)}
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(convert.ConvertError, match="fit several tasks: sequence_classification, token_classification"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_an_architecture_that_paddle_has_not(source, tmp_path):
    (source / "config.json").write_text(json.dumps({**config_of(source), "architectures": ["BertLMHeadModel"]}))
    with pytest.raises(convert.ConvertError, match="architecture BertLMHeadModel has no counterpart in PaddleNLP; those that have"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_a_head_that_paddle_gets_wrong_is_refused(checkpoints, tmp_path, source):
    shutil.copy(checkpoints("albert/token_classification") / "model.safetensors", source / "model.safetensors")
    config = {**config_of(checkpoints("albert/token_classification")), "architectures": ["AlbertForQuestionAnswering"]}
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(convert.ConvertError, match="returns its start logits as end logits too; take --task base"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_the_destination_is_not_overwritten_unasked(source, tmp_path):
    (tmp_path / "paddle").mkdir()
    (tmp_path / "paddle" / "precious").write_text("x")
    with pytest.raises(convert.ConvertError, match="already exists; choose another destination, or say --overwrite"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)
    assert (tmp_path / "paddle" / "precious").read_text() == "x"
    convert.to_paddle(source, tmp_path / "paddle", overwrite=True, progress=False)
    assert not (tmp_path / "paddle" / "precious").exists()


def test_the_report_beside_the_weights(source, tmp_path):
    import hashlib

    report = convert.to_paddle(source, tmp_path / "paddle", progress=False)
    written = json.loads((tmp_path / "paddle" / "conversion.json").read_text())
    assert written["files"] == {"model.safetensors": hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()}
    assert set(written["tensors"]) == set(open_weights(source).tensors)
    assert written["tensors"]["bert.encoder.layer.0.output.dense.weight"] == {
        "becomes": ["bert.encoder.layers.0.linear2.weight"], "how": "Linear, transposed", "shape": [8, 14], "dtype": "float32",
        "name": "bert.encoder.layer.0.output.dense.weight",
    }  # fmt: skip
    assert {"python", "paddlenlp", "numpy"} <= set(written["versions"])
    text = (tmp_path / "paddle" / "conversion.md").read_text()
    assert "| bert.encoder.layer.0.output.dense.weight | bert.encoder.layers.0.linear2.weight | Linear, transposed |" in text
    assert "BertForMaskedLM.from_pretrained" in report.summary()


def test_verify_adds_its_figures_to_the_report(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    comparison = convert.verify(source, tmp_path / "paddle")
    written = json.loads((tmp_path / "paddle" / "conversion.json").read_text())
    assert written["parity"] == comparison.differences and "logits" in written["parity"]
    assert f"| logits | {comparison.differences['logits']['max_abs']:.2e} |" in (tmp_path / "paddle" / "conversion.md").read_text()


def test_a_buffer_that_may_be_left_out_is_filled_with_what_that_means(checkpoints, source, tmp_path):
    shutil.copy(checkpoints("bart/seq2seq") / "config.json", source / "config.json")
    shutil.copy(checkpoints("bart/seq2seq") / "model.safetensors", source / "model.safetensors")
    rewrite(source, lambda arrays: arrays.pop("final_logits_bias"))
    report = convert.to_paddle(source, tmp_path / "paddle", progress=False)
    assert report.filled_otherwise["final_logits_bias"] == "zeros, which its absence means" and report.initialised == []
    assert not open_weights(tmp_path / "paddle").tensors["final_logits_bias"].read().any()
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert set(open_weights(tmp_path / "back").tensors) == set(open_weights(source).tensors)


def test_verify_names_the_first_layer_that_differs(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("bart/seq2seq"), tmp_path / "paddle", progress=False)
    square = "bart.decoder.decoder.layers.1.cross_attn.k_proj.weight"  # a forgotten transpose that every shape check passes
    rewrite(tmp_path / "paddle", lambda arrays: arrays.update({square: arrays[square].T.copy()}))
    comparison = convert.verify(checkpoints("bart/seq2seq"), tmp_path / "paddle")
    assert comparison.diverging == "decoder.layers.1" and not comparison.equal
    assert "DIFFERENT: first beyond 5e-05 is decoder.layers.1" in comparison.text()


def test_verify_of_checkpoints_of_different_sizes_names_a_tensor(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    deeper = {**config_of(source), "num_hidden_layers": config_of(source)["num_hidden_layers"] + 1}
    (source / "config.json").write_text(json.dumps(deeper))
    last = f"encoder.layer.{deeper['num_hidden_layers'] - 1}.attention.self.query.weight"
    for sides in ((source, tmp_path / "paddle"), (tmp_path / "paddle", source)):
        with pytest.raises(convert.ConvertError, match=f"of different sizes, so there is nothing to compare: {last} is "):
            convert.verify(*sides)


def test_verify_of_a_model_that_computes_nonsense_is_not_equal(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("bert/base"), tmp_path / "paddle", progress=False)
    rewrite(tmp_path / "paddle", lambda arrays: arrays["pooler.dense.bias"].fill(np.nan))
    assert convert.verify(checkpoints("bert/base"), tmp_path / "paddle").diverging == "pooler_output"


def trained(checkpoints, name, tmp_path, change):
    """Converted, changed as a training would, saved by PaddleNLP itself, converted back."""
    import paddlenlp.transformers as library

    report = convert.to_paddle(checkpoints(name), tmp_path / "paddle", progress=False)
    model = getattr(library, report.target_class).from_pretrained(str(tmp_path / "paddle"))
    change(model)
    model.save_pretrained(str(tmp_path / "trained"))
    return convert.to_hf(tmp_path / "trained", tmp_path / "back", progress=False)


def test_verify_of_a_classifier_without_padding_id_takes_one_text(checkpoints, tmp_path, source):
    """GPT-2 names none by default; transformers then takes no batch, and an id of -1 would be no row of the embedding."""
    shutil.copytree(checkpoints("gpt2/sequence_classification"), source, dirs_exist_ok=True)
    config = {key: value for key, value in config_of(source).items() if key != "pad_token_id"}
    (source / "config.json").write_text(json.dumps(config))
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    side = parity.Checkpoint(source)
    inputs = parity.example_inputs(side.family, parity.hf_config_of(side, side.task), side.task)
    assert inputs["input_ids"].shape == (1, 14) and inputs["input_ids"].min() >= 0
    assert convert.verify(tmp_path / "paddle", tmp_path / "paddle").equal


@pytest.mark.parametrize("name", ["bert/masked_lm", "bart/seq2seq", "gpt2/causal_lm", "distilbert/masked_lm", "t5/seq2seq"])
def test_a_checkpoint_saved_by_paddlenlp_comes_back(checkpoints, tmp_path, name):
    report = trained(checkpoints, name, tmp_path, lambda model: None)
    before, after = open_weights(checkpoints(name)).tensors, open_weights(tmp_path / "back").tensors
    assert report.notes == []
    assert set(after) == set(before)
    for key in before:
        assert after[key].read().tobytes() == before[key].read().tobytes(), key
    assert config_of(tmp_path / "back") == config_of(checkpoints(name))


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

    report = trained(checkpoints, name, tmp_path, drift)
    assert report.notes == [f"{head} has drifted from the embedding: exported untied (tie_word_embeddings = false)"]
    assert config_of(tmp_path / "back")["tie_word_embeddings"] is False
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
def test_a_checkpoint_born_in_paddle_can_leave(tmp_path, class_name, config, hf_class):
    import paddlenlp.transformers as library

    model_class = getattr(library, class_name)
    model = model_class(model_class.config_class(vocab_size=20, num_hidden_layers=1, intermediate_size=12, **config))
    model.save_pretrained(str(tmp_path / "paddle"))
    report = convert.to_hf(tmp_path / "paddle", tmp_path / "hf", progress=False)
    assert report.target_class == hf_class and config_of(tmp_path / "hf")["architectures"] == [hf_class]
    # PaddleNLP's pooler, which transformers' class has not, is named; BART's head was never tied in Paddle
    assert list(report.ignored) == (["bert.pooler.dense.weight", "bert.pooler.dense.bias"] if "Bert" in class_name else [])
    assert config_of(tmp_path / "hf")["tie_word_embeddings"] is ("Bart" not in class_name)
    # and back again: the same parameters
    convert.to_paddle(tmp_path / "hf", tmp_path / "again", progress=False)
    before, after = open_weights(tmp_path / "paddle").tensors, open_weights(tmp_path / "again").tensors
    assert before.keys() == after.keys()
    for name in before.keys() - report.ignored.keys():
        np.testing.assert_array_equal(after[name].read(), before[name].read(), err_msg=name)


def test_a_dead_copy_of_a_tied_head_is_kept_aside_with_a_word(checkpoints, tmp_path, source):
    """transformers overwrites a stored head with the embedding when the configuration ties them; so do we, and say so."""
    shutil.copy(checkpoints("bart/seq2seq") / "config.json", source / "config.json")
    shutil.copy(checkpoints("bart/seq2seq") / "model.safetensors", source / "model.safetensors")
    rewrite(source, lambda arrays: arrays.update({"lm_head.weight": arrays["model.shared.weight"] + 1}))
    report = convert.to_paddle(source, tmp_path / "paddle", progress=False)
    assert "transformers overwrites it with model.shared.weight" in report.ignored["lm_head.weight"]
    tensors = open_weights(tmp_path / "paddle").tensors
    np.testing.assert_array_equal(tensors["lm_head_weight"].read(), tensors["bart.shared.weight"].read())
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    before, after = open_weights(source).tensors, open_weights(tmp_path / "back").tensors
    np.testing.assert_array_equal(after["lm_head.weight"].read(), before["lm_head.weight"].read())


def test_an_untied_head_that_paddles_class_cannot_hold_is_refused(source, tmp_path):
    (source / "config.json").write_text(json.dumps({**config_of(source), "tie_word_embeddings": False}))
    words, head = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
    rewrite(source, lambda arrays: arrays.update({head: arrays[words] + 1}))
    with pytest.raises(convert.ConvertError, match=f"{head}: differs from {words}"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_a_paddle_checkpoint_that_lacks_or_has_too_much_is_refused(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    odd = {"odd": np.zeros(2, "f4")}
    rewrite(tmp_path / "paddle", lambda arrays: (arrays.pop("cls.predictions.layer_norm.bias"), arrays.update(odd)))
    with pytest.raises(convert.ConvertError) as error:
        convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert "cls.predictions.layer_norm.bias (8,): missing" in str(error.value)
    assert "odd (2,): no place for it in BertForMaskedLM" in str(error.value)
    assert not (tmp_path / "back").exists()


def test_a_bias_that_transformers_has_not_is_not_dropped_once_trained(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("gpt2/causal_lm-head_untied"), tmp_path / "paddle", progress=False)
    rewrite(tmp_path / "paddle", lambda arrays: arrays.update({"classifier.bias": arrays["classifier.bias"] + 1}))
    with pytest.raises(convert.ConvertError, match="classifier.bias: was trained, and GPT2LMHeadModel has no such tensor"):
        convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)


@pytest.mark.parametrize("part", ["config", "generation"])
def test_a_damaged_record_of_the_original_is_named(source, tmp_path, part):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    config = config_of(tmp_path / "paddle")
    config["huggingface"][part] = ["odd"]
    (tmp_path / "paddle" / "config.json").write_text(json.dumps(config))
    with pytest.raises(convert.ConvertError, match="huggingface must hold what to-paddle kept of the original"):
        convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)


def test_the_wrong_direction_is_named(source, tmp_path):
    with pytest.raises(convert.ConvertError, match="not a Paddle checkpoint; to-paddle leads the other way"):
        convert.to_hf(source, tmp_path / "back", progress=False)
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    with pytest.raises(convert.ConvertError, match="already a Paddle checkpoint; to-hf leads the other way"):
        convert.to_paddle(tmp_path / "paddle", tmp_path / "again", progress=False)


def test_the_untied_gpt2_says_how_it_is_held(checkpoints, tmp_path):
    report = convert.to_paddle(checkpoints("gpt2/causal_lm-head_untied"), tmp_path / "paddle", progress=False)
    assert report.target_class == "GPTForTokenClassification"
    assert "has no generate()" in report.summary()


def test_inspect_tells_without_loading(checkpoints, tmp_path):
    seen = convert.inspect(checkpoints("bart/seq2seq-sharded"))
    assert seen.facts["family"] == "bart"
    assert seen.facts["task"].startswith("seq2seq: BartForConditionalGeneration -> BartForConditionalGeneration")
    assert "model-00001-of-00002.safetensors, model-00002-of-00002.safetensors" in seen.facts["files"]
    assert seen.lists["tied"] == ["lm_head_weight = model.shared.weight"] and seen.problem is None
    old = convert.inspect(checkpoints("bert/masked_lm-old"))
    assert "cls.seq_relationship.bias: head of pretraining" in old.lists["ignored"]
    assert "bert.embeddings.position_ids: a buffer of consecutive numbers" in old.lists["ignored"]
    assert any(line.startswith("bert.pooler.dense.weight (8, 8): starts anew") for line in old.lists["missing"])
    half = convert.inspect(checkpoints("distilbert/masked_lm-bfloat16"))
    assert half.facts["dtype"].startswith("bfloat16 (")
    convert.to_paddle(checkpoints("bart/seq2seq"), tmp_path / "paddle", progress=False)
    assert convert.inspect(tmp_path / "paddle").facts["layout"] == "Paddle"


def test_inspect_describes_what_cannot_be_converted(source):
    rewrite(source, lambda arrays: arrays.update({"odd": np.zeros(2, "f4")}))
    assert "odd (2,): no place for it" in convert.inspect(source).problem
