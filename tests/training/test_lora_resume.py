"""Test trainings with LoRA: they resume to the same bits, and their runs are used like any other run."""

import json
import signal

import pytest
from safetensors.numpy import load_file

from paddle_ft.config.load import load_config
from paddle_ft.runs import inference
from paddle_ft.system.errors import UserError
from paddle_ft.training import checkpoint
from paddle_ft.training import run as training_run
from tests.support.processes import computed_events, resume_to_the_end, start_training, wait_for_step
from tests.support.tiny_runs import overrides

LORA = ("model.lora={rank: 2, dropout: 0.1}", "train.recompute=true")
SHORT = ("train.num_train_epochs=10", "train.save_steps=7", "eval.before_training=false", "generation.num_beams=1")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return training_run.train(load_config("bart_lcsts", overrides(folder, *SHORT, *LORA))).path


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, uninterrupted):
    process = start_training("--config", "bart_lcsts", *overrides(tmp_path, *SHORT, *LORA))
    run = tmp_path / "run"
    wait_for_step(process, run, 5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    stopped_at = checkpoint.read_state(run / "last")["step"]
    assert 5 <= stopped_at < 20
    messages = resume_to_the_end(run, stopped_at, 20)
    assert "LoRA: adapters of rank 2 on 12 layers" in messages
    assert computed_events(run) == computed_events(uninterrupted)
    files = ("best/model.safetensors", "last/model.safetensors", "last/trainer/adapters.safetensors",
             "last/trainer/optimizer.safetensors")  # fmt: skip
    for name in files:
        assert (run / name).read_bytes() == (uninterrupted / name).read_bytes(), name


def test_the_optimizer_has_states_of_trained_parameters_only(uninterrupted):
    states = load_file(str(uninterrupted / "last/trainer/optimizer.safetensors"))
    others = {name.split("::")[0] for name in states if ".lora_" not in name}
    assert others == {"lm_head_weight"}  # tied to the embedding; from scratch all tokens are new
    assert len(states) == 4 * (2 * 12 + 1)  # AdamW's two moments and two powers of 12 layers' adapters and of the embedding


def test_the_share_that_is_trained_is_reported(uninterrupted):
    model = json.loads((uninterrupted / "results.json").read_text())["model"]
    states = load_file(str(uninterrupted / "last/trainer/optimizer.safetensors"))
    assert model["trained"] == sum(value.size for name, value in states.items() if name.endswith("::moment1_0"))
    assert 0 < model["trained"] < model["parameters"]
    assert model["trained_share"] == round(model["trained"] / model["parameters"], 6)


def test_the_reported_scores_are_those_of_the_merged_weights(uninterrupted):
    results = json.loads((uninterrupted / "results.json").read_text())
    _, metrics, _ = inference.evaluate(str(uninterrupted), "test", [], None)
    assert metrics == results["metrics"]["test"]
    assert not (uninterrupted / "best/trainer/adapters.safetensors").exists()
    assert not any("lora" in name for name in load_file(str(uninterrupted / "best/model.safetensors")))
    source, target = tuple(uninterrupted.parent / name for name in ("in.txt", "out.txt"))
    source.write_text("今天北京天气晴朗\n", encoding="utf-8")
    inference.predict(str(uninterrupted), str(source), str(target), [])
    assert target.read_text(encoding="utf-8").count("\n") == 1


def test_an_unknown_target_is_refused_before_training(tmp_path):
    with pytest.raises(
        UserError, match="'query' is no layer of this model .*it has k_proj, linear1, linear2, out_proj, q_proj, v_proj"
    ):
        training_run.train(load_config("bart_lcsts", overrides(tmp_path, "model.lora={targets: [query]}")))
    assert not (tmp_path / "run").exists()


def test_other_adapters_are_refused_on_resume_but_recompute_is_free(uninterrupted):
    config = str(uninterrupted / "config.yaml")
    with pytest.raises(UserError, match=r"model\.lora\.rank: 2 then, 4 now"):
        training_run.train(load_config(config, ["model.lora.rank=4"]), resume=True)
    training_run.train(load_config(config, ["train.recompute=false"]), resume=True)


def test_check_counts_what_is_trained(tmp_path, capsys):
    training_run.check(load_config("bart_lcsts", overrides(tmp_path, *LORA)))
    assert "parameters          27,072, of them trained 3,392\n" in capsys.readouterr().out
