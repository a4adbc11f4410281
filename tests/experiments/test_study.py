"""Test running a study: what is trained, continued or refused, and the tables on its page."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from paddle_ft.cli import main
from paddle_ft.experiments import study
from paddle_ft.experiments.study import TimeLeft, run_study, write_pages
from paddle_ft.experiments.study_file import read_study
from paddle_ft.experiments.study_page import metric_figure
from paddle_ft.experiments.study_plan import make_plan
from paddle_ft.experiments.study_results import summarize_study
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import refuse_other_config
from paddle_ft.system.errors import UserError
from paddle_ft.training import run as training
from tests.support.studies import STUDY, overrides, tiny_plan, write_study


def result(accuracy, loss=0.5, rows=4, seconds=10, split="validation"):
    return {
        "status": "finished", "metrics": {split: {"accuracy": accuracy, "loss": loss}},
        "before_training": {split: {"accuracy": 40.0}}, "baseline": {"name": "majority", split: {"accuracy": 50.0}},
        "data": {"train": {"rows": rows}, split: {"rows": 6, "fingerprint": "abc"}},
        "train": {"seconds": seconds, "device": "cpu"}, "versions": {"paddlepaddle": "3.3.1"},
    }  # fmt: skip


def write_run(run, results):
    directory = RunDirectory(run.path)
    directory.path.mkdir(parents=True)
    directory.write_config("seed: 1\n")
    directory.write_results(results)


def made_up(tmp_path, accuracies, seeds=2):
    """Write finished runs: (series, x) -> the accuracy of each seed. Return the plan."""
    plan = tiny_plan(tmp_path, seeds)
    write_run(plan.runs[0], {**result(1.0), "best": {"metric": "loss", "value": 0.5, "step": 3}})
    for run in plan.measured:
        values = accuracies.get((run.series, run.x), [])
        if run.seed - plan.seeds[0] < len(values):
            write_run(run, result(values[run.seed - plan.seeds[0]], rows=[4, 6][run.x]))
    return plan


ACCURACIES = {("scratch", 0): [50, 54], ("adapted", 0): [60, 62], ("scratch", 1): [70, 72], ("adapted", 1): [71, 71]}


def test_the_tables_have_means_deviations_and_differences(tmp_path):
    plan = made_up(tmp_path, ACCURACIES)
    text = write_pages(plan)
    markdown = (plan.folder / "study.md").read_text()
    assert "| rows | scratch | adapted | baseline | before training |\n| --- | ---: | ---: | ---: | ---: |\n" in markdown
    assert "| 4 | 52.00 ± 2.83 | 61.00 ± 1.41 | 50.00 | 40.00 |\n| all | 71.00 ± 1.41 | 71.00 ± 0.00 | 50.00 | 40.00 |" in markdown
    assert "\n\nUnder baseline and before training is the mean of all series.\n\n" in markdown
    # differences 10 and 8: the mean is 9, and with 2 seeds p is 2 of 4 swaps; then 1 and -1
    assert "### adapted minus scratch\n\n| rows | difference | deviation | better | p |" in markdown
    assert "| 4 | +9.00 | 1.41 | 2 of 2 | 0.500 |\n| all | 0.00 | 1.41 | 1 of 2 | 1.000 |" in markdown
    assert "with 2 it cannot be below 0.5" in " ".join(text.split()) and "9 of 9 runs" in text
    assert "A training set of N rows is the first N rows of the data: the same rows with every seed" in markdown
    assert "adapted was trained once, with seed 2022" in markdown and "the command" in markdown
    assert "Device: cpu. Versions: paddlepaddle 3.3.1." in markdown
    assert "| adapted, 4, seed 2023 | 62.00 | 0.500 | 10.0 s | [report](classifier/adapted/4/seed-2023/report.html) |" in markdown
    assert (
        "### adapted\n\n| run | validation loss | time | report |\n| --- | ---: | ---: | ---: |\n| seed 2022 | 0.500 |" in markdown
    )
    html = (plan.folder / "report.html").read_text()
    assert '<a href="classifier/adapted/4/seed-2023/report.html">report</a>' in html and html.count("<img") == 2
    content = json.loads((plan.folder / "results.json").read_text())
    assert content["status"] == "finished" and content["x"]["places"] == [4, 6] and content["split"] == "validation"
    assert content["points"][1]["before_training"]["validation"]["accuracy"] == 40
    assert content["points"][0]["metrics"]["validation"]["accuracy"]["baseline"] == 50


def test_the_figure_has_means_bands_ticks_and_references_that_are_near(tmp_path):
    content = summarize_study(made_up(tmp_path, ACCURACIES))
    [axes] = metric_figure(content, "accuracy").axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert lines["scratch"] == ([4, 6], [52, 71]) and lines["adapted"] == ([4, 6], [61, 71])
    assert lines["baseline"] == ([4, 6], [50, 50]) and lines["before training"] == ([4, 6], [40, 40])
    assert len(axes.collections) == 2 and axes.get_xlabel() == "rows"  # the bands
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["4", "all"]
    for point in content["points"]:
        point["before_training"]["validation"]["accuracy"] = -500.0
    assert "before training" not in {line.get_label() for line in metric_figure(content, "accuracy").axes[0].lines}


def test_an_unfinished_study_says_what_is_missing(tmp_path):
    plan = made_up(tmp_path, {**ACCURACIES, ("adapted", 0): [60], ("adapted", 1): []})
    text = write_pages(plan)
    markdown = (plan.folder / "study.md").read_text()
    assert "> Not all runs are finished; the same command goes on." in markdown and "6 of 9 runs" in text
    assert "| 4 | 52.00 ± 2.83 | 60.00 (n = 1) | 50.00 | 40.00 |\n| all | 71.00 ± 1.41 | – | 50.00 | 40.00 |" in markdown
    assert "| 4 | +10.00 | – | 1 of 1 | 1.000 |" in markdown
    assert "| adapted, all, seed 2022 | – | – | – | missing |" in markdown
    assert json.loads((plan.folder / "results.json").read_text())["status"] == "training"


def test_fewer_rows_than_were_asked_for_are_said(tmp_path):
    plan = tiny_plan(tmp_path, 1)
    for run in plan.runs:
        write_run(run, result(50.0, rows=3))
    assert "4 training rows were asked for, but the data has only 3." in write_pages(plan)


def test_runs_that_were_scored_on_other_rows_or_with_other_versions_are_said(tmp_path):
    plan = made_up(tmp_path, ACCURACIES)
    assert summarize_study(plan)["warnings"] == []
    directory = RunDirectory(plan.runs[-1].path)
    other = {**result(71.0, rows=6), "versions": {"paddlepaddle": "3.4.0"}}
    directory.write_results({**other, "data": {"train": {"rows": 6}, "validation": {"rows": 1005, "fingerprint": "abd"}}})
    assert summarize_study(plan)["warnings"] == [
        "Not all runs were scored on the same rows of validation (6 to 1,005): a part of a difference may be the rows'.",
        "The runs had different versions: paddlepaddle 3.3.1, 3.4.0.",
    ]


def test_a_metric_that_no_run_has_is_a_warning_with_the_nearest(tmp_path):
    text = STUDY.replace("metrics: [accuracy, loss]", "metrics: [acuracy]")
    plan = make_plan(read_study(str(write_study(tmp_path, text))), overrides(tmp_path), 1, "the command")
    assert summarize_study(plan)["warnings"] == []  # nothing is known before the first run
    for run in plan.runs:
        write_run(run, result(50.0, rows=6))
    assert summarize_study(plan)["warnings"] == ["No run has the metric acuracy on validation. Did you mean accuracy?"]


def test_a_study_of_one_recipe_over_seeds(tmp_path):
    text = "title: a\nquestion: b\nstages: {only: {recipe: distilbert_imdb_cls}}\nmetrics: [accuracy]\n"
    plan = make_plan(read_study(str(write_study(tmp_path, text))), [f"output_dir={tmp_path / 'study'}"], 2, "the command")
    for run, accuracy in zip(plan.runs, (50.0, 54.0), strict=True):
        write_run(run, result(accuracy))
    write_pages(plan)
    markdown = (plan.folder / "study.md").read_text()
    assert "|  | distilbert_imdb_cls | baseline | before training |" in markdown
    assert "| all runs | 52.00 ± 2.83 | 50.00 | 40.00 |" in markdown and "minus" not in markdown
    assert "of all series" not in markdown
    assert "| distilbert_imdb_cls, seed 2023 | 54.00 | 10.0 s | [report](only/seed-2023/report.html) |" in markdown
    assert "<img" not in (plan.folder / "report.html").read_text()


def test_a_metric_that_no_run_has_is_said(tmp_path):
    plan = made_up(tmp_path, ACCURACIES)
    plan.file.study.metrics[0] = "acuracy"
    assert "Acuracy on validation\nNo finished run has this metric." in write_pages(plan)


def test_the_time_left_is_that_of_runs_that_are_alike(tmp_path):
    plan = tiny_plan(tmp_path, 2)
    left = TimeLeft(plan)
    assert left.describe(plan.runs) == ""
    left.add(plan.runs[1], 10)  # scratch with 4 rows
    assert left.describe(plan.runs) == ""  # nothing is known about the first stage
    assert left.describe([run for run in plan.measured if run.x == 0]) == ", about 40.0 s left"
    left.add(plan.runs[3], 40)  # with all rows
    assert left.describe(plan.measured) == ", about 3 min 20 s left"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Return a folder in which a study of one seed was stopped during its third run."""
    folder = tmp_path_factory.mktemp("study")
    trained = []

    def train(config, resume):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(config.output_dir)
        training.train(config, resume)

    with pytest.raises(KeyboardInterrupt):
        run_study(tiny_plan(folder, 1), train, refuse_other_config)
    return folder


def test_a_study_goes_on_trains_no_finished_run_again_and_takes_more_seeds(stopped, capfd):
    plan = tiny_plan(stopped, 1)
    assert [RunDirectory(run.path).is_finished() for run in plan.runs] == [True, True, False, False, False]
    before = {run.path: (run.path / "results.json").stat().st_mtime_ns for run in plan.runs[:2]}
    trained = []

    def train(config, resume):
        trained.append((config.output_dir, resume))
        training.train(config, resume)

    text = run_study(plan, train, refuse_other_config)
    assert trained == [(str(run.path), False) for run in plan.runs[2:]]
    assert before == {path: (path / "results.json").stat().st_mtime_ns for path in before}
    assert all((run.path / "report.html").exists() for run in plan.runs) and "5 of 5 runs" in text
    said = capfd.readouterr().err
    assert f"run 2 of 5: classifier, scratch, 4, seed 2022: already finished\nrun 3 of 5: {plan.runs[2].label}: " in said
    assert re.search(r"run 5 of 5: classifier, adapted, all, seed 2022: .*, about [\d.]+ s left", said)
    results = json.loads((plan.folder / "results.json").read_text())
    own = [RunDirectory(run.path).results()["metrics"]["validation"]["accuracy"] for run in plan.measured]
    shown = [point["metrics"]["validation"]["accuracy"]["mean"] for point in results["points"]]
    assert shown == [own[0], own[2], own[1], own[3]]  # the points are by series
    assert results["x"]["places"] == [4, 6]

    trained.clear()
    assert run_study(plan, train, refuse_other_config) == text and trained == []
    with pytest.raises(UserError, match="train.learning_rate: 2e-05 then, 0.5 now"):
        run_study(tiny_plan(stopped, 1, "train.learning_rate=0.5"), train, refuse_other_config)
    assert len(tiny_plan(stopped, 2).runs) == 9 and len(study._pending(tiny_plan(stopped, 2), refuse_other_config)) == 4


def test_runs_of_a_checkpoint_that_is_gone_are_refused(tmp_path):
    plan = made_up(tmp_path, ACCURACIES, seeds=1)
    (plan.runs[0].path / "results.json").unlink()
    with pytest.raises(
        UserError, match="adapted/4/seed-2022: this run started from the checkpoint of .*adapted/seed-2022, which is to"
    ):
        study._pending(plan, lambda config, run: False)


def test_errors_name_what_is_wrong(capsys, tmp_path):
    assert main(["study"]) == 2
    assert "error: name a study (domain_adaptation, noise, size) or a YAML file; --list describes them." in capsys.readouterr().err
    assert main(["study", "noise", "--seeds", "0"]) == 2
    assert "--seeds 0: it must be at least 1." in capsys.readouterr().err
    assert main(["study", "train.learning_rate=1"]) == 2
    assert "train.learning_rate=1: name the study before its settings: domain_adaptation, noise, size" in capsys.readouterr().err
    path = write_study(tmp_path)
    assert main(["study", str(path), *overrides(tmp_path), "data.train=none.jsonl"]) == 2
    assert "data.train: none.jsonl" in capsys.readouterr().err
    assert main(["study", str(path), *overrides(tmp_path), "--devices", "cpu:x"]) == 2
    assert "--devices cpu:x: give GPU numbers" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_the_plan_is_printed(capsys, tmp_path):
    assert main(["study", "domain_adaptation", "--print", "--seeds", "1", "model.pretrained=TINY"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("domain_adaptation: 9 runs in runs/study_domain_adaptation, seeds 2022\n\n1. adapted, seed 2022\n")
    assert "--config distilbert_imdb_cls model.pretrained=TINY data.limit_train=100 train.num_train_epochs=30 seed=2022" in printed
    assert main(["study", "--list"]) == 0
    assert "noise                Lyrics: noise and context\n" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_study_with_several_processes_that_is_stopped_goes_on(tmp_path, number):
    """Two runs at a time; the first stage ends before the second begins."""
    path = write_study(tmp_path)
    command = [
        sys.executable, "-m", "paddle_ft", "study", str(path), "--devices", "cpu:2", "--seeds", "1", *overrides(tmp_path),
        "train.num_train_epochs=30",
    ]  # fmt: skip
    first = RunDirectory(tmp_path / "study" / "adapted" / "seed-2022")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 300
        while not first.is_finished() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if number == signal.SIGINT:
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)
        said = process.communicate()[1]
    if number == signal.SIGINT:
        assert process.returncode == 130 and "stopped by SIGINT; the same command continues from here" in said
    assert first.is_finished()
    time.sleep(2)  # the processes of the runs end by themselves
    before = (first / "results.json").stat().st_mtime_ns
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "5 of 5 runs" in done.stdout and (first / "results.json").stat().st_mtime_ns == before


def test_a_long_title_of_a_figure_has_several_lines():
    cell = {"metrics": {"test": {"unsupported": {"mean": 1.0, "deviation": 0.0}}}, "before_training": {}, "series": "a"}
    axis = {"places": [1.0, 2.0], "texts": ["1", "2"], "label": "rows"}
    content = {"points": [{**cell, "x": 0}, {**cell, "x": 1}], "split": "test", "series": ["a"], "x": axis}
    title = metric_figure(content, "unsupported").axes[0].get_title(loc="left")
    assert title == "numbers and names not in the source on test, ± one deviation\nover the seeds"
