"""Test which model class a checkpoint is converted to."""

import numpy as np
import pytest

import convert
from convert.tensors import open_weights
from tests.support.checkpoints import change_config, change_tensors


@pytest.fixture
def source(checkpoint_copy):
    return checkpoint_copy("bert/masked_lm")


def test_another_task_gets_a_new_head_which_the_report_names(source, tmp_path):
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


def test_a_head_the_file_claims_to_have_but_lacks_is_an_error(source, tmp_path):
    change_tensors(source, lambda arrays: [arrays.pop(name) for name in list(arrays) if name.startswith("cls.")])
    with pytest.raises(convert.ConvertError, match="the whole head of masked_lm is missing: name the task with --task"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_an_incomplete_head_is_an_error_even_when_its_task_is_named(source, tmp_path):
    change_tensors(source, lambda arrays: arrays.pop("cls.predictions.transform.dense.weight"))
    with pytest.raises(convert.ConvertError, match="the checkpoint has no cls.predictions.transform.dense.weight"):
        convert.to_paddle(source, tmp_path / "paddle", task="masked_lm", progress=False)


def test_a_task_that_the_family_lacks(source, tmp_path):
    with pytest.raises(convert.ConvertError, match="bert has no task 'seq2seq' in both libraries; it has: base, masked_lm"):
        convert.to_paddle(source, tmp_path / "paddle", task="seq2seq", progress=False)


def test_without_architectures_the_task_follows_from_the_tensors(source, tmp_path):
    change_config(source, remove=("architectures",))
    assert convert.to_paddle(source, tmp_path / "paddle", progress=False).task == "masked_lm"


def test_without_architectures_a_bare_classifier_is_ambiguous(checkpoint_copy, tmp_path):
    source = checkpoint_copy("bert/token_classification")
    change_config(source, remove=("architectures",))
    with pytest.raises(convert.ConvertError, match="fit several tasks: sequence_classification, token_classification"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_an_architecture_that_paddle_lacks(source, tmp_path):
    change_config(source, architectures=["BertLMHeadModel"])
    with pytest.raises(convert.ConvertError, match="architecture BertLMHeadModel has no counterpart in PaddleNLP; those that have"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)


def test_a_head_that_paddle_gets_wrong_is_refused(checkpoint_copy, tmp_path):
    source = checkpoint_copy("albert/token_classification")
    change_config(source, architectures=["AlbertForQuestionAnswering"])
    with pytest.raises(convert.ConvertError, match="returns its start logits as end logits too; use --task base"):
        convert.to_paddle(source, tmp_path / "paddle", progress=False)
