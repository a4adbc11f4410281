"""Test what happens before the first step: settings that are refused, old runs that stay untouched, and --check."""

import re

import numpy as np
import pytest

from paddle_ft import cli
from paddle_ft.config.load import load_config
from paddle_ft.models import kernels
from paddle_ft.models.architectures import bart
from paddle_ft.models.kernels import onednn_linear
from paddle_ft.system.errors import UserError
from paddle_ft.training import run as training_run
from tests.support.tiny_runs import PAIRS, overrides, read_weights, train, write_pairs


def test_a_failure_before_training_leaves_no_directory(tmp_path):
    with pytest.raises(UserError, match="absent.tsv"):
        train(tmp_path, "data.test=absent.tsv")
    assert not (tmp_path / "run").exists()


def test_overwrite_keeps_the_old_run_until_the_new_one_can_start(tmp_path):
    run = train(tmp_path, "train.max_steps=1", "eval.before_training=false")
    before = read_weights(run / "best")
    with pytest.raises(UserError, match="absent.tsv"):
        train(tmp_path, "data.test=absent.tsv", overwrite=True)
    assert read_weights(run / "best") == before


@pytest.mark.parametrize(
    ("setting", "message"),
    [("train.max_tokens_per_batch=3", "train.max_tokens_per_batch: 3 is less than"), ("train.compile=true", "train.compile: ")],
)
def test_a_setting_that_is_refused_late_leaves_the_old_run(tmp_path, monkeypatch, capsys, setting, message):
    run = train(tmp_path, "train.max_steps=1", "eval.before_training=false")
    before = {name: read_weights(run / name) for name in ("best", "last")}
    results = run.results()
    if "compile" in setting:
        for stack in list(bart.ARCHITECTURE.stacks):
            monkeypatch.delitem(bart.ARCHITECTURE.stacks, stack)
    assert cli.main(["train", "--config", "bart_lcsts", "--overwrite", *overrides(tmp_path, setting)]) == 2
    messages = capsys.readouterr().err
    assert message in messages and "before training: " not in messages
    assert {name: read_weights(run / name) for name in before} == before
    assert run.results() == results


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), "train.use_amp: a CPU has no float16, and its weights stay in float32. Leave it off, or set train.amp_dtype=bfloat16"),
        (("train.amp_dtype=bfloat16", "train.amp_level=O2"), "its weights stay in float32"),
        (("train.amp_dtype=bfloat16", "train.compile=true"), "train.use_amp: on a CPU it does not go with train.compile"),
        (("train.amp_dtype=bfloat16",), "train.use_amp: this processor does not compute in bfloat16 (it has neither avx512_bf16"),
    ],
)
def test_mixed_precision_that_a_cpu_does_not_have_is_refused_and_not_ignored(tmp_path, monkeypatch, settings, message):
    monkeypatch.setattr(kernels, "has_bfloat16", lambda: False)
    with pytest.raises(UserError, match=re.escape(message)):
        train(tmp_path, "train.use_amp=true", *settings)


@pytest.mark.skipif(not kernels.has_bfloat16(), reason="this processor does not compute in bfloat16")
def test_bfloat16_on_a_cpu_trains_nearly_the_same_each_time(tmp_path, monkeypatch):
    runs, gradients = {}, []
    gradient = onednn_linear._half_linear_gradient
    monkeypatch.setattr(onednn_linear, "_half_linear_gradient", lambda *tensors: gradients.append(name) or gradient(*tensors))
    half = ("train.use_amp=true", "train.amp_dtype=bfloat16")
    for name, settings in {"float32": (), "bfloat16": half, "again": half}.items():
        run = train(tmp_path / name, "train.max_steps=3", "train.logging_steps=1", "eval.before_training=false", *settings)
        runs[name] = [event["loss"] for event in run.events() if event["event"] == "train"]
    assert runs["bfloat16"] == runs["again"] != runs["float32"]
    assert set(gradients) == {"bfloat16", "again"}
    np.testing.assert_allclose(runs["bfloat16"], runs["float32"], rtol=0.01)


def test_a_metric_that_is_not_reported_is_refused_at_the_start(tmp_path):
    with pytest.raises(UserError, match="eval.best_metric: 'accuracy' is not a metric of summarization; it reports loss, rouge1"):
        train(tmp_path, "eval.best_metric=accuracy", "eval.early_stopping_patience=1")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (["eval.best_metric=loss"], "eval.best_metric"),
        (["eval.early_stopping_patience=2"], "eval.early_stopping_patience"),
        (["eval.best_metric=loss", "eval.early_stopping_patience=2"], "eval.best_metric and eval.early_stopping_patience"),
    ],
)
def test_choosing_without_validation_is_refused(tmp_path, settings, names):
    with pytest.raises(UserError) as caught:
        train(tmp_path, "data.validation=null", "data.limit_test=1", *settings)
    assert str(caught.value) == f"{names}: there is no validation split to choose or stop by: set data.validation."


def test_rows_longer_than_the_models_positions_are_refused_at_the_start(tmp_path):
    data = write_pairs(tmp_path / "long.tsv", [("长" * 60, "短"), *PAIRS])
    with pytest.raises(UserError, match="task.max_source_length: 64 lets through a source of 62 tokens, but the model has 32"):
        train(tmp_path, f"data.test={data}", "task.max_source_length=64")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("vocab_size: 5", "model.config.vocab_size: 5 is not allowed"),
        ("decoder_start_token_id: 9999", "model.config.decoder_start_token_id: 9999 is not allowed"),
        ("dropout: 5", "model.config.dropout: 5 is not allowed: must be a probability"),
        ("activation_function: foo", "model.config: these sizes do not make a model"),
        ("encoder_attention_heads: 7", "model.config: these sizes do not make a model"),
    ],
)
def test_sizes_that_make_no_model(tmp_path, setting, message):
    with pytest.raises(UserError, match=message):
        train(tmp_path, f"model.config={{d_model: 32, encoder_layers: 1, decoder_layers: 1, {setting}}}")


def test_a_misspelt_model_size_is_found(tmp_path):
    with pytest.raises(UserError, match="model.config.d_modle: BartConfig has no such setting. Did you mean d_model?"):
        train(tmp_path, "model.config={d_modle: 32}")


def test_check_shows_what_will_happen_and_writes_nothing(tmp_path, capsys):
    training_run.check(load_config("bart_lcsts", overrides(tmp_path, f"output_dir={tmp_path / 'runs' / 'mine'}")))
    text = capsys.readouterr().out
    for expected in ("source        今天北京天气晴朗", "decoder input [SEP] [CLS] 北 京 晴", "parameters",
                     "steps               6 (2 an epoch)", "estimated training", "memory", "check passed"):  # fmt: skip
        assert expected in text
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]


def test_check_counts_the_memory_of_tensors_and_not_of_the_program(tmp_path, capsys):
    """The tensors of the tiny model's step are a small part of what the process holds with its libraries."""
    pattern = r"memory +([\d,]+) MB for the tensors .*: ([\d,]+) MB are .* for 2 rows of up to \d+ tokens; .* holds ([\d,]+) MB"
    training_run.check(load_config("bart_lcsts", overrides(tmp_path, "train.train_batch_size=2")))
    tensors, states, process = (int(n.replace(",", "")) for n in re.search(pattern, capsys.readouterr().out).groups())
    assert states <= tensors < process / 10


def test_check_says_that_sharding_is_not_tried(tmp_path, capsys):
    training_run.check(load_config("bart_lcsts", overrides(tmp_path, "train.sharding=stage2")))
    assert "sharding            stage2 is not tried: --check runs in one process" in capsys.readouterr().out


def test_check_refuses_what_training_refuses(tmp_path):
    with pytest.raises(UserError, match="eval.best_metric: 'accuracy' is not a metric"):
        training_run.check(load_config("bart_lcsts", overrides(tmp_path, "eval.best_metric=accuracy")))
    with pytest.raises(UserError, match="cannot be written"):
        training_run.check(load_config("bart_lcsts", overrides(tmp_path, "output_dir=/proc/nope")))
