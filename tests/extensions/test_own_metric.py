"""Test that a user's metric appears in run, table and report, and can be eval.best_metric."""

import json
import shlex

import numpy as np
import pytest

from paddle_ft import cli
from tests.support.examples import (
    SHORT,
    copy_examples,
    evaluate_and_predict,
    launch_commands,
    read_results,
    run_command,
    train_example,
)
from tests.support.paths import ROOT
from tests.support.processes import read_events


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with the run of the example, started by train.py, and what the training printed."""
    files = ("my_metric.py", "my_reviews.yaml", "reviews.csv", "reviews-dev.csv")
    folder = copy_examples(tmp_path_factory.mktemp("metric") / "mine", *files)
    ((_, _, *flags),) = launch_commands("my_metric.py")  # paddle_ft train ...
    printed = run_command(folder, str(ROOT / "train.py"), *flags, *SHORT, "train.num_train_epochs=4").stdout
    return folder, printed


def balanced_accuracy(rows):
    """Return what the example computes, from a run's predictions."""
    correct_by_label = {}
    for row in rows:
        correct_by_label.setdefault(row["label"], []).append(row["prediction"] == row["label"])
    return 100 * np.mean([np.mean(correct) for correct in correct_by_label.values()])


def test_it_is_a_figure_like_ours(trained):
    folder, printed = trained
    results = read_results(folder)
    rows = [json.loads(line) for line in (folder / "run" / "predictions-validation.jsonl").read_text().splitlines()]
    trained_value = results["metrics"]["validation"]["balanced_accuracy"]
    assert trained_value == pytest.approx(balanced_accuracy(rows), abs=1e-4)
    assert results["baseline"]["validation"]["balanced_accuracy"] == 20  # the majority class is right for one of five classes
    before = results["before_training"]["validation"]["balanced_accuracy"]
    (line,) = [line for line in printed.splitlines() if line.startswith("  balanced_accuracy ")]
    assert line.split() == ["balanced_accuracy", f"{trained_value:.2f}", f"{before:.2f}", "20.00"]
    assert "<tr><th>balanced accuracy</th>" in (folder / "run" / "report.html").read_text()


def test_it_chooses_the_best_checkpoint(trained):
    folder, _ = trained
    results = read_results(folder)
    evaluations = [event["balanced_accuracy"] for event in read_events(folder / "run", "eval") if event["step"] > 0]
    assert len(evaluations) == 4
    assert results["best"]["metric"] == "balanced_accuracy" and results["best"]["value"] == max(evaluations)
    assert results["metrics"]["validation"]["balanced_accuracy"] == max(evaluations)


def test_evaluate_computes_it_again_and_only_with_its_module(trained, monkeypatch, capsys):
    folder, _ = trained
    final = read_results(folder)["metrics"]["validation"]
    metrics, _ = evaluate_and_predict(folder, "validation", "reviews-dev.csv", "my_metric")
    assert metrics == final
    monkeypatch.chdir(folder)
    assert cli.main(["evaluate", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == {k: v for k, v in final.items() if k != "balanced_accuracy"}
    assert cli.main(["train", "--config", "run/config.yaml", "output_dir=again"]) == 2
    message = capsys.readouterr().err
    assert "eval.best_metric: 'balanced_accuracy' is not a metric of classification; it reports loss, accuracy, " in message
    assert "If this is a metric of your own, name its module: --import MODULE." in message


@pytest.mark.slow
def test_a_metric_of_each_row_gets_an_interval(tmp_path):
    folder = copy_examples(tmp_path / "mine", "my_metric.py", "my_format.py", "my_pairs.yaml", "news.pairs", "news-dev.pairs")
    settings = shlex.split("--import my_metric eval.best_metric=chrf train.num_train_epochs=1 tracking.visualdl=true")
    printed = train_example(folder, "my_format.py", *settings)
    metrics = read_results(folder)["metrics"]["validation"]
    low, high = metrics["chrf_ci"]
    assert 0 <= low <= metrics["chrf"] <= high <= 100
    (line,) = [line for line in printed.splitlines() if line.startswith("  chrf ")]
    assert f"[{low:.1f}, {high:.1f}] (95 %)" in line
    records = b"".join(path.read_bytes() for path in (folder / "run" / "visualdl").iterdir())
    assert b"validation/chrf" in records and b"final_validation/chrf" in records
