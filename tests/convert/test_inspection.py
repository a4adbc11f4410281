"""Test that inspect describes a checkpoint and its conversion."""

import numpy as np
import pytest

import convert
from tests.support.checkpoints import change_tensors


@pytest.fixture
def source(checkpoint_copy):
    return checkpoint_copy("bert/masked_lm")


def test_inspect_describes_without_loading(checkpoints, tmp_path):
    sharded = convert.inspect(checkpoints("bart/seq2seq-sharded"))
    assert sharded.facts["family"] == "bart"
    assert sharded.facts["task"].startswith("seq2seq: BartForConditionalGeneration -> BartForConditionalGeneration")
    assert "model-00001-of-00002.safetensors, model-00002-of-00002.safetensors" in sharded.facts["files"]
    assert sharded.lists["tied"] == ["lm_head_weight = model.shared.weight"] and sharded.problem is None
    old = convert.inspect(checkpoints("bert/masked_lm-old"))
    assert "cls.seq_relationship.bias: head of pretraining" in old.lists["ignored"]
    assert "bert.embeddings.position_ids: a buffer of consecutive numbers" in old.lists["ignored"]
    assert any(line.startswith("bert.pooler.dense.weight (8, 8): newly initialised") for line in old.lists["missing"])
    half = convert.inspect(checkpoints("distilbert/masked_lm-bfloat16"))
    assert half.facts["dtype"].startswith("bfloat16 (")
    convert.to_paddle(checkpoints("bart/seq2seq"), tmp_path / "paddle", progress=False)
    assert convert.inspect(tmp_path / "paddle").facts["layout"] == "Paddle"


def test_inspect_describes_why_a_checkpoint_cannot_be_converted(source):
    change_tensors(source, lambda arrays: arrays.update({"odd": np.zeros(2, "f4")}))
    assert "odd (2,): no place for it" in convert.inspect(source).problem
