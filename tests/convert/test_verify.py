"""Test that verify finds differences, and that it reports when nothing can be compared."""

import json
import re

import numpy as np
import pytest

import convert
from convert.families import load_families
from convert.identify import identify
from convert.outputs import example_inputs, hf_config_of
from tests.support.checkpoints import change_config, change_tensors, read_config


@pytest.fixture
def source(checkpoint_copy):
    return checkpoint_copy("bert/masked_lm")


def test_verify_adds_its_figures_to_the_report(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    comparison = convert.verify(source, tmp_path / "paddle")
    written = json.loads((tmp_path / "paddle" / "conversion.json").read_text())
    assert written["parity"] == comparison.differences and "logits" in written["parity"]
    assert f"| logits | {comparison.differences['logits']['max_abs']:.2e} |" in (tmp_path / "paddle" / "conversion.md").read_text()


def test_verify_names_the_first_layer_that_differs(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("bart/seq2seq"), tmp_path / "paddle", progress=False)
    square = "bart.decoder.decoder.layers.1.cross_attn.k_proj.weight"  # a forgotten transpose that every shape check passes
    change_tensors(tmp_path / "paddle", lambda arrays: arrays.update({square: arrays[square].T.copy()}))
    comparison = convert.verify(checkpoints("bart/seq2seq"), tmp_path / "paddle")
    assert comparison.diverging == "decoder.layers.1" and not comparison.equal
    assert "DIFFERENT: first beyond 5e-05 is decoder.layers.1" in comparison.text()


def test_verify_of_checkpoints_of_different_sizes_names_a_tensor(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    num_layers = read_config(source)["num_hidden_layers"]
    change_config(source, num_hidden_layers=num_layers + 1)
    tensor = f"encoder.layer.{num_layers}.attention.self.query.weight"
    for sides in ((source, tmp_path / "paddle"), (tmp_path / "paddle", source)):
        with pytest.raises(convert.ConvertError, match=f"of different sizes, so there is nothing to compare: {tensor} is "):
            convert.verify(*sides)


def test_verify_of_a_model_that_computes_nan_is_not_equal(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("bert/base"), tmp_path / "paddle", progress=False)
    change_tensors(tmp_path / "paddle", lambda arrays: arrays["pooler.dense.bias"].fill(np.nan))
    assert convert.verify(checkpoints("bert/base"), tmp_path / "paddle").diverging == "pooler_output"


def test_verify_of_a_classifier_without_padding_id_uses_one_text(checkpoint_copy, tmp_path):
    """Verify GPT-2 without a padding id, its default. transformers then takes no batches, and Paddle's -1 is not a valid id."""
    source = checkpoint_copy("gpt2/sequence_classification")
    change_config(source, remove=("pad_token_id",))
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    info = identify(source, load_families())
    inputs = example_inputs(info.family, hf_config_of(info, info.task), info.task)
    assert inputs["input_ids"].shape == (1, 14) and inputs["input_ids"].min() >= 0
    assert convert.verify(tmp_path / "paddle", tmp_path / "paddle").equal


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": {"a": 1}}, "config.json: architectures = {'a': 1} must be a list of names"),
        ({"hidden_size": "8"}, "config.json: hidden_size = '8' must be a number from 0 to 2147483647"),
        ({"id2label": [1]}, "config.json: id2label = [1] must be an object"),
    ],
)
def test_a_damaged_config_is_named(source, tmp_path, changes, message):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    change_config(source, **changes)
    with pytest.raises(convert.ConvertError, match=re.escape(message)):
        convert.verify(source, tmp_path / "paddle")


def test_a_checkpoint_that_paddlenlp_cannot_load_is_named(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    change_tensors(tmp_path / "paddle", lambda arrays: arrays.update({"cls.predictions.layer_norm.bias": np.zeros(5, "f4")}))
    with pytest.raises(convert.ConvertError, match="paddle: PaddleNLP cannot load it .RuntimeError: Error.s. in loading"):
        convert.verify(source, tmp_path / "paddle")


def test_a_damaged_report_does_not_hinder_the_comparison(source, tmp_path):
    convert.to_paddle(source, tmp_path / "paddle", progress=False)
    report = json.loads((tmp_path / "paddle" / "conversion.json").read_text())
    (tmp_path / "paddle" / "conversion.json").write_text(json.dumps({**report, "tensors": [1], "initialised": 7}))
    assert convert.verify(source, tmp_path / "paddle").equal
