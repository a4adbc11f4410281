"""Test train.sharding in two processes over gloo: same results as without it, sums, checkpoints, error messages."""

import json
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from safetensors.numpy import load_file

from paddle_ft.config.load import load_config
from paddle_ft.system.errors import UserError
from paddle_ft.training import run as training_run
from paddle_ft.training.distributed import launch
from paddle_ft.training.distributed.sharded_layers import sharded_layers
from paddle_ft.training.distributed.sharding import assign_owners
from tests.support import tiny_classification
from tests.support.model_families import make_model
from tests.support.processes import read_events, start_training
from tests.support.tiny_runs import PLAIN, overrides

SCRIPT = Path(__file__).parent / "sharding_script.py"


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Run the script in two processes. Return its folder of results, which both ranks have written, and the log of rank 1."""
    folder = tmp_path_factory.mktemp("two_processes")
    code = launch.launch_processes("cpu:2", [sys.executable, str(SCRIPT), str(folder)], folder / "logs")
    log = (folder / "logs" / "rank-1.log").read_text()
    assert code == 0, log
    return folder, log


def results_of(folder: Path, name: str) -> list[dict]:
    """Return the results of both ranks."""
    return [json.loads((folder / f"{name}.{rank}").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_sums_are_those_of_plain_training_and_states_are_shared(two_processes, stage):
    first, second = results_of(two_processes[0], stage)
    for result in (first, second):
        assert max(result["differences"]) < 1e-5  # gradients of about 10
        for norm, expected in result["norms"]:
            assert norm == pytest.approx(expected, rel=1e-6)
        assert result["weights"][0] == result["weights"][1]
        assert result["owned_states"] == 4 * result["owned"]  # two moments, two powers of beta
    assert first["norms"] == second["norms"]
    assert first["owned"] + second["owned"] == first["parameters"] == 8 and min(first["owned"], second["owned"]) >= 2
    assert len(first["gathered_states"]) == 4 * 8 and second["gathered_states"] == []
    assert first["freed"] == [False, stage == "stage2"]  # from the second pass on, gradients are sent during the backward pass


def test_paddles_engine_computes_the_same_as_our_own_and_as_no_sharding(two_processes):
    folder, log = two_processes
    first, second = results_of(folder, "engines")
    for name in ("own", "fleet"):
        assert first[name]["weights"] == second[name]["weights"] == first["none"]["weights"]
        assert first[name]["states"] == first["none"]["states"] and second[name]["states"] == {}
        assert first[name]["norms"] == second[name]["norms"] == first["none"]["norms"]
        assert first[name]["owned"] + second[name]["owned"] == 8 and min(first[name]["owned"], second[name]["owned"]) >= 2
    assert "Sharding" not in log and "has been initialized" not in log and "nccl" not in log  # what Paddle says by itself


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["train.sharding=stage2"],
            "sharding_engine=fleet is for sharding=stage1: Paddle's stage2 and stage3 do not compute the same training"
            " (docs/distributed.md), and sharding is stage2: set it to stage1, or sharding_engine to own",
        ),
        ([], "and sharding is none: set it to stage1, or sharding_engine to own"),
        (
            ["train.sharding=stage1", "train.use_amp=true"],
            "sharding_engine=fleet does not go with float16, whose overflows ranks must agree on: use bfloat16",
        ),
    ],
)
def test_what_paddles_engine_cannot_do_is_refused(tmp_path, settings, message):
    with pytest.raises(UserError) as error:
        load_config("bart_lcsts", overrides(tmp_path, "train.sharding_engine=fleet", *settings))
    assert message in str(error.value)


def test_layers_are_received_for_their_passes_only(two_processes):
    for result in results_of(two_processes[0], "layers"):
        assert result["freed"] >= result["foreign"] > 2 * result["layer"]
        assert len(result["allocated"]) == 2 * 2 * 6  # forward and backward, two passes
        sums = 8 * result["layer"]  # of the gradients that this process owns: at most all of both passes
        assert max(result["allocated"][:6]) < 2.5 * result["layer"]  # one layer and its receive buffer
        assert max(result["allocated"]) < sums
        assert result["same_gradients"] and result["same_weights"]
        assert result["foreign_gradients"] == 0
        assert abs(result["still_allocated"]) < result["layer"] / 4


ODD = ("train.train_batch_size=2", "train.max_grad_norm=0.5", "train.num_train_epochs=2")  # 4 and 3 batches an epoch
TWO_LAYERS = tuple(f"model.config.{name}={value}" for name, value in
                   {"encoder_layers": 2, "decoder_layers": 2, "dropout": 0.1, "attention_dropout": 0.1}.items())  # fmt: skip
SHORT = ("data.limit_train=7", "data.limit_validation=3", "data.limit_test=1", "eval.before_training=false")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["none", "stage1", "stage2", "stage3"])
def test_weights_without_a_gradient_do_not_decay(tmp_path, stage):
    """A masked language model does not use BERT's pooler, so in one process AdamW does not update it."""
    texts = tmp_path / "texts.txt"
    texts.write_text("a good film\na fine story\nwe liked this film\na bad film\na poor story\nwe hated this film\n" * 3)
    sizes = f"model.config={{model_type: bert, {tiny_classification.SIZES}}}"
    data = [f"data.{split}={texts}" for split in ("train", "validation", "test")]
    settings = [f"output_dir={tmp_path / 'run'}", "device=cpu", "model.pretrained=null", sizes, "model.new_vocabulary=120",
                "data.source=null", *data, "data.cache=false", "task.chunk_size=8", "task.train_chunks=null",
                "task.eval_chunks=null", "train.train_batch_size=2", "train.max_steps=3", "train.learning_rate=0.01",
                "train.weight_decay=0.5", "eval.bootstrap_samples=100", f"train.sharding={stage}"]  # fmt: skip
    files(tmp_path, "cpu:2", "distilbert_imdb_mlm", settings)
    states = load_file(str(tmp_path / "run/last/trainer/optimizer.safetensors"))
    assert any("encoder.layers.0" in name for name in states) and not any("pooler" in name for name in states)


def files(folder: Path, devices: str, recipe: str, settings: list[str]) -> list[bytes]:
    """Run a training, and return its weights, optimizer states, and the losses of its steps."""
    process = start_training("--config", recipe, *(["--devices", devices] if devices else []), *settings, cwd=folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    last = folder / "run" / "last"
    losses = [event["loss"] for event in read_events(folder / "run", "train")]
    return [(last / name).read_bytes() for name in ("model.safetensors", "trainer/optimizer.safetensors")] + [losses]


@pytest.mark.slow
def test_the_same_weights_and_checkpoints_as_without(tmp_path):
    trained = {}
    for stage in ("none", "stage1", "stage1 train.sharding_engine=fleet", "stage2", "stage3"):
        folder = tmp_path / stage.split("=")[-1]
        settings = (*PLAIN, *TWO_LAYERS, *ODD, *SHORT, *f"train.sharding={stage}".split())
        trained[stage] = files(folder, "cpu:2", "bart_lcsts", overrides(folder, *settings))
    assert trained["stage1"] == trained["none"]
    assert trained["stage1 train.sharding_engine=fleet"] == trained["none"]
    assert trained["stage2"] == trained["none"]
    assert trained["stage3"] == trained["none"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classifier", "adapters"])
def test_stage3_computes_the_same_for_other_models(tmp_path, kind):
    """The models are a classifier of two layers, and BART with LoRA (frozen weights are sharded too) and train.recompute."""
    trained = {}
    for stage in ("none", "stage3"):
        folder = tmp_path / stage
        settings = (*ODD, *SHORT, f"train.sharding={stage}")
        if kind == "classifier":
            rows = [*tiny_classification.ROWS, {"text": "a good story", "label": "pos"}]
            settings = tiny_classification.overrides(folder, rows, "bert", "model.config.num_hidden_layers=2", *settings)
            trained[stage] = files(folder, "cpu:2", "distilbert_sst2", settings)
        else:
            lora = ("model.lora={rank: 2, dropout: 0.1}", f"train.recompute={'true' if stage == 'stage3' else 'false'}")
            trained[stage] = files(folder, "cpu:2", "bart_lcsts", overrides(folder, *PLAIN, *TWO_LAYERS, *lora, *settings))
    assert trained["stage3"] == trained["none"]


def test_one_process_is_refused(tmp_path):
    config = load_config("bart_lcsts", overrides(tmp_path, "train.sharding=stage1"))
    with pytest.raises(UserError) as error:
        training_run.train(config)
    assert str(error.value) == (
        "train.sharding: stage1 shares memory among processes, so train.sharding needs several processes: --devices 0,1;"
        " or leave it at none."
    )


def test_stage3_does_not_go_with_compile(tmp_path):
    with pytest.raises(UserError) as error:
        load_config("bart_lcsts", overrides(tmp_path, "train.sharding=stage3", "train.compile=true"))
    assert "compile and sharding=stage3 cannot be combined: a static program keeps its weights; use stage2" in str(error.value)


def test_a_model_without_layers_to_shard_is_refused():
    model = make_model("bert")
    assert len(sharded_layers(model)) == 2
    for parameter in model.bert.encoder.parameters():
        parameter.stop_gradient = True
    with pytest.raises(UserError) as error:
        sharded_layers(model)
    assert str(error.value) == (
        "train.sharding: stage3 shards the encoder's and decoder's layers, and BertForSequenceClassification has no known layers"
        " that are trained: set it to stage2."
    )
    with pytest.raises(UserError, match="a Linear .* is of no architecture known here"):
        sharded_layers(paddle.nn.Linear(2, 2))


def test_owners_have_about_equal_shares_and_each_has_some():
    sizes = [40, 1, 10, 10, 10, 10, 10, 10]
    owners = assign_owners(sizes, 4)
    loads = [sum(np.array(sizes)[np.array(owners) == rank]) for rank in range(4)]
    assert owners == sorted(owners)
    assert loads == [40, 21, 20, 20]
    assert assign_owners([100, 1, 1, 1], 4) == [0, 1, 2, 3]
    assert assign_owners([1, 1, 1, 100], 4) == [0, 1, 2, 3]
