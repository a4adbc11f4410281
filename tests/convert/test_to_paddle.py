"""Test the options of to-paddle, its report, and how it treats tied and optional tensors."""

import json

import numpy as np
import pytest

import convert
from convert.dtypes import cast
from convert.tensors import open_weights
from tests.support.checkpoints import change_config, change_tensors, read_config


@pytest.fixture
def source(checkpoint_copy):
    return checkpoint_copy("bert/masked_lm")


@pytest.mark.parametrize("format", ["safetensors", "pdparams", "both"])
def test_plain_paddlenlp_loads_the_same_weights_from_each_format(source, tmp_path, format):
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
def test_dtype(source, tmp_path, dtype):
    convert.to_paddle(source, tmp_path / "paddle", dtype=dtype, progress=False)
    assert {tensor.dtype for tensor in open_weights(tmp_path / "paddle").tensors.values()} == {dtype}
    assert read_config(tmp_path / "paddle")["dtype"] == dtype
    comparison = convert.verify(source, tmp_path / "paddle")
    worst = max(d["max_rel"] for d in comparison.differences.values())
    assert not comparison.equal and 1e-5 < worst < (3e-2 if dtype == "bfloat16" else 3e-3)


def test_bfloat16_is_rounded_to_the_nearest_ties_to_even():
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F80FFFF, 0xBF807FFF, 0x7F800000, 0x7FA00001], np.uint32)
    expected = [0x3F80, 0x3F82, 0x3F81, 0x3F81, 0xBF80, 0x7F80, 0x7FC0]
    assert cast(bits.view(np.float32), "float32", "bfloat16").tolist() == expected


def test_a_value_beyond_float16_is_refused(source, tmp_path):
    change_tensors(source, lambda arrays: arrays["bert.embeddings.LayerNorm.weight"].__setitem__(0, 1e6))
    with pytest.raises(convert.ConvertError, match="too large for float16"):
        convert.to_paddle(source, tmp_path / "paddle", dtype="float16", progress=False)
    assert not (tmp_path / "paddle").exists()


def test_the_destination_is_overwritten_only_with_overwrite(source, tmp_path):
    (tmp_path / "paddle").mkdir()
    (tmp_path / "paddle" / "precious").write_text("x")
    with pytest.raises(convert.ConvertError, match="already exists; choose another destination, or use --overwrite"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)
    assert (tmp_path / "paddle" / "precious").read_text() == "x"
    convert.to_paddle(source, tmp_path / "paddle", overwrite=True, progress=False)
    assert not (tmp_path / "paddle" / "precious").exists()


def test_the_report_files(source, tmp_path):
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


def test_a_missing_optional_buffer_is_filled_with_its_default(checkpoint_copy, tmp_path):
    source = checkpoint_copy("bart/seq2seq")
    change_tensors(source, lambda arrays: arrays.pop("final_logits_bias"))
    report = convert.to_paddle(source, tmp_path / "paddle", progress=False)
    assert report.filled_otherwise["final_logits_bias"] == "zeros, which its absence means" and report.initialised == []
    assert not open_weights(tmp_path / "paddle").tensors["final_logits_bias"].read().any()
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    assert set(open_weights(tmp_path / "back").tensors) == set(open_weights(source).tensors)


def test_the_unused_copy_of_a_tied_head_is_ignored_with_a_note(checkpoint_copy, tmp_path):
    """Convert a tied head that differs from its embedding. Like transformers, the converter uses the embedding; it adds a note."""
    source = checkpoint_copy("bart/seq2seq")
    change_tensors(source, lambda arrays: arrays.update({"lm_head.weight": arrays["model.shared.weight"] + 1}))
    report = convert.to_paddle(source, tmp_path / "paddle", progress=False)
    assert "transformers overwrites it with model.shared.weight" in report.ignored["lm_head.weight"]
    tensors = open_weights(tmp_path / "paddle").tensors
    np.testing.assert_array_equal(tensors["lm_head_weight"].read(), tensors["bart.shared.weight"].read())
    convert.to_hf(tmp_path / "paddle", tmp_path / "back", progress=False)
    before, after = open_weights(source).tensors, open_weights(tmp_path / "back").tensors
    np.testing.assert_array_equal(after["lm_head.weight"].read(), before["lm_head.weight"].read())


def test_an_untied_head_that_the_paddle_class_ties_is_refused(source, tmp_path):
    change_config(source, tie_word_embeddings=False)
    words, head = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
    change_tensors(source, lambda arrays: arrays.update({head: arrays[words] + 1}))
    with pytest.raises(convert.ConvertError, match=f"{head}: differs from {words}"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_an_untied_gpt2_head_becomes_a_token_classifier(checkpoints, tmp_path):
    report = convert.to_paddle(checkpoints("gpt2/causal_lm-head_untied"), tmp_path / "paddle", progress=False)
    assert report.target_class == "GPTForTokenClassification"
    assert "has no generate()" in report.summary()
