"""train.sharding: the same training as without it, in two processes over gloo; its sums, its checkpoints, its refusals."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from paddle_ft.config import load_config
from paddle_ft.errors import UserError
from paddle_ft.training import launch, session
from paddle_ft.training.sharding import _owners
from tests.tiny import overrides
from tests.training.test_distributed import folder, run_two

SCRIPT = Path(__file__).parent / "sharding_script.py"


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_sums_are_those_of_plain_training_and_states_are_shared(tmp_path, monkeypatch, stage):
    monkeypatch.setenv("PYTHONPATH", str(SCRIPT.parent.parent.parent))
    code = launch.run("cpu:2", [sys.executable, str(SCRIPT), stage, str(tmp_path / "result")], tmp_path / "logs")
    assert code == 0, (tmp_path / "logs" / "rank-1.log").read_text()
    first, second = [json.loads((tmp_path / f"result.{rank}").read_text()) for rank in (0, 1)]
    for result in (first, second):
        assert max(result["differences"]) < 1e-5  # gradients of about 10
        for found, expected in result["norms"]:
            assert found == pytest.approx(expected, rel=1e-6)
        assert result["weights"][0] == result["weights"][1]
        assert result["own"] == 4 * result["mine"]  # two moments, two powers of beta
    assert first["norms"] == second["norms"]
    assert first["mine"] + second["mine"] == first["all"] == 8 and min(first["mine"], second["mine"]) >= 2
    assert len(first["whole"]) == 4 * 8 and second["whole"] == []
    assert first["freed"] == [False, stage == "stage2"]  # from the second pass on, gradients leave during the backward pass


@pytest.mark.slow
def test_the_same_weights_and_checkpoints_as_without(tmp_path):
    more = ("train.train_batch_size=2", "data.limit_train=7", "train.max_grad_norm=0.5", "train.num_train_epochs=2")
    files = {}
    for stage in ("none", "stage1", "stage2"):
        done = run_two(folder(tmp_path, stage), f"train.sharding={stage}", *more)
        assert done.returncode == 0, done.stderr
        last = tmp_path / stage / "run" / "last"
        files[stage] = [(last / name).read_bytes() for name in ("model.safetensors", "trainer/optimizer.safetensors")]
    assert files["stage1"] == files["none"]
    assert files["stage2"] == files["none"]


def test_one_process_is_refused(tmp_path):
    config = load_config("bart_lcsts", overrides(tmp_path, "train.sharding=stage1"))
    with pytest.raises(UserError) as error:
        session.train(config)
    assert str(error.value) == (
        "train.sharding: stage1 shares memory among processes, so train.sharding needs several processes: --devices 0,1;"
        " or leave it at none."
    )


def test_owners_have_about_equal_shares_and_each_has_some():
    sizes = [40, 1, 10, 10, 10, 10, 10, 10]
    owners = _owners(sizes, 4)
    loads = [sum(np.array(sizes)[np.array(owners) == rank]) for rank in range(4)]
    assert owners == sorted(owners)
    assert loads == [40, 21, 20, 20]
    assert _owners([100, 1, 1, 1], 4) == [0, 1, 2, 3]
    assert _owners([1, 1, 1, 100], 4) == [0, 1, 2, 3]
