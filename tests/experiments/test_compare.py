"""Test the comparison of runs: which are refused, which differences are real, and what is shown of it."""

import json
import re
import subprocess
import sys

import pytest

from paddle_ft.cli import main
from paddle_ft.experiments.compare import compare, verdict
from paddle_ft.experiments.comparison_page import comparison_document
from paddle_ft.reporting.document import to_html, to_markdown, to_text
from paddle_ft.system.errors import UserError
from tests.support.finished_runs import change_results, write_classifier, write_run
from tests.support.paths import ROOT

N = 40


def right(*wrong):
    return [number not in wrong for number in range(N)]


def evaluation(step, **scores):
    return {"event": "eval", "step": step, "split": "validation", **scores}


@pytest.fixture
def runs(tmp_path):
    """A reference with 12 mistakes, a run with 1 of them, and one with 11."""
    events = [evaluation(step, loss=1 / step, accuracy=50.0 + step) for step in (1, 2)]
    return [
        str(write_classifier(tmp_path / "first", right(*range(12)), events=events)),
        str(write_classifier(tmp_path / "better", right(0), ["train.learning_rate=1e-5"], events)),
        str(write_classifier(tmp_path / "same", right(*range(11)))),
    ]


def test_one_real_difference_and_one_that_is_none(runs):
    comparison = compare(runs)
    _, better, same = comparison.sides
    accuracy = better.differences["accuracy"]
    assert (accuracy.first, accuracy.second, accuracy.rows) == (70.0, 97.5, N)
    assert verdict("accuracy", accuracy) == "yes, better"
    assert verdict("loss", better.differences["loss"]) == "yes, better"  # lower is better
    # one row of 40: p is 1 for one disagreement, and stays it after Holm's adjustment for two runs
    assert same.differences["accuracy"].p == 1 and verdict("accuracy", same.differences["accuracy"]) == "no difference"
    # 11 rows that only the second has right: McNemar's exact p is 2 / 2**11, times 2 for the two runs
    assert accuracy.p == pytest.approx(2 * 2 / 2**11)
    assert set(better.untested) == {"ece"}
    assert comparison.settings == [("train.learning_rate", [2e-5, 1e-5, 2e-5])]
    worse = compare([runs[1], runs[0]]).sides[1].differences["accuracy"]
    assert verdict("accuracy", worse) == "yes, worse" and worse.p == pytest.approx(2 / 2**11)


def test_what_is_shown(runs):
    text = to_text(comparison_document(compare(runs), 2))
    assert text.startswith("Comparison of first, better and same\nclassification · split test · reference: first\n")
    row = next(line for line in text.splitlines() if line.strip().startswith("loss"))
    assert re.search(r"0\.765 \[0\.\d{3}, \d\.\d{3}\]", row), row  # 12 rows of -log 0.1 and 28 of -log 0.9
    cells = [tuple(map(float, found)) for found in re.findall(r"(\d\.\d{3}) \[(\d\.\d{3}), (\d\.\d{3})\]", row)]
    assert len(cells) == 3 and all(low < score < high for score, low, high in cells), row  # each run has its own interval
    assert "better: yes, it is better. accuracy is +27.50 against first (95 % interval +15.00 to +42.50, p 0.002, 40 rows)." in text
    assert "same: no difference. accuracy is +2.50 against first" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("accuracy") and "[+" in line)
    assert row.split()[:2] == ["accuracy", "+27.50"] and row.split("]")[1].split() == ["0.002", "yes,", "better"]
    assert "Not tested: calibration error (ECE): it is no sum over the rows." in text
    text = " ".join(text.split())
    assert "train.learning_rate" in text and "p is adjusted for the number of runs (Holm)." in text
    assert "Of 40 predictions, 11 differ." in text
    assert "probability of the label 10.00 (first) and 90.00 (better)" in text
    assert text.count(" first positive") + text.count(" first negative") == 3  # 2 rows and, for the last run, 1
    markdown = to_markdown(comparison_document(compare(runs), 2))
    assert "| accuracy | +27.50 | [+15.00, +42.50] | 0.002 | yes, better |" in markdown
    html = to_html(comparison_document(compare(runs), 2))
    assert html.count("<img") == 2 and "accuracy on validation" in html  # loss and accuracy; nothing was logged of the training
    assert "http://" not in html and "https://" not in html and "<script" not in html


def test_rows_in_another_order_are_matched(tmp_path):
    texts = [f"text {number}" for number in range(N)]
    first = write_classifier(tmp_path / "first", right(0, 1), texts=texts)
    second = write_classifier(tmp_path / "second", right(2, 3), texts=[*texts[2:], *texts[:2]])  # its mistakes: text 4 and text 5
    comparison = compare([str(first), str(second)])
    rows = zip(*(side.predictions for side in comparison.sides), strict=True)
    assert all(a["text"] == b["text"] for a, b in rows)
    wrong = [[row["text"] for row in side.predictions if row["label"] != row["prediction"]] for side in comparison.sides]
    assert wrong == [["text 0", "text 1"], ["text 4", "text 5"]]
    losses = comparison.sides[1].losses
    assert [place for place, row in enumerate(losses) if row["nll"] > 1] == [4, 5]


def test_equal_predictions_have_no_rows_on_which_they_disagree(tmp_path):
    runs = [str(write_classifier(tmp_path / name, right(1))) for name in ("first", "second")]
    text = to_text(comparison_document(compare(runs), 2))
    assert "Of 40 predictions, 0 differ." in text and "By probability" not in text


def test_the_page_is_written_though_nobody_reads_what_is_printed(tmp_path, runs):
    file = tmp_path / "page.html"
    command = [sys.executable, "-m", "paddle_ft", "compare", *map(str, runs), "--html", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    process.stdout.close()  # as `| head -0` does
    process.stderr.read()
    process.wait(timeout=60)
    assert "<title>" in file.read_text(encoding="utf-8")


def test_runs_that_cannot_be_compared(tmp_path, runs, capsys):
    def refusal(*arguments):
        assert main(["compare", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "compare needs at least two runs" in refusal(runs[0])
    assert "first: this run is named twice" in refusal(runs[0], runs[1], runs[0])
    assert "this is not the directory of a run (it has no config.yaml)" in refusal(runs[0], tmp_path)
    assert "there is no validation split that all runs have" in refusal(*runs, "--split", "validation")
    assert "--samples 5: it must be from 100 to 1,000,000" in refusal(*runs, "--samples", 5)
    assert "there is no folder" in refusal(*runs, "--html", tmp_path / "none" / "page.html")
    shorter = write_classifier(tmp_path / "shorter", right(3)[:30], ["data.limit_test=30"])
    message = refusal(runs[0], shorter)
    assert "were not scored on the same rows of test: 40 and 30 predictions, of which 30 are for the same row." in message
    assert "Settings that differ and can decide it: data.limit_test." in message
    summaries = write_run(
        tmp_path / "summaries", "bart_lcsts", {"rougeL": 1.0}, [{"source": "a", "target": "b", "prediction": "c"}]
    )
    assert "is a run of classification and " in refusal(runs[0], summaries)
    change_results(tmp_path / "same", status="training")
    assert "same: this run has not finished, so it cannot be compared" in refusal(*runs)
    with open(tmp_path / "better" / "predictions-test.jsonl", "a") as file:
        file.write("{broken\n")
    assert "predictions-test.jsonl: this file is damaged" in refusal(*runs[:2])


def test_scores_that_contradict_the_predictions_are_not_tested(tmp_path, runs):
    results = json.loads((tmp_path / "better" / "results.json").read_text())
    results["metrics"]["test"]["accuracy"] = 60.0
    change_results(tmp_path / "better", metrics=results["metrics"])
    side = compare(runs[:2]).sides[1]
    assert side.untested["accuracy"] == "results.json of better has 60.0, but its rows give 97.5"
    assert "accuracy" not in side.differences and "f1" in side.differences


def test_summaries_are_scored_from_their_texts(tmp_path):
    targets = ["北京今天天气晴朗", "上海明天有大雨", "广州今晚举行比赛", "深圳地铁新线开通"] * 3

    def write(name, texts):
        from paddle_ft.metrics.bleu import bleu4
        from paddle_ft.metrics.rouge import rouge

        scores, by_row = rouge(texts, targets, bootstrap=0)
        rows = [{"source": f"{i}{target}", "target": target, "prediction": text, "rougeL": value}
                for i, (target, text, value) in enumerate(zip(targets, texts, by_row, strict=True))]  # fmt: skip
        metrics = {"loss": 1.0, **scores, "bleu4": bleu4(texts, targets), "generated_characters": 8.0}
        return str(write_run(tmp_path / name, "bart_lcsts", metrics, rows)), metrics

    (first, scores), (second, better) = write("first", [target[:3] for target in targets]), write("second", targets)
    side = compare([first, second]).sides[1]
    for key in ("rouge1", "rouge2", "rougeL", "bleu4"):
        difference = side.differences[key]
        assert difference.first == pytest.approx(scores[key], abs=1e-3) and difference.second == pytest.approx(
            better[key], abs=1e-3
        )
        assert difference.p == 2 / 2**12, key  # all 12 rows are better: only all swaps and none are as extreme
    assert side.untested == {"loss": "first and second: no losses-<split>.jsonl, which earlier versions did not write"}


def test_perplexity_needs_the_same_targets(tmp_path):
    def write(name, nll, targets, fingerprint="f"):
        rows = [{"source": "a text", "tokens": 3, "perplexity": 2.0}]
        total, count = sum(nll), sum(targets)
        metrics = {"loss": total / count, "perplexity": 2.718281828459045 ** (total / count), "accuracy": 0.0}
        path = write_run(tmp_path / name, "gpt2_booksum", metrics, rows, data={"test": {"rows": 9, "fingerprint": fingerprint}})
        losses = [{"nll": value, "targets": n, "correct": 0} for value, n in zip(nll, targets, strict=True)]
        (path / "losses-test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in losses))
        return str(path)

    first = write("first", [3.0] * 9, [2] * 9)
    side = compare([first, write("second", [2.0] * 9, [2] * 9)]).sides[1]
    assert side.differences["perplexity"].p == 2 / 2**9
    assert side.differences["loss"].difference == pytest.approx(-0.5)
    other = compare([first, write("other", [2.0] * 9, [1] * 9)]).sides[1]
    assert other.untested["perplexity"] == "not the same targets in each row: another tokenizer, or other lengths or masks"
    assert "perplexity" not in other.differences
    with pytest.raises(UserError, match="not scored on the same rows of test: 1 and 1 predictions.*fingerprints f and g"):
        compare([first, write("others", [2.0] * 9, [2] * 9, fingerprint="g")])


def test_runs_are_called_by_as_little_of_their_path_as_tells_them_apart(tmp_path):
    paths = [tmp_path / name for name in ("a/seed-1", "a/seed-2", "b/seed-1")]
    for path in paths:
        write_classifier(path, right(0))
    assert [side.name for side in compare([str(path) for path in paths]).sides] == ["a/seed-1", "a/seed-2", "b/seed-1"]
    assert [side.name for side in compare([str(path) for path in paths[:2]]).sides] == ["seed-1", "seed-2"]
