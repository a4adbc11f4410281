"""Test a whole training on eight pairs in this process: results, files, and error messages."""

import json
import re
import shutil

import numpy as np
import paddle
import pytest
import yaml
from paddlenlp.transformers import BartForConditionalGeneration, BertTokenizer

from paddle_ft.config.load import load_config
from paddle_ft.runs import inference
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import refuse_other_config
from paddle_ft.system.errors import UserError
from paddle_ft.training import resume
from paddle_ft.training import run as training_run
from tests.support.tiny_runs import PAIRS, read_weights, train, write_pairs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a run that has memorised its eight pairs."""
    folder = tmp_path_factory.mktemp("finished")
    often = write_pairs(folder / "often.tsv", PAIRS * 8)
    return train(folder, f"data.train={often}", "train.num_train_epochs=20", "train.logging_steps=40", "train.train_batch_size=8",
                 "train.learning_rate=0.005", "model.config.d_model=64", "model.config.dropout=0.0",
                 "model.config.attention_dropout=0.0", "seed=3")  # fmt: skip


def test_it_overfits_eight_pairs_and_generates_them_back(finished):
    """This fails if labels are not shifted or shifted twice, if the head is not tied, or if labels leak."""
    rows = [json.loads(line) for line in (finished / "predictions-test.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["source"], row["prediction"]) for row in rows] == PAIRS
    assert all(row["rougeL"] == 100 for row in rows)


def test_results(finished):
    results = finished.results()
    assert results["task"] == "summarization"
    assert results["config"] == "bart_lcsts"
    assert results["sample"] is False
    assert results["seed"] == 3
    assert results["status"] == "finished"
    assert results["metrics"]["test"]["rougeL"] == 100
    assert results["metrics"]["test"]["rougeL_ci"] == [100, 100]
    assert results["before_training"]["test"]["rougeL"] < 50
    assert results["baseline"]["name"] == "lead"
    assert 0 < results["baseline"]["test"]["rougeL"] < 100
    assert results["train"]["steps"] == 160
    assert set(results["train"]) >= {"seconds", "samples_per_second", "target_tokens_per_second", "peak_memory_mb"}
    assert results["data"]["train"]["rows"] == 64
    assert results["versions"]["paddlenlp"]


def test_the_models_card_is_beside_it_and_its_code_loads_the_model(finished):
    card = (finished / "best" / "README.md").read_text(encoding="utf-8")
    data = finished.results()["data"]
    fingerprints = [data[split]["fingerprint"] for split in ("train", "validation", "test")]
    assert f"| fingerprint | {' | '.join(fingerprints)} |" in card and all(len(text) == 16 for text in fingerprints)
    [loading, *_] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict = {}
    exec(loading.replace('"bart_lcsts"', repr(str(finished / "best"))), names)
    assert type(names["model"]) is BartForConditionalGeneration
    ids = names["tokenizer"](PAIRS[0][0])["input_ids"]
    assert names["tokenizer"].decode(ids, skip_special_tokens=True).replace(" ", "") == PAIRS[0][0]


def test_metrics_log(finished):
    events = finished.events()
    steps = [event["step"] for event in events if event["event"] == "train"]
    assert steps == [40, 80, 120, 160]
    losses = [event["loss"] for event in events if event["event"] == "train"]
    assert losses == sorted(losses, reverse=True)
    keys = {"event", "step", "epoch", "loss", "learning_rate", "grad_norm", "samples_per_second",
            "target_tokens_per_second", "padding_share", "memory_mb"}  # fmt: skip
    assert all(set(event) == keys for event in events if event["event"] == "train")
    assert [(e["step"], e["split"]) for e in events if e["event"] == "eval"][:2] == [(0, "validation"), (0, "test")]


def test_the_run_directory(finished):
    names = {path.name for path in finished.path.iterdir()}
    assert names == {
        "config.yaml", "metrics.jsonl", "results.json", "predictions-validation.jsonl", "predictions-test.jsonl",
        "losses-validation.jsonl", "losses-test.jsonl", "best", "last", "plots", "report.html",
    }  # fmt: skip
    assert {path.suffix for path in (finished / "plots").iterdir()} == {".png"}


@pytest.mark.parametrize("name", ["best", "last"])
def test_plain_paddlenlp_loads_best_and_last(finished, name):
    model = BartForConditionalGeneration.from_pretrained(str(finished / name))
    tokenizer = BertTokenizer.from_pretrained(str(finished / name))
    model.eval()
    ids = paddle.to_tensor([tokenizer(PAIRS[0][0])["input_ids"]])
    logits = model(input_ids=ids, decoder_input_ids=paddle.to_tensor([[3]]))
    assert int(logits[0, -1].argmax()) == tokenizer.cls_token_id
    assert (model.lm_head_weight == model.bart.shared.weight).all()


def test_the_saved_configuration_reproduces_the_run(finished):
    config = load_config(str(finished / "config.yaml"))
    assert config.seed == 3
    assert config.train.num_train_epochs == 20
    assert config.output_dir == str(finished.path)


def test_evaluate_gives_the_figures_of_the_training(finished, tmp_path):
    split, metrics, baseline = inference.evaluate(str(finished.path), None, [], str(tmp_path / "out.jsonl"))
    assert split == "test"
    assert metrics == finished.results()["metrics"]["test"]
    assert baseline["test"] == finished.results()["baseline"]["test"]
    assert (tmp_path / "out.jsonl").read_text() == (finished / "predictions-test.jsonl").read_text()


def test_evaluate_on_other_data(finished, tmp_path):
    (tmp_path / "two.tsv").write_text("北京晴\t今天北京天气晴朗\n不对\t上海明天有大雨\n", encoding="utf-8")
    _, metrics, _ = inference.evaluate(str(finished.path), "test", [f"data.test={tmp_path / 'two.tsv'}"], None)
    assert metrics["rougeL"] == 50


def test_predict_keeps_the_order(finished, tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("".join(f"{text}\n" for text, _ in reversed(PAIRS)), encoding="utf-8")
    inference.predict(str(finished.path), str(source), str(tmp_path / "out.txt"), ["eval.eval_batch_size=3"], 1)
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines() == [t for _, t in reversed(PAIRS)]
    rows = tmp_path / "in.jsonl"
    rows.write_text("".join(json.dumps({"source": text}) + "\n" for text, _ in PAIRS))
    inference.predict(str(finished.path), str(rows), str(tmp_path / "out.jsonl"), [])
    predicted = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["source"], row["prediction"]) for row in predicted] == PAIRS


def test_a_finished_run_is_not_overwritten_silently(finished):
    before = (finished / "results.json").read_bytes()
    with pytest.raises(UserError, match="already contains a run. Use --resume"):
        training_run.train(load_config(str(finished / "config.yaml")))
    assert (finished / "results.json").read_bytes() == before


def test_resume_with_other_settings_is_refused_by_name(finished):
    config = load_config(str(finished / "config.yaml"), ["train.learning_rate=0.5", "train.logging_steps=7"])
    with pytest.raises(UserError) as caught:
        training_run.train(config, resume=True)
    assert "train.learning_rate: 0.005 then, 0.5 now" in str(caught.value)
    assert "logging_steps" not in str(caught.value)
    with pytest.raises(UserError) as caught:  # a command for several runs has no --resume
        refuse_other_config(config, finished, is_one_of_many=True)
    assert str(caught.value) == (
        f"the run in {finished.path} was started with other settings:\n  train.learning_rate: 0.005 then, 0.5 now\n"
        "Continue with the settings of the first call, or name another folder for all runs with output_dir=ANOTHER."
    )


def test_a_setting_that_an_older_run_does_not_have_gets_its_default(finished, tmp_path):
    run = RunDirectory(tmp_path)
    text = (finished / "config.yaml").read_text()
    older = re.sub(r"^  (compile|sharding|warmup_steps): .*\n", "", text, flags=re.MULTILINE)
    assert len(older.splitlines()) == len(text.splitlines()) - 3
    (run / "config.yaml").write_text(older)
    config = str(finished / "config.yaml")
    resume.refuse_other_config(load_config(config), run)
    with pytest.raises(UserError) as caught:
        resume.refuse_other_config(load_config(config, ["train.warmup_steps=5", "task.max_target_length=9"]), run)
    assert str(caught.value).splitlines()[1:3] == ["  task.max_target_length: 8 then, 9 now", "  train.warmup_steps: 0 then, 5 now"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train: [", "not valid YAML"),
        ("", "task.name: None is not a task"),
        ("task: {name: summarization}\ntrain: {epoch: 1}", "train.epoch: there is no such key"),
    ],
)
def test_a_runs_configuration_that_cannot_be_read(finished, tmp_path, text, reason):
    run = RunDirectory(tmp_path)
    (run / "config.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        resume.refuse_other_config(load_config(str(finished / "config.yaml")), run)
    assert str(caught.value).startswith(f"--resume: {run / 'config.yaml'} cannot be used: ") and reason in str(caught.value)


def test_the_seed_fixes_everything(tmp_path):
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        runs.append(train(tmp_path / name))
    first, second = ([e for e in run.events() if e["event"] == "train"] for run in runs)
    assert [e["loss"] for e in first] == [e["loss"] for e in second]
    assert [e["grad_norm"] for e in first] == [e["grad_norm"] for e in second]
    assert read_weights(runs[0] / "last") == read_weights(runs[1] / "last")
    (tmp_path / "c").mkdir()
    other = train(tmp_path / "c", "seed=4")
    assert read_weights(other / "last") != read_weights(runs[0] / "last")


def test_the_schedule_in_the_log(tmp_path):
    run = train(tmp_path, "train.warmup_steps=2", "train.num_train_epochs=4", "train.max_steps=6")
    rates = [e["learning_rate"] for e in run.events() if e["event"] == "train"]
    assert rates == pytest.approx([0, 0.005, 0.01, 0.0075, 0.005, 0.0025])


def test_accumulated_batches_make_the_step_of_one_large_batch(tmp_path):
    """4 x 2 rows equal 1 x 8 rows, although the batches have different numbers of targets. Dropout must be off."""
    sizes = "model.config.dropout=0.0", "model.config.attention_dropout=0.0"
    runs = []
    for name, batch, accumulate in (("one", 8, 1), ("four", 2, 4)):
        (tmp_path / name).mkdir()
        runs.append(train(tmp_path / name, *sizes, f"train.train_batch_size={batch}", "train.num_train_epochs=2",
                          f"train.gradient_accumulation_steps={accumulate}", "train.max_grad_norm=0"))  # fmt: skip
    one_batch, four_batches = ([e for e in run.events() if e["event"] == "train"] for run in runs)
    assert [e["step"] for e in one_batch] == [e["step"] for e in four_batches] == [1, 2]
    np.testing.assert_allclose([e["grad_norm"] for e in one_batch], [e["grad_norm"] for e in four_batches], rtol=1e-4)
    np.testing.assert_allclose([e["loss"] for e in one_batch], [e["loss"] for e in four_batches], rtol=1e-5)


def test_a_loss_that_is_not_finite_stops_and_writes_its_rows(tmp_path):
    with pytest.raises(UserError, match=r"The loss of step \d+ is (nan|inf). Its rows are in .*bad-batch.jsonl"):
        train(tmp_path, "train.learning_rate=1e30", "train.max_grad_norm=0", "train.warmup_proportion=0.0",
              "train.num_train_epochs=20")  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "run" / "bad-batch.jsonl").read_text().splitlines()]
    assert {row["target"] for row in rows} <= {target for _, target in PAIRS}
    assert len(rows) == 4


def test_early_stopping(tmp_path):
    run = train(tmp_path, "eval.best_metric=loss", "eval.early_stopping_patience=2", "train.learning_rate=1e-12")
    assert [e["step"] for e in run.events() if e["event"] == "eval" and e["step"]] == [2, 4, 6]
    (tmp_path / "two").mkdir()
    run = train(tmp_path / "two", "eval.best_metric=rougeL", "eval.early_stopping_patience=2", "train.learning_rate=1e-12",
                "train.num_train_epochs=30")  # fmt: skip
    assert [e["step"] for e in run.events() if e["event"] == "eval" and e["step"]] == [2, 4, 6]
    assert run.results()["train"]["stopped_early"] is True
    assert run.results()["best"]["step"] == 2


def test_older_checkpoints_are_kept_when_asked(tmp_path):
    run = train(tmp_path, "train.keep_checkpoints=2", "eval.before_training=false")
    assert sorted(p.name for p in run.path.glob("checkpoint-*")) == ["checkpoint-00000004"]


def test_of_equal_scores_the_lower_loss_is_kept(tmp_path):
    run = train(tmp_path, "train.learning_rate=0.0005", "train.num_train_epochs=4", "eval.before_training=false",
                "generation.num_beams=1")  # fmt: skip
    rows = [(e["rougeL"], e["loss"], e["step"]) for e in run.events() if e["event"] == "eval"]
    best = max(rows, key=lambda row: (row[0], -row[1]))
    assert [score for score, _, _ in rows].count(best[0]) > 1  # there was a tie
    assert run.results()["best"]["step"] == best[2]


def test_speed_is_reported_after_stopping_early_within_a_log_window(tmp_path):
    run = train(tmp_path, "eval.best_metric=rougeL", "eval.early_stopping_patience=1", "train.learning_rate=1e-12",
                "train.num_train_epochs=30", "train.logging_steps=50", "eval.before_training=false")  # fmt: skip
    assert run.results()["train"]["steps"] == 4
    assert run.results()["train"]["samples_per_second"] > 0
    assert [e["step"] for e in run.events() if e["event"] == "train"] == [4]


def test_resume_before_the_first_checkpoint_starts_anew(tmp_path):
    run = train(tmp_path, "train.max_steps=1")
    shutil.rmtree(run / "last")
    results = run.results()
    results["baseline"]["test"]["rougeL"] = -77
    run.write_results(results)
    with pytest.raises(UserError, match="seed: 2022 then, 7 now"):
        train(tmp_path, "train.max_steps=1", "seed=7", resume=True)
    again = train(tmp_path, "train.max_steps=1", resume=True)
    assert again.results()["baseline"]["test"]["rougeL"] >= 0


def test_two_trainings_in_one_directory_at_a_time_are_refused(tmp_path):
    lock = RunDirectory.open_for_training(str(tmp_path / "run"), resume=False, overwrite=False)
    with pytest.raises(UserError, match="another process is training in"):
        train(tmp_path)
    lock.release()
    assert train(tmp_path, "train.max_steps=1").results()["status"] == "finished"


def test_a_tracker_that_fails_does_not_hurt_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "offline")
    import wandb

    def broken(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(wandb, "init", broken)
    run = train(tmp_path, "tracking.wandb=offline", "train.max_steps=1")
    assert run.results()["status"] == "finished"
    assert "warning: wandb failed and is switched off for this run: OSError: no space left" in capsys.readouterr().err


def test_visualdl_gets_the_scalars(tmp_path):
    from visualdl import LogReader

    run = train(tmp_path, "tracking.visualdl=true")
    (log,) = (run / "visualdl").glob("*.log")
    tags = LogReader(file_path=str(log)).get_tags()
    assert "train/loss" in tags["scalar"]
    assert "validation/rougeL" in tags["scalar"]


def test_config_yaml_is_plain_yaml(finished):
    train = yaml.safe_load((finished / "config.yaml").read_text(encoding="utf-8"))["train"]
    assert train["train_batch_size"] == 8
    assert train["adam_epsilon"] == 1e-6  # a number for every reader, not the text '1e-06'
