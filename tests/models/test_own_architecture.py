"""Test a user's own architecture, docs/examples/my_architecture.py, which is one module named with --import."""

import sys

import numpy as np
import paddle
import pytest
from paddlenlp.transformers import ElectraConfig, ElectraForMaskedLM

from paddle_ft.models.architectures import architectures_for, find_architecture
from paddle_ft.models.bundle import reload_bundle
from paddle_ft.runs.inference import open_run
from paddle_ft.system import plugins
from tests.support.models import masked_lm_logits
from tests.support.paths import ROOT
from tests.support.tiny_classification import ROWS, train
from tests.support.tiny_models import IDS, MASK, SIZES


@pytest.fixture(autouse=True)
def electra(monkeypatch):
    monkeypatch.setattr(plugins, "_USER_MODULES", [])
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    plugins.import_user_modules(["my_architecture"])
    yield sys.modules.pop("my_architecture").ARCHITECTURE


@pytest.mark.parametrize("head_type", ["sequence_classification", "masked_lm"])
def test_it_is_known_beside_ours_and_changes_no_default(electra, head_type):
    assert find_architecture("electra") is electra
    names = [record.name for record in architectures_for(head_type)]
    assert names[0] == "distilbert" and names[-1] == "electra"


@pytest.mark.parametrize("settings", [(), ("train.recompute=true", "model.attention=sdpa", "model.lora={rank: 2}")])
def test_it_is_trained_from_scratch_and_its_run_predicts(tmp_path, settings):
    run = train(tmp_path, ROWS, "electra", "train.max_steps=2", *settings)
    losses = [event["loss"] for event in run.events() if event["event"] == "train"]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert reload_bundle("sequence_classification", run / "best").model.config.model_type == "electra"
    predictions = open_run(str(run.path)).predict(["a good film", "a bad film"], "p")
    assert {row["prediction"] for row in predictions} <= {"pos", "neg"}


def test_masked_logits_are_those_of_the_whole_model():
    paddle.seed(1)
    model = ElectraForMaskedLM(ElectraConfig(**SIZES, embedding_size=8))
    for parameter in model.parameters():  # with biases of zero a missing one would not be noticed
        parameter.set_value(paddle.randn(parameter.shape) * 0.1)
    model.eval()
    positions = paddle.to_tensor([1, 4, 7])
    expected = model(input_ids=IDS, attention_mask=MASK).reshape([-1, 20]).index_select(positions)
    np.testing.assert_allclose(masked_lm_logits(model, IDS, MASK, positions).numpy(), expected.numpy(), atol=1e-6)
