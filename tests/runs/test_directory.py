"""Test that a run directory is never overwritten silently, and that its files are written whole."""

import json
import os
import resource
import signal

import pytest

from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import WriteError, write_atomically, write_json_lines
from paddle_ft.training.checkpoint import write_best


def open_directory(path, resume=False, overwrite=False):
    return RunDirectory.open_for_training(str(path), resume, overwrite)


def test_a_run_is_refused_resumed_or_replaced(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(UserError) as caught:
        open_directory(tmp_path)
    assert str(caught.value) == (
        f"output_dir: {tmp_path} already contains a run. Use --resume to continue it, --overwrite to replace it,"
        " or output_dir=ANOTHER for a new run."
    )
    assert open_directory(tmp_path, resume=True).path == tmp_path
    assert open_directory(tmp_path, overwrite=True).path == tmp_path
    assert (tmp_path / "config.yaml").exists()  # opening alone removes nothing


def test_overwrite_does_not_touch_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="contains files but no run of paddle_ft"):
        open_directory(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_clear_removes_what_a_run_writes_and_nothing_else(tmp_path):
    for name in ("config.yaml", "metrics.jsonl", "predictions-test.jsonl", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "best").mkdir()
    RunDirectory(tmp_path).clear()
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_training_that_does_not_start_leaves_nothing(tmp_path):
    open_directory(tmp_path / "runs" / "mine" / "a").release()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").mkdir()
    open_directory(tmp_path / "runs" / "a").release()
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"], "the user's own folder stays"


def test_a_directory_says_whether_it_is_being_trained_in(tmp_path):
    run = RunDirectory(tmp_path)
    assert not run.is_being_trained() and list(tmp_path.iterdir()) == []
    (tmp_path / "config.yaml").write_text("")
    training = open_directory(tmp_path, resume=True)
    assert run.is_being_trained()
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UserError, match="another process is training in .* right now. Use another output_dir."):
            RunDirectory(tmp_path).refuse_unusable(**{"resume": False, "overwrite": False, **flags})
    training.release()
    assert not run.is_being_trained()
    (tmp_path / ".lock").touch()  # left behind by a process that was killed
    assert not run.is_being_trained()
    open_directory(tmp_path, resume=True).release()


def test_a_run_says_which_checkpoint_of_an_unfinished_training_it_gives(tmp_path):
    run = RunDirectory(tmp_path)
    run.log({"event": "train", "step": 30, "epoch": 1.5})
    unknown = f"{run.path}: this run has not finished (epoch 1.50 of 3); {run.path}/best is used, its best checkpoint so far"
    assert run.describe_unfinished("best", -1, 3) == unknown
    write_best(tmp_path, lambda folder: None, 20, 1.0)
    assert run.describe_unfinished("best", -1, 3) == f"{unknown}, saved at epoch 1.00"
    assert run.describe_unfinished("best", 40, 3).endswith("(step 30 of 40); " + f"{unknown.split('; ')[1]}, saved at step 20")
    stopped = f"{run.path}: the training was stopped before it saved best/; {run.path}/last is used, its latest checkpoint"
    assert run.describe_unfinished("last", -1, 3) == stopped
    (tmp_path / "config.yaml").write_text("")
    training = open_directory(tmp_path, resume=True)
    running = f"(epoch 1.50 of 3); a training is running in it; {run.path}/"
    assert f"{running}best is used, its best checkpoint so far, saved at epoch 1.00" in run.describe_unfinished("best", -1, 3)
    assert f"{running}last is used, its latest checkpoint: it has no best/ yet" in run.describe_unfinished("last", -1, 3)
    run.write_results({"status": "finished"})  # a training that replaces or lengthens it leaves it as it is at first
    may_replace = f"{run.path}: a training is running in this directory and may replace {run.path}/best"
    assert run.describe_unfinished("best", -1, 3) == may_replace
    training.release()
    assert run.describe_unfinished("best", -1, 3) is None


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(UserError, match="contains no run to continue"):
        open_directory(tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


def test_a_file_or_an_unwritable_place_as_output_dir(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file; name a directory"):
        open_directory(tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written: Not a directory. Choose another with output_dir="):
        open_directory(tmp_path / "file" / "below")
    with pytest.raises(UserError, match=r"output_dir: /proc/nowhere cannot be written"):
        open_directory("/proc/nowhere")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "results.json"
    write_atomically(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, limits[1]))  # files of this process have up to two bytes
    try:
        with pytest.raises(WriteError, match=r"results\.json: cannot be written: File too large"):
            write_atomically(path, "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]


def test_half_a_surrogate_pair_is_written_as_json_writes_it(tmp_path):
    write_json_lines(tmp_path / "rows.jsonl", [{"text": "a\ud83d", "b": "中"}])
    line = (tmp_path / "rows.jsonl").read_text(encoding="utf-8")
    assert line == '{"text": "a\\ud83d", "b": "中"}\n' and json.loads(line) == {"text": "a\ud83d", "b": "中"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "it is no JSON object but a list"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"train": {"steps": 99999999999999999999}}', "the number 9999999999999999999... is too large"),
        ('{"metrics": {"test": 5}}', "metrics.test: must be a valid dictionary"),
        ('{"best": {"metric": "loss", "value": 1.5}}', "best.step: Field required"),
        ('{"baseline": {"name": {}}}', "baseline.name: must be a valid string"),
        ('{"baseline": {"name": "lead", "test": "x"}}', "baseline.test: must be a valid dictionary"),
    ],
)
def test_damaged_results_are_one_error(tmp_path, text, message):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError) as caught:
        RunDirectory(tmp_path).results()
    advice = "Delete it, or start the run again with --overwrite."
    assert str(caught.value) == f"{tmp_path}/results.json: this file is damaged: {message}. {advice}"


def test_what_is_null_in_results_is_missing(tmp_path):
    (tmp_path / "results.json").write_text('{"best": null, "status": "finished"}')
    assert RunDirectory(tmp_path).results() == {"status": "finished"}


def test_events_ignore_damaged_lines(tmp_path):
    run = RunDirectory(tmp_path)
    run.metrics.write_bytes(b'{"event": "train", "step": 1}\nnull\n{"event": \n\xff\n{"event": "train", "step": "x"}\n')
    assert [event["step"] for event in run.events()] == [1, "x"]
    assert run.last_logged() == (0, 0.0)


def test_events_ignore_a_line_cut_short(tmp_path):
    run = RunDirectory(tmp_path)
    run.log({"event": "train", "step": 1})
    size = run.metrics_size()
    with open(run.metrics, "a") as file:
        file.write('{"event": "tra')
    assert run.events() == [{"event": "train", "step": 1}]
    run.cut_metrics(size)
    assert run.metrics_size() == size
