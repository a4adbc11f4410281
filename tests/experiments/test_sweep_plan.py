"""Test what a sweep tries: lists and ranges of the command line, the trials, and what is refused before anything is trained."""

import json
import subprocess
import sys

import pytest

from paddle_ft.cli import main
from paddle_ft.config.load import load_config
from paddle_ft.experiments.sweep_plan import make_plan
from paddle_ft.experiments.sweep_space import Choices, Range, parse_space, short_value, split_values
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from tests.support.tiny_sweep import plan_of


@pytest.mark.parametrize(("text", "values"), [
    ("1e-5,2e-5", ["1e-5", "2e-5"]),
    ("[1, 2], [3]", ["[1, 2]", "[3]"]),
    ("{a: 1, b: 'x,y'},null", ["{a: 1, b: 'x,y'}", "null"]),
    ("\"a,b\",'c,d'", ['"a,b"', "'c,d'"]),
    ("it's,all", ["it's", "all"]),
    ("log(1,2)", ["log(1,2)"]),
    ("1,", ["1", ""]),
    ("", [""]),
])  # fmt: skip
def test_commas_in_brackets_and_quotes_do_not_split(text, values):
    assert split_values(text) == values


def test_one_value_is_for_all_trials_and_the_last_key_changes_fastest():
    space = parse_space(["train.train_batch_size=16,32", "seed=7", "train.learning_rate=1e-5,2e-5", "data.columns={a: x, b: y}"])
    assert space.fixed == ["seed=7", "data.columns={a: x, b: y}"] and space.is_grid
    assert space.parameters == [Choices("train.learning_rate", ("1e-5", "2e-5")), Choices("train.train_batch_size", ("16", "32"))]
    assert [list(values.values()) for values in space.combinations()] == [
        ["1e-5", "16"],
        ["1e-5", "32"],
        ["2e-5", "16"],
        ["2e-5", "32"],
    ]


def test_ranges():
    space = parse_space(["a.b=log(1e-5,1e-3)", "a.c=int(1, 4)", "a.d=uniform(-1,0.5)", "a.e=x,y"])
    assert space.parameters == [
        Range("a.b", "log", 1e-5, 1e-3), Range("a.c", "int", 1, 4), Range("a.d", "uniform", -1, 0.5), Choices("a.e", ("x", "y")),
    ]  # fmt: skip
    assert not space.is_grid and str(space.parameters[0]) == "log(1e-05, 0.001)"


@pytest.mark.parametrize(("given", "message"), [
    (["a.b=1"], "nothing varies: a sweep needs at least one setting with several values"),
    ([], "nothing varies"),
    (["a.c=1", "a.b="], "a.b=: the value is empty, so nothing varies. Write several values with commas between them, such as"
     " a.b=A,B, or a range, such as a.b=log(1e-5,1e-3)."),
    (["a.b= "], "a.b=: the value is empty"),
    (["="], "'=': an override looks like section.key=value"),
    (["a.b=1,"], "a.b=1,: a value of the list is empty; write null if that is meant."),
    (["a.b=,"], "a.b=,: a value of the list is empty"),
    (["a.b=1e-5,0.00001"], "a.b=1e-5,0.00001: 0.00001 is there twice."),
    (["a.b=1,2", "a.b=3"], "a.b: it is named twice; give all of its values in one list: a.b=A,B."),
    (["a.b=1,2", "a.b=log(1,2)"], "a.b: it is named twice"),
    (["a.b=log(1,2"], "a.b=log(1,2: this is not a complete range; one looks like log(1e-5,1e-3)."),
    (["a.b=lgo(1,2)"], "a.b=lgo(1,2): there is no range lgo. Did you mean log? Ranges: log(1e-5,1e-3), uniform(0,0.3), int(1,4)"),
    (["a.b=log(0,1)"], "the numbers of log(...) must be above 0"),
    (["a.b=uniform(2,1)"], "the first number must be below the second one"),
    (["a.b=uniform(1)"], "a range has two numbers, such as uniform(0,0.3)"),
    (["a.b=log(a,b)"], "a range has two numbers"),
    (["a.b=int(1,2.5)"], "a range has two whole numbers, such as int(1,4)"),
    (["a.b=log(1,2),3"], "a range such as log(1, 2) stands alone, not in a list"),
    (["seed=1,2,3"], "seed: this setting cannot be swept: the best of several seeds is luck"),
    (["data.validation=a.tsv,b.tsv"], "data.validation: this setting cannot be swept: trials would not be scored on the same rows"),
    (["data.test=a.tsv,b.tsv"], "trials are not scored on test at all"),
    (["a.b"], "'a.b': an override looks like section.key=value"),
])  # fmt: skip
def test_a_space_that_is_wrong_is_refused(given, message):
    with pytest.raises(UserError) as caught:
        parse_space(given)
    assert message in str(caught.value)


def test_a_list_replaces_an_earlier_single_value():
    assert parse_space(["a.b=3", "a.c=4", "a.b=1,2"]).fixed == ["a.c=4"]


def test_beside_a_setting_that_varies_an_empty_value_is_null_as_elsewhere():
    assert parse_space(["data.source=", "a.b=1,2"]).fixed == ["data.source="]


def test_true_is_not_one():
    assert parse_space(["a.b=true,1"]).parameters == [Choices("a.b", ("true", "1"))]


def test_drawn_values_are_shown_with_three_digits_and_written_ones_as_they_are():
    assert [short_value(value) for value in ("3.4829934257e-05", "1e-5", "5", "first_token")] == [
        "3.48e-05",
        "1e-5",
        "5",
        "first_token",
    ]


# ---------------------------------------------------------------------------------------------------- the plan
def test_trials_have_no_test_split_and_the_winner_has_it_and_another_seed(tmp_path):
    plan = plan_of(tmp_path, "train.learning_rate=1e-3,2e-3", "seed=7")
    trial, winner = plan.config(2, {"train.learning_rate": "2e-3"}), plan.winner_config({"train.learning_rate": "2e-3"})
    assert plan.count == 2 and plan.metric == "accuracy" and not plan.needs_study
    assert (trial.data.test, trial.eval.before_training, trial.seed) == ("none", False, 7)
    assert trial.output_dir == str(tmp_path / "run" / "trial-2") and trial.train.learning_rate == 2e-3
    assert (winner.data.test, winner.eval.before_training, winner.seed) == (str(tmp_path / "test.jsonl"), True, 8)
    assert winner.output_dir == str(tmp_path / "run" / "best") and winner.train.learning_rate == 2e-3


def test_the_default_folder_is_next_to_the_recipes_own_run():
    plan = make_plan(lambda values: load_config("distilbert_sst2", values), ["train.learning_rate=1e-5,2e-5"])
    assert str(plan.folder) == "runs/distilbert_sst2_sweep"


@pytest.mark.parametrize(("settings", "options", "message"), [
    (["train.learning_rat=1,2"], {}, "train.learning_rat: there is no such key (command line: train.learning_rat=1). Did"),
    (["train.learning_rate=1e-3,fast"], {}, "train.learning_rate: 'fast' is not allowed (command line: train.learning_rate=fast)"),
    (["train.train_batch_size=uniform(2,4)"], {"trials": 3}, "train.train_batch_size=uniform(2, 4): the range has values"),
    (["train.weight_decay=uniform(-1,0)"], {"trials": 3}, "train.weight_decay=uniform(-1, 0): the range has values"),
    (["train.weight_decay=uniform(0,1)"], {}, "--trials is missing: say how many values of train.weight_decay=uniform(0, 1)"),
    (["train.weight_decay=0,1"], {"trials": 3}, "--trials is for ranges such as"),
    (["train.weight_decay=uniform(0,1)"], {"trials": 1}, "--trials 1: it must be at least 2."),
    (["train.learning_rate=1,2", "data.validation=none"], {}, "data.validation: there is no validation split, by which"),
    (["train.learning_rate=1,2", "data.validation=null"], {}, "data.validation: there is no validation split, by which"),
    (["train.learning_rate=1,2", "data.validation=a.tsv", "data.test=a.tsv"], {}, "data.test: it is the same as data.validation"),
    (["train.learning_rate=1,2", "eval.best_metric=tokens"], {}, "eval.best_metric: tokens is a count"),
    (["train.learning_rate=1,2,3", "train.weight_decay=0,1"], {"max_trials": 5}, "6 combinations (3 x 2) are more than"),
])  # fmt: skip
def test_a_plan_that_cannot_work_is_refused(tmp_path, settings, options, message):
    with pytest.raises(UserError) as caught:
        plan_of(tmp_path, *settings, **options)
    assert message in str(caught.value)


def test_values_that_do_not_go_together_are_refused(tmp_path):
    with pytest.raises(UserError, match="compile and recompute cannot be combined"):
        plan_of(tmp_path, "train.compile=false,true", "train.recompute=false,true")


def test_too_many_combinations_are_refused_with_the_time_that_they_take(tmp_path):
    run = RunDirectory(tmp_path / "run" / "trial-1")
    run.path.mkdir(parents=True)
    run.write_results({"status": "finished", "train": {"seconds": 90.0}, "metrics": {}})
    with pytest.raises(
        UserError, match=r"4 combinations \(2 x 2\) .* their training takes about 6 min 0 s, by the 1 min 30 s of .*trial-1"
    ):
        plan_of(tmp_path, "train.learning_rate=1,2", "train.weight_decay=0,1", max_trials=3)


def test_a_run_is_no_folder_for_trials(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    with pytest.raises(UserError, match="is a run itself; name a folder for all trials with output_dir=ANOTHER"):
        plan_of(tmp_path, "train.learning_rate=1,2")


def test_another_sweep_in_the_folder_is_refused_with_what_differs(tmp_path):
    plan_of(tmp_path, "train.learning_rate=1,2").save()
    plan_of(tmp_path, "train.learning_rate=1,2", "train.logging_steps=3").restore()  # this changes no result
    with pytest.raises(UserError) as caught:
        plan_of(tmp_path, "train.learning_rate=1,3", "train.weight_decay=0.5", prune=True).restore()
    lines = str(caught.value).splitlines()
    assert lines[1:4] == [
        "  train.learning_rate: 1, 2 then, 1, 3 now", "  train.weight_decay: 0.01 then, 0.5 now", "  --prune: False then, True now",
    ]  # fmt: skip
    assert lines[-1] == "Give the same command as then, or another folder with output_dir=ANOTHER."


def test_a_search_may_get_more_trials_until_its_winner_is_chosen(tmp_path):
    plan_of(tmp_path, "train.weight_decay=uniform(0,1)", trials=4).save()
    more = plan_of(tmp_path, "train.weight_decay=uniform(0,1)", trials=6)
    more.restore()
    with pytest.raises(UserError, match="trials: 4 then, 3 now"):
        plan_of(tmp_path, "train.weight_decay=uniform(0,1)", trials=3).restore()
    more.winner = 2
    more.save()
    with pytest.raises(UserError, match="and has chosen its winner:\n  trials: 6 then, 8 now"):
        plan_of(tmp_path, "train.weight_decay=uniform(0,1)", trials=8).restore()
    again = plan_of(tmp_path, "train.weight_decay=uniform(0,1)", trials=6)
    again.restore()
    assert again.winner == 2 and json.loads((tmp_path / "run" / "sweep.json").read_text())["metric"] == "accuracy"


def test_errors_of_use_exit_with_2_and_name_the_flag(capsys):
    assert main(["sweep", "--config", "distilbert_sst2", "--max-trials", "1", "train.learning_rate=1,2"]) == 2
    assert "--max-trials 1: it must be at least 2." in capsys.readouterr().err
    assert main(["sweep", "--config", "distilbert_sst2", "--devices", "cpu:x", "train.learning_rate=1,2"]) == 2
    assert "--devices cpu:x: give GPU numbers" in capsys.readouterr().err
    assert main(["sweep", "--config", "distilbert_sst2", "data.source=null", "data.train=no.tsv", "data.validation=no.tsv",
                 "train.learning_rate=1,2"]) == 2  # fmt: skip
    assert "data.train: no.tsv: no such file" in capsys.readouterr().err


def test_paddle_and_optuna_are_not_imported_for_errors_of_use():
    code = (
        "import sys; from paddle_ft.cli import main;"
        " code = main(['sweep', '--config', 'bert_sst2', 'train.learning_rate=1e-5,2e-5', 'train.weight_decay=uniform(0,1)']);"
        " print(code, [name for name in ('paddle', 'optuna', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "2 []\n" and "--trials is missing" in done.stderr
