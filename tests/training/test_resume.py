"""Test that stopped and killed runs resume to the same bits as an uninterrupted run, with real processes and signals."""

import os
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle_ft.config.load import load_config
from paddle_ft.runs.integrity import find_damage, write_directory
from paddle_ft.system.errors import UserError
from paddle_ft.training import checkpoint
from paddle_ft.training import run as training_run
from tests.support.prepared import PreparedProcess
from tests.support.processes import computed_events, resume_to_the_end, start_training, wait_for_step
from tests.support.tiny_runs import overrides

LENGTH = ("train.num_train_epochs=30", "train.save_steps=7", "eval.eval_steps=20", "eval.before_training=false",
          "train.gradient_accumulation_steps=1", "generation.num_beams=1")  # fmt: skip


def start(folder: Path, *flags: str) -> PreparedProcess:
    return start_training("--config", "bart_lcsts", *flags, *overrides(folder, *LENGTH))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return training_run.train(load_config("bart_lcsts", overrides(folder, *LENGTH))).path


@pytest.mark.parametrize(("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)])
def test_a_stopped_run_resumes_to_the_same_bits(tmp_path, uninterrupted, number, code):
    process = start(tmp_path)
    run = tmp_path / "run"
    wait_for_step(process, run, 11)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert f"resume with:\n  python train.py --config {run}/config.yaml --resume" in errors
    assert "Traceback" not in errors
    stopped_at = checkpoint.read_state(run / "last")["step"]
    assert 11 <= stopped_at < 60

    resume_to_the_end(run, stopped_at, 60)
    assert computed_events(run) == computed_events(uninterrupted)
    for name in ("best", "last"):
        assert (run / name / "model.safetensors").read_bytes() == (uninterrupted / name / "model.safetensors").read_bytes()
    optimizer = "last/trainer/optimizer.safetensors"
    assert (run / optimizer).read_bytes() == (uninterrupted / optimizer).read_bytes()


def test_a_killed_run_resumes_to_the_same_bits(tmp_path, uninterrupted):
    process = start(tmp_path)
    run = tmp_path / "run"
    wait_for_step(process, run, 17)
    process.kill()
    process.communicate()
    process = start(tmp_path, "--resume")
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert computed_events(run) == computed_events(uninterrupted)
    assert (run / "last/model.safetensors").read_bytes() == (uninterrupted / "last/model.safetensors").read_bytes()


def write_checkpoint(path: Path, text: str) -> None:
    write_directory(path, lambda folder: (folder / "weights").write_text(text))


def test_a_run_is_not_resumed_with_other_rows(tmp_path):
    run = training_run.train(load_config("bart_lcsts", overrides(tmp_path, "train.max_steps=2"))).path
    config = load_config(str(run / "config.yaml"))
    data = tmp_path / "pairs.tsv"
    content = data.read_text(encoding="utf-8")
    data.write_text(content.replace("北京晴", "北京雨"), encoding="utf-8")
    with pytest.raises(UserError, match=r"^--resume: the rows of train are not those that the run was started with \(fingerprint "):
        training_run.train(config, resume=True)
    data.write_text(content, encoding="utf-8")
    training_run.train(config, resume=True)


def test_a_run_that_has_lost_its_results_keeps_the_scores_before_training(tmp_path, capsys):
    """The model of the checkpoint is a trained one: the scores before the training come from the log."""
    config = load_config("bart_lcsts", overrides(tmp_path, "train.max_steps=2"))
    before = training_run.train(config).results()
    (tmp_path / "run" / "results.json").unlink()
    after = training_run.train(config, resume=True).results()
    assert f"{tmp_path}/run/results.json is not there any more and is made again" in capsys.readouterr().err
    assert before["before_training"]["test"]["loss"] != before["metrics"]["test"]["loss"]
    for name in ("before_training", "baseline", "metrics", "data", "best"):
        assert after[name] == before[name], name


def test_other_versions_are_said_and_kept(tmp_path, capsys):
    config = load_config("bart_lcsts", overrides(tmp_path, "train.max_steps=2"))
    run = training_run.train(config)
    results = run.results()
    now = results["versions"]["paddlepaddle"]
    run.write_results({**results, "versions": {**results["versions"], "paddlepaddle": "3.2.0", "python": "3.10.1"}})
    capsys.readouterr()
    note = f"the run was started with paddlepaddle 3.2.0, now {now}: its last digits may differ from those of a run in one piece"
    for _ in range(2):
        training_run.train(config, resume=True)
        assert capsys.readouterr().err.count(f"warning: {note}") == 1
        assert run.results()["decisions"].count(note) == 1
    assert note in (run / "report.html").read_text(encoding="utf-8")


def test_a_damaged_checkpoint_is_recognised_and_the_one_before_is_used(tmp_path, capsys):
    write_checkpoint(tmp_path / "last", "one")
    os.rename(tmp_path / "last", tmp_path / ".last.old")
    write_checkpoint(tmp_path / "keep", "two")
    os.rename(tmp_path / "keep", tmp_path / "last")
    assert checkpoint.newest_checkpoint(tmp_path) == tmp_path / "last"
    (tmp_path / "last" / "weights").write_text("tw0")
    assert checkpoint.newest_checkpoint(tmp_path) == tmp_path / ".last.old"
    assert "last is damaged (weights does not match its checksum) and is skipped" in capsys.readouterr().err
    (tmp_path / ".last.old" / "weights").unlink()
    with pytest.raises(checkpoint.UserError, match=r"all checkpoints in .* are damaged. Start again with --overwrite"):
        checkpoint.newest_checkpoint(tmp_path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path):
    write_checkpoint(tmp_path / "last", "one")

    def full_disk(folder: Path):
        (folder / "weights").write_text("half")
        save_file({"a": np.zeros(4)}, str(folder / "absent" / "weights"))  # safetensors wraps the OSError

    with pytest.raises(checkpoint.UserError, match="could not be written: .*No such file.*The last good checkpoint is intact"):
        write_directory(tmp_path / "last", full_disk)
    assert (tmp_path / "last" / "weights").read_text() == "one"
    assert find_damage(tmp_path / "last") is None
    assert [p.name for p in tmp_path.iterdir()] == ["last"]

    def no_room(folder: Path):
        raise OSError(28, "No space left on device")

    with pytest.raises(checkpoint.UserError, match="could not be written: No space left on device. The last good"):
        write_directory(tmp_path / "last", no_room)


def test_no_checkpoint_yet_means_from_the_start(tmp_path):
    assert checkpoint.newest_checkpoint(tmp_path) is None


def test_leftovers_of_a_kill_are_cleaned_up(tmp_path):
    """The process was killed between the two renames of a save: last/ is renamed, and the new one is not in place yet."""
    write_checkpoint(tmp_path / ".last.old", "one")
    write_checkpoint(tmp_path / "best", "new")
    write_checkpoint(tmp_path / ".best.old", "old")
    (tmp_path / ".last.tmp-123").mkdir()
    (tmp_path / ".results.json.tmp-abc").write_text("half")
    checkpoint.recover(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "last"]
    assert (tmp_path / "last" / "weights").read_text() == "one"
    assert (tmp_path / "best" / "weights").read_text() == "new"


def write_state(path: Path, step: int) -> None:
    def fill(folder: Path):
        checkpoint.save_trainer(folder, {}, {"step": step})

    write_directory(path, fill)


def spoil(path: Path) -> None:
    (path / "trainer" / "state.json").write_text("{}")


def test_an_older_checkpoint_is_used_if_last_and_its_predecessor_are_damaged(tmp_path):
    for name, step in (("checkpoint-00000003", 3), ("checkpoint-00000007", 7), ("aside", 8), ("last", 9)):
        write_state(tmp_path / name, step)
    os.rename(tmp_path / "aside", tmp_path / ".last.old")
    spoil(tmp_path / ".last.old")
    spoil(tmp_path / "last")
    assert checkpoint.newest_checkpoint(tmp_path) == tmp_path / "checkpoint-00000007"
    spoil(tmp_path / "checkpoint-00000007")
    assert checkpoint.newest_checkpoint(tmp_path) == tmp_path / "checkpoint-00000003"


def test_the_renamed_checkpoint_stays_while_last_is_damaged(tmp_path):
    write_state(tmp_path / "last", 2)
    spoil(tmp_path / "last")
    write_state(tmp_path / "aside", 1)
    os.rename(tmp_path / "aside", tmp_path / ".last.old")
    checkpoint.recover(tmp_path)
    assert checkpoint.newest_checkpoint(tmp_path) == tmp_path / ".last.old"

    def killed(folder: Path):
        assert find_damage(tmp_path / ".last.old") is None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.write_last(tmp_path, 1, killed)
    assert checkpoint.newest_checkpoint(tmp_path) == tmp_path / ".last.old"


@pytest.mark.parametrize("good", [".last.old", "checkpoint-00000001"])
@pytest.mark.parametrize("count", [1, 2])
def test_the_only_intact_checkpoint_stays_until_the_next_is_in_place(tmp_path, monkeypatch, good, count):
    """After every removal and renaming of a save over a damaged last/ there is an intact checkpoint to resume from."""
    write_state(tmp_path / "last", 2)
    spoil(tmp_path / "last")
    write_state(tmp_path / "good", 1)
    os.rename(tmp_path / "good", tmp_path / good)
    newest = []

    def watched(function):
        def call(*arguments, **settings):
            function(*arguments, **settings)
            newest.append(checkpoint.newest_checkpoint(tmp_path))

        return call

    monkeypatch.setattr(checkpoint.shutil, "rmtree", watched(checkpoint.shutil.rmtree))
    monkeypatch.setattr(checkpoint.os, "rename", watched(checkpoint.os.rename))
    checkpoint.write_last(tmp_path, count, lambda folder: checkpoint.save_trainer(folder, {}, {"step": 5}))
    assert len(newest) > 2 and all(newest)
    assert checkpoint.read_state(tmp_path / "last")["step"] == 5 and find_damage(tmp_path / "last") is None
    remaining = {"last"} | ({good} if count == 2 and not good.startswith(".") else set())
    assert {path.name for path in tmp_path.iterdir()} == remaining


def test_a_finished_run_says_so_and_how_to_go_on_from_its_model(tmp_path, capsys):
    config = load_config("bart_lcsts", overrides(tmp_path, "train.max_steps=2", "eval.before_training=false"))
    training_run.train(config)
    capsys.readouterr()
    run = training_run.train(config, resume=True).path
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "finished already" in line)
    path, advice, command = line.split(": ")
    assert path == str(run)
    assert advice == (
        "this training is finished already, after 2 steps; only its scores are computed again. A new run goes on from its model"
    )
    program, script, flag, name, *settings = shlex.split(command)
    assert (program, script, flag, name) == ("python", "train.py", "--config", f"{run}/config.yaml")
    more = training_run.train(load_config(name, [*settings, "train.max_steps=1"])).path
    assert str(more) == f"{run}-more" and (more / "report.html").is_file()
