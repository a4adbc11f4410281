"""Test --resume with another length: what it lengthens, what it refuses and advises, and a run that is finished already."""

import json
import shlex
import shutil

import pytest

import paddle_ft
from paddle_ft import cli
from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.settings import describe_finished, is_finished, refuse_other_config
from paddle_ft.system.errors import UserError
from paddle_ft.training import optim
from paddle_ft.training import run as training_run
from tests.support import tiny_classification, tiny_runs
from tests.support.processes import computed_events
from tests.support.tiny_runs import PLAIN, overrides, read_weights, train

CONSTANT = (*PLAIN, "train.lr_scheduler_type=constant_with_warmup", "train.warmup_steps=3", "model.config.dropout=0.1")


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    """Return the folder of a finished run of two epochs with a constant learning rate."""
    folder = tmp_path_factory.mktemp("two")
    train(folder, *CONSTANT, "train.num_train_epochs=2")
    return folder


@pytest.mark.parametrize("longer", ["train.num_train_epochs=4", "train.max_steps=7"])
def test_a_constant_rate_is_lengthened_to_what_was_planned_so_from_the_start(two_epochs, tmp_path, capsys, longer):
    train(tmp_path / "planned", *CONSTANT, longer)
    shutil.copytree(two_epochs / "run", tmp_path / "grown" / "run")
    capsys.readouterr()
    config = str(tmp_path / "grown" / "run" / "config.yaml")
    assert cli.main(["train", "--config", config, "--resume", longer, f"output_dir={tmp_path / 'grown' / 'run'}"]) == 0
    name, value = longer.split("=")
    said = f"{longer} since the run was resumed after 4 steps: the training is longer than planned at first"
    assert f"decision: {said}\n" in capsys.readouterr().err
    planned, grown = (tmp_path / folder / "run" for folder in ("planned", "grown"))
    for part in ("last", "best"):
        assert read_weights(grown / part) == read_weights(planned / part)
    assert computed_events(grown) == computed_events(planned)
    results = json.loads((grown / "results.json").read_text())
    assert results["status"] == "finished" and results["decisions"][1:] == [said]
    assert results["metrics"] == json.loads((planned / "results.json").read_text())["metrics"]
    assert load_config(config).model_dump()["train"][name.removeprefix("train.")] == float(value)


def test_a_run_that_was_lengthened_and_stopped_goes_on_to_its_new_length(two_epochs, tmp_path, monkeypatch):
    from paddle_ft.training.loop import TrainLoop

    train(tmp_path / "planned", *CONSTANT, "train.num_train_epochs=3")
    run = RunDirectory(shutil.copytree(two_epochs / "run", tmp_path / "run"))

    longer = ["train.num_train_epochs=3", f"output_dir={run.path}"]

    def stop(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainLoop, "fit", stop)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(load_config(str(run / "config.yaml"), longer), resume=True)
    assert not run.is_finished() and "metrics" not in run.results()
    training_run.train(load_config(str(run / "config.yaml")), resume=True)
    assert run.is_finished() and read_weights(run / "last") == read_weights(tmp_path / "planned" / "run" / "last")


LENGTHS = [
    # schedule, steps trained -> whether the steps depend on the length
    (("train.warmup_steps=3", "train.lr_scheduler_type=constant_with_warmup"), 40, False),
    (("train.warmup_proportion=0.0", "train.lr_scheduler_type=constant_with_warmup"), 40, False),
    (("train.warmup_proportion=0.1", "train.lr_scheduler_type=constant_with_warmup"), 40, True),
    (("train.warmup_steps=3",), 5, True),
    (("train.warmup_steps=3",), 4, False),  # the rates of the steps 0 to 3, and 3 is the peak
    (("train.warmup_proportion=0.1",), 1, True),
    (("train.warmup_proportion=0.1",), 0, False),
]


@pytest.mark.parametrize(("schedule", "steps", "depends"), LENGTHS)
def test_what_depends_on_the_length_is_what_the_schedule_says(tmp_path, schedule, steps, depends):
    short, long = (load_config("bart_lcsts", overrides(tmp_path, *schedule, f"train.max_steps={n}")).train for n in (50, 90))
    rates = [
        [optim.learning_rate(step, 1.0, optim.warmup_steps(plan, n), n, plan.lr_scheduler_type) for step in range(steps)]
        for plan, n in ((short, 50), (long, 90))
    ]
    assert (rates[0] != rates[1]) == (depends and steps > 1)  # the first step's rate is 0 or the peak, but this is not relied on
    run = paddle_ft_run(tmp_path, schedule, steps)
    config = load_config("bart_lcsts", overrides(tmp_path, *schedule, "train.max_steps=90"))
    if depends:
        with pytest.raises(UserError, match="train.max_steps: 50 then, 90 now"):
            refuse_other_config(config, run)
    else:
        assert refuse_other_config(config, run) is True


def paddle_ft_run(folder, schedule, steps):
    """Return the directory of a run of 50 steps, of which some are trained. It has no weights."""
    run = RunDirectory(folder / "run")
    (run / "last" / "trainer").mkdir(parents=True)
    run.write_config(to_yaml(load_config("bart_lcsts", overrides(folder, *schedule, "train.max_steps=50"))))
    if steps:
        (run / "last" / "trainer" / "state.json").write_text(json.dumps({"step": steps}))
    return run


def test_fewer_steps_than_there_are_are_refused(tmp_path, two_epochs):
    with pytest.raises(UserError, match="--resume: the run has 4 steps already, more than the 2 that it is to have now"):
        train(two_epochs, *CONSTANT, "train.num_train_epochs=1", resume=True)


@pytest.mark.parametrize("task", ["seq2seq", "classification"])
def test_a_falling_rate_is_refused_with_a_command_that_works(tmp_path, capsys, task):
    if task == "seq2seq":
        run = tiny_runs.train(tmp_path, *PLAIN, "train.num_train_epochs=2")
    else:
        run = tiny_classification.train(tmp_path, tiny_classification.ROWS, "distilbert", "eval.before_training=false")
    capsys.readouterr()
    assert cli.main(["train", "--config", str(run / "config.yaml"), "--resume", "train.num_train_epochs=5"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(
        "error: --resume: train.num_train_epochs: 2 then, 5 now: the learning rate of the 4 steps in"
        f" {run.path} followed the length that was planned then. A new run goes on from its model: python train.py --config"
    )
    command = message.split("from its model: ")[1].splitlines()[0]
    assert command.endswith("model.config=null") or command.endswith("model.new_vocabulary=null")
    program, script, *arguments = shlex.split(command)
    assert (program, script) == ("python", "train.py") and "train.num_train_epochs=3" in arguments
    assert cli.main(["train", *arguments, "train.max_steps=1"]) == 0
    results = json.loads((tmp_path / "run-more" / "results.json").read_text())
    assert results["status"] == "finished" and not any("anew" in text for text in results["decisions"])


def test_steps_are_refused_with_a_command_for_the_rest(tmp_path):
    run = paddle_ft_run(tmp_path, (), 50)
    config = load_config("bart_lcsts", overrides(tmp_path, "train.max_steps=80"))
    with pytest.raises(UserError, match=r"train.max_steps: 50 then, 80 now: .*-more train.max_steps=30 model.config=null"):
        refuse_other_config(config, run)
    config = load_config("bart_lcsts", overrides(tmp_path, "train.max_steps=-1", "train.num_train_epochs=9"))
    with pytest.raises(UserError, match=r"epochs: 3 then, 9 now, train.max_steps: 50 then, -1 now.* train.max_steps=-1 model"):
        refuse_other_config(config, run)


def test_a_finished_run_says_so_in_one_line_before_anything_is_loaded(two_epochs, capsys):
    run = two_epochs / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert cli.main(["train", "--config", str(run / "config.yaml"), "--resume"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == (
        f"{run}: this training is finished already, after 4 steps; there is nothing to resume. --resume train.num_train_epochs=N"
        f" makes it longer. A new run goes on from its model: python train.py --config {run}/config.yaml"
        f" model.pretrained={run}/best output_dir={run}-more model.config=null\n"
    )
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
    assert paddle_ft.train(str(run / "config.yaml"), resume=True).path == run
    assert "there is nothing to resume" in capsys.readouterr().err


def test_a_finished_run_with_another_evaluation_is_scored_again(tmp_path, capsys):
    run = train(tmp_path, *PLAIN, "train.max_steps=1")
    config = load_config(str(run / "config.yaml"), ["eval.bootstrap_samples=200"])
    assert not is_finished(config, run) and is_finished(load_config(str(run / "config.yaml")), run)
    training_run.train(config, resume=True)
    assert "this training is finished already, after 1 steps; only its scores are computed again." in capsys.readouterr().err
    assert "makes it longer" not in describe_finished(config, run)  # its warm-up is a share of its length


def test_a_run_that_was_stopped_in_its_report_or_card_is_not_finished(two_epochs, tmp_path):
    run = RunDirectory(shutil.copytree(two_epochs / "run", tmp_path / "run"))
    config = load_config(str(run / "config.yaml"))
    for name in ("report.html", "best/README.md"):
        assert is_finished(config, run)
        content = (run / name).read_bytes()
        (run / name).unlink()
        assert not is_finished(config, run), name
        (run / name).write_bytes(content)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["train.warmup_steps=8", "train.max_steps=4", "train.learning_rate=0.008"], "the warm-up of 8 steps is not shorter than"
         " the training of 4: the learning rate reaches 0.003 at most, and not train.learning_rate=0.008"),
        (["train.warmup_steps=4", "train.max_steps=4"], "the warm-up of 4 steps is not shorter than the training of 4"),
        (["train.warmup_steps=3", "train.max_steps=4"], None),
        (["train.warmup_proportion=0.99", "train.max_steps=4"], None),
    ],
)  # fmt: skip
def test_a_warm_up_that_is_not_shorter_than_the_training_is_said(tmp_path, capsys, settings, said):
    config = load_config("bart_lcsts", overrides(tmp_path, *PLAIN, *settings))
    _, *decisions = training_run.train(config).results()["decisions"]  # the first one is about the new tokenizer
    assert len(decisions) == bool(said) and all(text.startswith(f"train.warmup_steps: {said}") for text in decisions)
    capsys.readouterr()
    training_run.check(load_config("bart_lcsts", overrides(tmp_path / "check", *PLAIN, *settings)))
    assert capsys.readouterr().err.count("decision: train.warmup_steps") == bool(said)


def test_a_warm_up_of_the_whole_training_is_refused_as_a_share(tmp_path):
    with pytest.raises(UserError, match="train.warmup_proportion: 1.0 is not allowed .*: must be less than 1"):
        load_config("bart_lcsts", overrides(tmp_path, "train.warmup_proportion=1.0"))
