"""Test summarisation: generation options, scores, the lead baseline, and predictions for new texts."""

import re

import numpy as np
import pytest

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.generation import GenerationOptions
from paddle_ft.system.runtime import seed_everything
from paddle_ft.tasks.base import Dataset
from paddle_ft.tasks.shared.evaluate import evaluate, run_eval_steps
from paddle_ft.tasks.summarization import Summarization
from tests.support.tasks import give_model
from tests.support.tiny_runs import PAIRS, overrides

ROWS = [{"source": source, "target": target} for source, target in PAIRS]


def build(folder, *settings) -> Summarization:
    task = Summarization(load_config("bart_lcsts", overrides(folder, *settings)))
    seed_everything(5)
    give_model(task, folder / "tokenizer", Rows(rows=ROWS))
    for parameter in task.model.parameters():
        parameter.set_value(parameter * 8)  # new weights are so small that all generated texts would be the same
    task.model.eval()
    return task


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return build(tmp_path_factory.mktemp("task"))


def dataset(pairs) -> Dataset:
    rows = [{"source": source, "target": target} for source, target in pairs]
    return Dataset("test", rows, {}, np.ones(len(rows)))


# ---------------------------------------------------------------------------------------------------- generation
def test_generation_options(task, monkeypatch):
    """Every field has a different value, so that two mixed-up fields would be noticed."""
    for name, value in {"num_beams": 5, "length_penalty": 0.7, "no_repeat_ngram_size": 4, "early_stopping": False}.items():
        monkeypatch.setattr(task.config.generation, name, value)
    monkeypatch.setattr(task.options, "max_target_length", 11)
    monkeypatch.setattr(task.options, "min_target_length", 6)
    monkeypatch.setattr(task.model.config, "forced_bos_token_id", 21)
    monkeypatch.setattr(task.model.config, "forced_eos_token_id", 22)
    assert task.generation_options() == GenerationOptions(
        num_beams=5,
        max_length=12,  # 11, and decoder_start_token_id
        min_length=7,
        length_penalty=0.7,
        no_repeat_ngram_size=4,
        early_stopping=False,
        forced_bos_token_id=21,
        forced_eos_token_id=22,
    )
    monkeypatch.setattr(task.config.generation, "early_stopping", True)
    monkeypatch.setattr(task.options, "min_target_length", 0)
    options = task.generation_options()
    assert options.early_stopping is True
    assert options.min_length == 0


def test_generate_follows_the_settings(tmp_path):
    """An untrained model writes 6 or 7 tokens, [CLS] and [SEP] among them, and no token twice."""
    task = build(tmp_path, "task.max_target_length=7", "task.min_target_length=6", "generation.no_repeat_ngram_size=1")
    texts = task.generate(task.encode(Rows(rows=ROWS), "test").columns["source"], "generate")
    assert len(texts) == 8
    assert len(set(texts)) > 1
    assert all(len(text) == len(set(text)) for text in texts)
    assert max(len(text) for text in texts) == 6  # the seventh is [SEP]; some of the others may be special tokens


# ---------------------------------------------------------------------------------------------------- scores
def test_score(task):
    """ROUGE-1 of 北京雨 against 北京晴 is 66.67, 2 of 3 characters. The other prediction is exact."""
    data = dataset([("甲", "北京晴"), ("乙", "上海雨")])
    scores = task.score(["北京雨", "上海雨"], data)
    assert scores.predictions == [
        {
            "source": "甲",
            "target": "北京晴",
            "prediction": "北京雨",
            "rougeL": pytest.approx(66.67, abs=0.01),
            "not in the source": "北京",
        },
        {"source": "乙", "target": "上海雨", "prediction": "上海雨", "rougeL": 100, "not in the source": "上海"},
    ]
    metrics = scores.metrics
    assert metrics["rouge1"] == pytest.approx(250 / 3, abs=0.01)
    assert metrics["rouge2"] == pytest.approx(75, abs=0.01)  # 北京 京雨 against 北京 京晴: one of two
    assert metrics["rougeL"] == pytest.approx(250 / 3, abs=0.01)
    assert "rougeLsum" not in metrics
    assert metrics["rougeL_ci"] == pytest.approx([200 / 3, 100], abs=0.01)
    # n-gram matches: 5 of 6, 3 of 4, 1 of 2, and 0 of the 2 that nltk counts, smoothed to 0.1
    assert metrics["bleu4"] == pytest.approx(100 * (5 / 6 * 3 / 4 * 1 / 2 * 0.1 / 2) ** 0.25, abs=0.01)
    assert metrics["generated_characters"] == 3
    assert (
        metrics["unsupported"] == 100 and metrics["unsupported_of_targets"] == 100
    )  # 北京 and 上海, and the sources are 甲 and 乙
    assert metrics["copied"] == 0 and metrics["novel_1grams"] == 100 and metrics["length_ratio"] == 100
    assert task.score(["北", "上海雨雪大"], data).metrics["generated_characters"] == 3
    assert task.score(["", "上海雨"], data).metrics["generated_characters"] == 1.5


def test_english_has_rougelsum_and_the_intervals_follow_the_configuration(task, monkeypatch):
    monkeypatch.setattr(task.options, "language", "en")
    data = dataset([("a", f"the {word} sat") for word in ("cat", "dog", "cow", "hen", "pig")])
    texts = ["the cat sat", "the cat sat", "a cow", "hens", "pig"]
    metrics = task.score(texts, data).metrics
    assert "rougeLsum" in metrics
    assert "rougeLsum" in task.score(["北京雨"], dataset([("甲", "北京晴")])).metrics
    monkeypatch.setattr(task.config.eval, "bootstrap_samples", 101)
    assert task.score(texts, data).metrics["rougeL_ci"] != metrics["rougeL_ci"]
    monkeypatch.setattr(task.config.eval, "bootstrap_samples", 100)
    assert task.score(texts, data).metrics["rougeL_ci"] == metrics["rougeL_ci"]
    monkeypatch.setattr(task.config, "seed", 8)
    assert task.score(texts, data).metrics["rougeL_ci"] != metrics["rougeL_ci"]


def test_the_lead_is_as_long_as_the_training_targets(task):
    """Training targets have 2 characters, the evaluated ones 4. The lead's length must be that of training targets."""
    train = dataset([("任何文章", "两字"), ("其他文章", "二字")])
    ((name, scores),) = task.baselines(dataset([("北京今天下雨", "雨北京下"), ("上海", "雪上海下")]), train).items()
    assert name == "lead"
    assert [row["prediction"] for row in scores.predictions] == ["北京", "上海"]
    assert scores.metrics["lead_length"] == 2
    assert scores.metrics["rouge1"] == pytest.approx(200 / 3, abs=0.01)  # precision 1, recall 1/2


def test_evaluate_returns_loss_and_scores(task):
    data = task.encode(Rows(rows=ROWS), "test")
    scores = evaluate(task, data, "evaluate")
    assert scores.metrics["loss"] == pytest.approx(run_eval_steps(task, data, "again").loss, abs=1e-6)
    texts = task.generate(data.columns["source"], "generate")
    assert [row["prediction"] for row in scores.predictions] == texts
    assert scores.metrics == {"loss": scores.metrics["loss"], **task.score(texts, data).metrics}


# ---------------------------------------------------------------------------------------------------- predictions
def test_predict(tmp_path):
    """Predictions are in order and have the whole source, although the model reads only max_source_length tokens."""
    task = build(tmp_path, "task.max_source_length=8", "eval.eval_batch_size=3")
    texts = [source for source, _ in reversed(PAIRS)]
    rows = task.predict(texts, "predict")
    assert [row["source"] for row in rows] == texts
    data = task.encode(Rows(rows=ROWS[::-1]), "test")
    assert [row["prediction"] for row in rows] == task.generate(data.columns["source"], "generate")
    assert len({row["prediction"] for row in rows}) > 1
    longer = task.predict([text + "天气晴朗" for text in texts], "predict")
    assert [row["prediction"] for row in longer] == [row["prediction"] for row in rows]
    assert longer[0]["source"] == texts[0] + "天气晴朗"
    assert all(set(row) == {"source", "prediction"} for row in rows)


def test_preview_shows_what_the_model_sees(task):
    data = task.encode(Rows(rows=ROWS), "train")
    first, second = task.preview(data).split("\n\n")
    assert first.splitlines() == [
        "source        今天北京天气晴朗",
        "target        北京晴",
        "input_ids     [CLS] 今 天 北 京 天 气 晴 朗 [SEP]",
        "decoder input [SEP] [CLS] 北 京 晴",
        "labels        [CLS] 北 京 晴 [SEP]",
    ]
    assert re.search("source        上海明天有大雨", second)
