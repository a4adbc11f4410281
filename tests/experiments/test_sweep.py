"""Test sweeps of tiny trainings: no trial sees the test split, the winner sees it once, and what stops is gone on with."""

import json
import re
import subprocess
import sys

import pytest

from paddle_ft.cli import main
from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.experiments.sweep import Sweep
from paddle_ft.experiments.sweep_plan import make_plan
from paddle_ft.experiments.sweep_results import (
    FAILED,
    FINISHED,
    PRUNED,
    WAITING,
    Trial,
    choose,
    describe_tie,
    explained,
    not_told_apart,
    ranked,
)
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import WriteError
from paddle_ft.tasks import find_task
from paddle_ft.tasks.shared.rows import load_rows
from paddle_ft.training import run as training
from paddle_ft.training.signals import Interrupted
from tests.support.processes import run_until_a_checkpoint
from tests.support.tiny_classification import ROWS, write_jsonl
from tests.support.tiny_classification import train as train_tiny
from tests.support.tiny_sweep import plan_of, sweep_overrides

GRID = ("train.learning_rate=1e-3,3e-2", "train.train_batch_size=2,4", "train.num_train_epochs=3")


def train(config, resume, stop_rule):
    training.train(config, resume, stop_rule=stop_rule)


class Trainer:
    """Train with a real training, note which runs were trained, and fail or stop instead for some of them."""

    def __init__(self, errors=None):
        self.errors, self.trained = errors or {}, []

    def __call__(self, config, resume, stop_rule):
        name = config.output_dir.rpartition("/")[2]
        self.trained.append(name)
        if name in self.errors:
            raise self.errors[name]
        train(config, resume, stop_rule)


def finish(plan, trainer=train, **options):
    sweep = Sweep(plan, **options)
    sweep.train_all(trainer)
    sweep.train_winner(trainer)
    return sweep.write()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished sweep: its folder with its runs, and the text that it has printed."""
    folder = tmp_path_factory.mktemp("sweep")
    return folder, finish(plan_of(folder, *GRID))


def test_no_trial_is_scored_on_test_and_the_winner_is(done):
    folder = done[0] / "run"
    for number in range(1, 5):
        run = RunDirectory(folder / f"trial-{number}")
        results = run.results()
        assert set(results["metrics"]) == {"validation"} and "test" not in results["data"]
        assert results["before_training"] == {} and "test" not in results["baseline"]
        assert not list(run.path.glob("*-test.jsonl")) and all(event.get("split") != "test" for event in run.events())
        assert (run / "best").is_dir() and not (run / "last").exists()  # it needs no checkpoint to go on from
        assert results["seed"] == 2022
    results = RunDirectory(folder / "best").results()
    assert set(results["metrics"]) == {"validation", "test"} and results["seed"] == 2023


def test_a_task_that_draws_its_splits_trains_on_the_same_rows_without_test(tmp_path):
    """GPT-2's texts are split by the task. Without its test split, the other two stay as they are."""
    data = ["data.source=null", f"data.train={write_jsonl(tmp_path / 'texts.jsonl', [{'text': f'text {n}'} for n in range(20)])}"]
    config = load_config("gpt2_booksum", data, sample=True)
    whole = load_rows(config, find_task("causal_lm")(config))
    swept = [*data, "train.learning_rate=1e-3,2e-3", f"output_dir={tmp_path / 'run'}"]
    trial = make_plan(lambda values: load_config("gpt2_booksum", values, True), swept).config(1, {"train.learning_rate": "1e-3"})
    rows = load_rows(trial, find_task("causal_lm")(trial))
    assert set(whole) == {"train", "validation", "test"} and set(rows) == {"train", "validation"}
    assert all(rows[split].fingerprint() == whole[split].fingerprint() for split in rows)


def test_the_winner_is_the_best_on_validation_and_the_tables_have_the_values(done):
    folder, text = done
    content = json.loads((folder / "run" / "results.json").read_text())
    scores = {n: RunDirectory(folder / "run" / f"trial-{n}").results()["metrics"]["validation"] for n in range(1, 5)}
    winner = max(scores, key=lambda number: (scores[number]["accuracy"], -scores[number]["loss"]))
    tied = [n for n in scores if n != winner and scores[n]["accuracy"] == scores[winner]["accuracy"]]
    assert content["status"] == "finished" and content["chosen"] == {"trial": winner, "of": 4, "tied": tied}
    assert [trial["value"] for trial in content["trials"]] == [scores[number]["accuracy"] for number in range(1, 5)]
    assert [trial["settings"]["train.train_batch_size"] for trial in content["trials"]] == ["2", "4", "2", "4"]
    chosen = RunDirectory(folder / "run" / "best")
    assert (
        f"learning_rate: {float(content['trials'][winner - 1]['settings']['train.learning_rate'])}"
        in (chosen / "config.yaml").read_text()
    )
    test = chosen.results()["metrics"]["test"]["accuracy"]
    assert content["best"]["metrics"]["test"]["accuracy"] == test
    lines = text.splitlines()
    assert f"Trial {winner} has the best accuracy on validation of 4 trials" in text
    assert any(line.split()[:2] == ["trial", f"{winner},"] and line.endswith("not scored") for line in lines)
    assert any(line.startswith("  trained again, seed 2023") and f"{test:.2f}" in line for line in lines)
    first = lines[next(n for n, line in enumerate(lines) if "train.learning_rate" in line and "best step" in line) + 1]
    assert first.startswith(f"  {winner} (chosen)") and f"{scores[winner]['accuracy']:.2f}" in first and first.endswith("finished")
    html, markdown = ((folder / "run" / name).read_text() for name in ("report.html", "sweep.md"))
    assert f"| {winner} (chosen) |" in markdown and html.count("<img") == 3


def test_a_second_call_trains_nothing_and_scores_nothing(done, capsys):
    folder, text = done
    before = {path: path.stat().st_mtime_ns for path in (folder / "run").glob("*/results.json")}
    sweep = Sweep(plan_of(folder, *GRID))
    assert sweep.is_done() and sweep.write() == text
    assert {path: path.stat().st_mtime_ns for path in (folder / "run").glob("*/results.json")} == before and len(before) == 5
    assert main(["sweep", "--config", "distilbert_sst2", *sweep_overrides(folder, *GRID)]) == 0
    assert capsys.readouterr().out == f"{text}\n\nreport   {folder / 'run' / 'report.html'}\n"
    with pytest.raises(UserError, match=r"and has chosen its winner:\n  train.weight_decay: 0.01 then, 0.5 now"):
        Sweep(plan_of(folder, *GRID, "train.weight_decay=0.5"))


def test_the_page_of_a_sample_says_so(tmp_path):
    folder = f"output_dir={tmp_path / 'run'}"
    plan = make_plan(lambda values: load_config("distilbert_sst2", values, sample=True), [folder, "train.learning_rate=1e-3,1e-2"])
    Sweep(plan).write()
    assert "> A sample: a small model and little data. It shows that" in (tmp_path / "run" / "sweep.md").read_text()


def test_what_was_stopped_goes_on_and_what_has_ended_is_not_trained_again(tmp_path):
    trainer = Trainer({"trial-2": Interrupted(2)})
    with pytest.raises(Interrupted):
        finish(plan_of(tmp_path, *GRID[:1]), trainer)
    assert trainer.trained == ["trial-1", "trial-2"]
    text = finish(plan_of(tmp_path, *GRID[:1]), trainer := Trainer())
    assert trainer.trained == ["trial-2", "best"] and "a sweep of 2 trials" in text


def test_trials_that_fail_do_not_stop_the_others_and_are_tried_again_or_left_out(tmp_path):
    grid = ("train.learning_rate=1e-3,2e-3,3e-3",)
    error = UserError("the loss is not finite\nmore about it")
    sweep = Sweep(plan_of(tmp_path, *grid))
    sweep.train_all(trainer := Trainer({"trial-1": error, "trial-3": ZeroDivisionError("division")}))
    assert trainer.trained == ["trial-1", "trial-2", "trial-3"]
    with pytest.raises(UserError) as caught:
        sweep.choose()
    logs = tmp_path / "run" / "logs"
    assert str(caught.value).splitlines() == [
        "2 of 3 trials have failed, so no winner is chosen yet. The same command tries them again; with --without-failed it chooses"
        " among the others:",
        f"  trial 1: the loss is not finite ({logs / 'trial-1.log'})",
        f"  trial 3: division ({logs / 'trial-3.log'})",
    ]
    assert (logs / "trial-1.log").read_text() == "error: the loss is not finite\nmore about it\n"
    assert "Traceback" in (logs / "trial-3.log").read_text()
    assert "Trial 1 has failed: the loss is not finite" in (tmp_path / "run" / "sweep.md").read_text()

    again = Sweep(plan_of(tmp_path, *grid))
    again.train_all(trainer := Trainer({"trial-1": error}))
    assert trainer.trained == ["trial-1", "trial-3"]
    text = finish(plan_of(tmp_path, *grid), trainer := Trainer(), without_failed=True)
    assert trainer.trained == ["best"] and "2 finished, 1 failed" in text


def test_the_log_and_the_page_of_a_failed_trial_have_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    sweep = Sweep(plan_of(tmp_path, *GRID[:1]), without_failed=True)
    sweep.train_all(Trainer({"trial-1": UserError("the key hf_0123456789"), "trial-2": ValueError("the key hf_0123456789")}))
    texts = [
        path.read_text(encoding="utf-8")
        for path in (tmp_path / "run").rglob("*")
        if path.suffix in (".log", ".json", ".md", ".html")
    ]
    assert len(texts) >= 5 and not any("hf_0123456789" in text for text in texts)
    assert "the key [HF_TOKEN]" in (tmp_path / "run/logs/trial-2.log").read_text()


def test_if_all_trials_fail_nothing_is_chosen(tmp_path):
    sweep = Sweep(plan_of(tmp_path, *GRID[:1]), without_failed=True)
    sweep.train_all(Trainer({f"trial-{number}": UserError("no memory") for number in (1, 2)}))
    with pytest.raises(UserError, match=r"all 2 trials have failed; the same command tries them again:\n  trial 1: no memory"):
        sweep.choose()


def test_a_trial_without_a_finite_score_has_failed_also_when_it_is_found_finished(tmp_path):
    plan = plan_of(tmp_path, *GRID[:1])
    for number, value in ((1, float("inf")), (2, 80.0)):
        run = RunDirectory(plan.path(number))
        run.path.mkdir(parents=True)
        run.write_config(to_yaml(plan.config(number, plan.space.combinations()[number - 1])))
        run.write_results({"status": "finished", "metrics": {"validation": {"accuracy": value, "loss": 1.0}}})
    sweep = Sweep(plan)
    sweep.train_all(Trainer())
    with pytest.raises(UserError, match=r"1 of 2 trials has failed.*\n  trial 1: .*trial-1: accuracy on validation is inf"):
        sweep.choose()


def test_a_full_disk_stops_the_sweep(tmp_path):
    trainer = Trainer({"trial-1": WriteError("x: cannot be written: No space left on device.")})
    with pytest.raises(WriteError):
        Sweep(plan_of(tmp_path, *GRID[:1])).train_all(trainer)
    assert trainer.trained == ["trial-1"]


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path):
    plan = plan_of(tmp_path, *GRID)
    other = RunDirectory.open_for_training(str(plan.path(2)), resume=False, overwrite=False)
    with pytest.raises(UserError, match="another process is training in .*trial-2 right now"):
        Sweep(plan)
    other.release()


def test_a_search_with_pruning_ends_trials_at_an_evaluation(tmp_path):
    """The fourth trial has a learning rate of nearly 0. It stays at the loss of the start, which the others have left."""
    settings = ("train.learning_rate=uniform(0.02,0.03)", "train.num_train_epochs=4", "eval.best_metric=loss")
    plan = plan_of(tmp_path, *settings, trials=4, prune=True)
    trained = []

    def train_slowly_at_last(config, resume, stop_rule):
        trained.append(config.output_dir.rpartition("/")[2])
        if trained[-1] == "trial-4":
            config.train.learning_rate = 1e-9
        train(config, resume, stop_rule)

    text = finish(plan, train_slowly_at_last)
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    last = content["trials"][3]
    assert trained == ["trial-1", "trial-2", "trial-3", "trial-4", "best"]
    assert [trial["state"] for trial in content["trials"]] == [FINISHED] * 3 + [PRUNED] and last["steps"] in (2, 4, 6)
    assert f"pruned at step {last['steps']}" in text and content["chosen"]["trial"] != 4
    assert set(content["importance"]) == {"train.learning_rate"}
    results = RunDirectory(tmp_path / "run" / "trial-4").results()
    assert results["train"]["stopped_early"] and set(results["metrics"]) == {"validation"}


def test_a_stop_rule_is_asked_after_each_evaluation_and_not_obeyed_after_the_last(tmp_path):
    asked = []

    def stop_at(last):
        return lambda step, share, value: asked.append((step, share, value)) or ("enough" if step >= last else "")

    settings = ("train.num_train_epochs=3",)
    run = train_tiny(tmp_path / "a", ROWS, "distilbert", *settings, stop_rule=stop_at(4))
    results = run.results()
    values = [
        event["accuracy"] for event in run.events() if event["event"] == "eval" and event["step"] and event["split"] == "validation"
    ]
    assert asked == [(2, pytest.approx(1 / 3), values[0]), (4, pytest.approx(2 / 3), values[1])]
    assert results["train"]["steps"] == 4 and results["train"]["stopped_early"] and results["status"] == "finished"
    whole = train_tiny(tmp_path / "b", ROWS, "distilbert", *settings, stop_rule=stop_at(6)).results()
    assert whole["train"]["steps"] == 6 and not whole["train"]["stopped_early"] and asked[-1][:2] == (6, 1.0)


# ---------------------------------------------------------------------------------------------------- figures
def trial(number, value, state=FINISHED, loss=0.5, interval=None, **settings):
    return Trial(number, {key: str(entry) for key, entry in settings.items()}, None, state, value, interval, loss)


def test_trials_are_ranked_and_the_best_that_was_trained_to_its_end_is_chosen():
    trials = [
        trial(1, 80.0),
        trial(2, 90.0, PRUNED),
        trial(3, 85.0),
        trial(4, None, FAILED),
        trial(5, 85.0, loss=0.4),
        trial(6, None, WAITING),
    ]
    assert [one.number for one in ranked("accuracy", trials)] == [5, 3, 1, 2, 4, 6]
    assert [one.number for one in ranked("perplexity", trials)] == [1, 5, 3, 2, 4, 6]
    assert choose("accuracy", trials).number == 5 and choose("perplexity", trials).number == 1
    assert choose("accuracy", [trials[1], trials[3]]) is None


def test_a_tie_is_called_one_with_what_decides_it():
    trials = [trial(1, 80.0), trial(2, 85.0), trial(3, 85.0), trial(4, 85.0, PRUNED), trial(5, None, WAITING)]
    assert describe_tie("accuracy", trials[1], trials) == (
        "Trial 3 has the same accuracy as trial 2: a tie, in which the first is taken."
    )
    trials[4] = trial(5, 85.0, loss=0.4)
    assert choose("accuracy", trials).number == 5 and describe_tie("accuracy", trials[4], trials) == (
        "Trials 2, 3 have the same accuracy as trial 5: a tie, in which the one with the lowest loss is taken."
    )
    trials[0] = trial(1, 85.0, loss=0.4)
    assert choose("accuracy", trials).number == 1 and describe_tie("accuracy", trials[0], trials) == (
        "Trials 2, 3, 5 have the same accuracy as trial 1: a tie, in which the first of those with the lowest loss is taken."
    )
    assert describe_tie("accuracy", trial(6, 90.0), trials) == ""


def test_a_tie_is_said_on_the_page_and_when_the_winner_is_trained(tmp_path, capsys):
    """Without a step that changes weights, all trials are the same."""
    text = finish(plan_of(tmp_path, "train.learning_rate=1e-30,2e-30", "train.num_train_epochs=1"))
    said = "Trial 2 has the same accuracy as trial 1: a tie, in which the first is taken."
    assert said in " ".join(text.split()) and said in capsys.readouterr().err
    assert said in (tmp_path / "run" / "sweep.md").read_text() and said in (tmp_path / "run" / "report.html").read_text()
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    assert content["chosen"] == {"trial": 1, "of": 2, "tied": [2]}
    assert re.search(r"  time +state$", text, re.MULTILINE)
    assert all(f"  {trial['seconds']:.1f} s  finished" in text for trial in content["trials"])


def test_how_many_others_the_interval_does_not_tell_apart():
    chosen = trial(1, 85.0, interval=[83.0, 87.0])
    others = [trial(2, 84.0), trial(3, 82.9), trial(4, 84.0, PRUNED), trial(5, 83.0)]
    assert not_told_apart(chosen, [chosen, *others]) == 2 and not_told_apart(trial(1, 85.0), others) is None


def test_what_a_setting_explains_in_a_grid():
    """a moves the value by 2, b by 4 and nothing else: variances 1 and 4 of 5."""
    trials = [trial(1, 10.0, a=1, b=1), trial(2, 14.0, a=1, b=2), trial(3, 12.0, a=2, b=1), trial(4, 16.0, a=2, b=2)]
    assert explained(trials) == {"a": pytest.approx(0.2), "b": pytest.approx(0.8)}
    crossed = [trial(1, 1.0, a=1, b=1), trial(2, 0.0, a=1, b=2), trial(3, 0.0, a=2, b=1), trial(4, 1.0, a=2, b=2)]
    assert explained(crossed) == {"a": 0, "b": 0}
    assert explained([trial(n, 1.0, a=n) for n in range(4)]) == {} and explained(trials[:2]) == {}


# ---------------------------------------------------------------------------------------------------- processes
def command(tmp_path, *more):
    settings = sweep_overrides(tmp_path, "train.num_train_epochs=40", "train.save_steps=20")
    return [sys.executable, "-m", "paddle_ft", "sweep", "--config", "distilbert_sst2", *settings, *more]


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_and_trains_no_trial_again(tmp_path):
    whole = command(tmp_path, "train.learning_rate=log(1e-4,1e-2)", "--trials", "3", "--prune")
    runs = [RunDirectory(tmp_path / "run" / f"trial-{number}") for number in (1, 2)]
    run_until_a_checkpoint(whole, runs[1].path)
    assert runs[0].is_finished() and not runs[1].is_finished()
    before, settings = (runs[0] / "results.json").stat().st_mtime_ns, (runs[1] / "config.yaml").read_text()
    done = subprocess.run(whole, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "already finished" in done.stderr and "resuming at step" in done.stderr
    assert (runs[0] / "results.json").stat().st_mtime_ns == before and (runs[1] / "config.yaml").read_text() == settings
    assert "a sweep of 3 trials" in done.stdout and RunDirectory(tmp_path / "run" / "best").is_finished()


@pytest.mark.slow
def test_trials_on_two_devices_share_the_pruner_and_one_that_fails_is_named(tmp_path):
    grid = command(tmp_path, "train.learning_rate=1e-3,1e-8,2e-3,2e-8", "eval.best_metric=loss", "--prune", "--devices", "cpu:2")
    blocked = tmp_path / "run" / "trial-3"
    blocked.mkdir(parents=True)
    (blocked / "mine.txt").write_text("a file of the user")
    done = subprocess.run(grid, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "1 of 4 trials has failed" in done.stderr and "trial-3 already contains files" in done.stderr
    (blocked / "mine.txt").unlink()
    again = subprocess.run(grid, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    content = json.loads((tmp_path / "run" / "results.json").read_text())
    states = [trial["state"] for trial in content["trials"]]
    assert states[3] == PRUNED and states.count(FINISHED) >= 1 and content["chosen"]["trial"] in (1, 3)
    assert all("test" not in RunDirectory(tmp_path / "run" / f"trial-{n}").results()["metrics"] for n in range(1, 5))
