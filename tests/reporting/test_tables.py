"""Test the tables of scores that the terminal shows at the end of a run."""

import json

import pytest

from paddle_ft.reporting.tables import split_table, summary

METRICS = {"loss": 1.234, "rougeL": 41.5, "rougeL_ci": [39.25, 43.75], "tokenizer": "characters", "flag": True}
RESULTS = {
    "sample": False,
    "before_training": {"validation": {"loss": 7.5, "rougeL": 3.25}, "test": {"loss": 8.5, "rougeL": 2.25}},
    "baseline": {"name": "lead", "validation": {"rougeL": 20.75}, "test": {"rougeL": 21.75}},
    "metrics": {"validation": {**METRICS, "loss": 1.5}, "test": METRICS},
}


def test_a_table_has_trained_before_and_baseline_in_this_order():
    assert split_table("test", METRICS, RESULTS) == [
        "test      trained                      before   lead",
        "  loss      1.234                       8.500      -",
        "  rougeL    41.50 [39.2, 43.8] (95 %)    2.25  21.75",
        "",
    ]


def test_many_columns_and_long_names_stay_apart_and_within_a_terminal():
    metrics = {"loss": 0.7371, "perplexity": 2.09, "rhyme": 87.2, "rhyme_ci": [84.2, 90.0], "rhyme_of_real_lines": 100.0,
               "max_bleu": 81.23, "max_bleu_ci": [70.2, 81.0], "generated_lines": 500}  # fmt: skip
    before, baseline = {"test": metrics | {"perplexity": 39287.12}}, {"name": "random line", "test": metrics}
    results = {"before_training": before, "baseline": baseline, "other_baselines": {"line copied": {"test": metrics}}}
    lines = split_table("test", metrics, results)
    assert lines[0].split("  ")[-2:] == ["random line", "line copied"]
    assert lines[2].split() == ["perplexity", "2.09", "39,287.12", "2.09", "2.09"]
    assert max(map(len, lines)) <= 100


def test_other_baselines_follow():
    results = {**RESULTS, "other_baselines": {"unigram": {"test": {"loss": 6.5}, "validation": {"loss": 6.75}}}}
    header, loss, rouge, _ = split_table("test", METRICS, results)
    assert header.split() == ["test", "trained", "before", "lead", "unigram"]
    assert loss.split() == ["loss", "1.234", "8.500", "-", "6.500"]
    assert rouge.split() == ["rougeL", "41.50", "[39.2,", "43.8]", "(95", "%)", "2.25", "21.75", "-"]


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path, RESULTS)
    return tmp_path


def write_run(folder, results) -> None:
    (folder / "config.yaml").write_text("{}")
    (folder / "results.json").write_text(json.dumps(results))
    for split in ("validation", "test"):
        rows = [{"source": f"{split} source {i}", "prediction": f"{split} prediction {i}"} for i in range(5)]
        (folder / f"predictions-{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_summary(run):
    """The summary has both tables, three predictions of the last split, and the paths of model and report."""
    assert summary(run).splitlines() == [
        "",
        "validation  trained                      before   lead",
        "  loss        1.500                       7.500      -",
        "  rougeL      41.50 [39.2, 43.8] (95 %)    3.25  20.75",
        "",
        "test      trained                      before   lead",
        "  loss      1.234                       8.500      -",
        "  rougeL    41.50 [39.2, 43.8] (95 %)    2.25  21.75",
        "",
        "predictions:",
        "",
        "  source     test source 0",
        "  prediction test prediction 0",
        "",
        "  source     test source 1",
        "  prediction test prediction 1",
        "",
        "  source     test source 2",
        "  prediction test prediction 2",
        "",
        f"model    {run / 'best'}",
        f"report   {run / 'report.html'}",
    ]


def test_summary_shows_the_requested_number_of_predictions_or_all(run):
    assert summary(run, samples=1).count("test prediction") == 1
    assert summary(run, samples=9).count("test prediction") == 5


def test_a_sample_run_says_so_first(tmp_path):
    write_run(tmp_path, {**RESULTS, "sample": True})
    assert summary(tmp_path).splitlines()[1].startswith("sample run: ")
    cases = (("{source: sample:briefs, train: null}", "generated text"), ("{source: null, train: a.tsv}", "your data"))
    for data, expected in cases:
        (tmp_path / "config.yaml").write_text(f"data: {data}\nmodel: {{pretrained: null}}\n")
        assert summary(tmp_path).splitlines()[1].startswith(f"sample run: {expected} and a small model from scratch; ")


def test_without_predictions_there_is_a_summary_all_the_same(run):
    (run / "predictions-test.jsonl").unlink()
    (run / "predictions-validation.jsonl").write_text("{")
    assert "test prediction" not in summary(run) and "rougeL    41.50" in summary(run)


def test_a_run_without_validation_and_test_says_how_to_measure_it(tmp_path):
    write_run(tmp_path, {"sample": False, "metrics": {}})
    advice = "There are no scores, because the run has neither a validation nor a test split (data.validation, data.test)."
    assert summary(tmp_path).splitlines() == [
        "",
        f"{advice} To measure it: python -m paddle_ft evaluate {tmp_path} data.test=FILE",
        "",
        f"model    {tmp_path / 'best'}",
        f"report   {tmp_path / 'report.html'}",
    ]


def test_an_empty_prediction_is_seen(tmp_path):
    write_run(tmp_path, RESULTS)
    (tmp_path / "predictions-test.jsonl").write_text('{"source": "a", "prediction": ""}\n')
    assert summary(tmp_path).splitlines()[-5:-3] == ["  source     a", "  prediction (empty)"]
