"""Test evaluate and predict on new data, through pipes, and with wrong input."""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.runs import inference
from paddle_ft.system.errors import UserError
from paddle_ft.training import run as session
from tests.support.paths import ROOT
from tests.support.prepared import run_prepared
from tests.support.tiny_runs import PAIRS, overrides, write_pairs


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return session.train(load_config("bart_lcsts", overrides(folder, "train.max_steps=2", "eval.before_training=false"))).path


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    settings = [f"output_dir={folder / 'run'}", "device=cpu", "train.max_steps=1", "eval.before_training=false", "data.cache=false",
                "data.limit_train=64", "data.limit_validation=4", "data.limit_test=4", "generation.num_beams=1"]  # fmt: skip
    return session.train(load_config("bart_lcsts", settings, sample=True)).path


def test_a_users_file_is_read_whatever_the_runs_source(sample_run, tmp_path):
    own = write_pairs(tmp_path / "own.tsv", PAIRS[:3])
    settings = [f"data.test={own}", "data.columns={source: 1, target: 0}", "data.limit_test=null"]
    with pytest.raises(UserError, match="must give names here, not numbers"):  # data.columns is for all files of the run
        inference.evaluate(str(sample_run), None, settings, None)
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps({"source": s, "target": t}) + "\n" for s, t in PAIRS[:3]))
    inference.evaluate(str(sample_run), "test", [f"data.test={own}"], str(tmp_path / "out.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["source"] for row in rows] == [source for source, _ in PAIRS[:3]]


def test_a_missing_file_is_an_error(sample_run):
    with pytest.raises(UserError, match="nowhere/my.tsv"):
        inference.evaluate(str(sample_run), "test", ["data.test=nowhere/my.tsv"], None)
    with pytest.raises(UserError, match="data.test: sample:briefs has no split 'other'"):
        inference.evaluate(str(sample_run), "test", ["data.test=other"], None)


def test_evaluation_needs_only_the_split_asked_for(run, tmp_path, capsys):
    own = write_pairs(tmp_path / "own.tsv")
    split, metrics, baseline = inference.evaluate(str(run), "test", [f"data.test={own}", "data.train=/gone.tsv"], None)
    assert split == "test" and "rougeL" in metrics and baseline == {}
    assert "only test is read, without a baseline: /gone.tsv: no such file" in capsys.readouterr().err


def test_the_output_is_checked_before_anything_is_computed(run):
    with pytest.raises(UserError, match="--output /nowhere/x.jsonl: there is no folder /nowhere"):
        inference.evaluate(str(run), "test", [], "/nowhere/x.jsonl")


def test_predict_does_not_destroy_its_input(run, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("今天北京天气晴朗\n", encoding="utf-8")
    for output in (tmp_path / "." / "texts.txt", tmp_path / "link.txt"):
        (tmp_path / "link.txt").unlink(missing_ok=True)
        (tmp_path / "link.txt").symlink_to(texts)
        with pytest.raises(UserError, match="this is the input file, which would be lost"):
            inference.predict(str(run), str(texts), str(output), [])
    assert texts.read_text(encoding="utf-8") == "今天北京天气晴朗\n"


def test_a_missing_input_is_an_error(run, tmp_path):
    (tmp_path / "out.txt").touch()
    with pytest.raises(UserError, match=r"--input absent.txt: cannot be read: No such file or directory"):
        inference.predict(str(run), "absent.txt", str(tmp_path / "out.txt"), [])


def test_a_table_is_read_as_the_run_was_trained(run, tmp_path):
    pairs = write_pairs(tmp_path / "new.tsv", PAIRS[:3])
    inference.predict(str(run), str(pairs), str(tmp_path / "out.jsonl"), ["generation.num_beams=1"])
    (tmp_path / "new.csv").write_text("id,body\n" + "".join(f"1,{source}\n" for source, _ in PAIRS[:3]), encoding="utf-8")
    inference.predict(str(run), str(tmp_path / "new.csv"), str(tmp_path / "own.jsonl"), ["data.columns={source: body}"])
    for name in ("out.jsonl", "own.jsonl"):
        rows = [json.loads(line) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        assert [row["source"] for row in rows] == [source for source, _ in PAIRS[:3]]


def test_an_output_named_csv_is_a_table(run, tmp_path):
    write_pairs(tmp_path / "new.tsv", PAIRS[:2])
    inference.predict(str(run), str(tmp_path / "new.tsv"), str(tmp_path / "out.csv"), ["generation.num_beams=1"])
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["0", "source", "prediction"]  # the run's tables have no header: 0 is the other column's number
    assert [tuple(row[:2]) for row in rows] == [(target, source) for source, target in PAIRS[:2]]


@pytest.mark.parametrize("name", ["out.xyz", "out.CSV", "out.jsonl.gz"])
def test_an_output_of_an_unknown_format_is_refused_at_once(name, run, tmp_path):
    (tmp_path / "new.txt").write_text("今天北京天气晴朗\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"--output .*/out.*: \.\w+ is no format of the output. It ends with .txt, .jsonl, .json, "):
        inference.predict(str(run), str(tmp_path / "new.txt"), str(tmp_path / name), [])
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


def test_a_run_that_was_stopped_says_which_checkpoint_is_used(run, tmp_path, capsys):
    inference.open_run(str(run))
    assert "last" not in capsys.readouterr().err
    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    shutil.rmtree(stopped / "best")
    inference.open_run(str(stopped))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"{stopped}: the training was stopped before it saved best/; {stopped}/last is used, its latest checkpoint"]


def test_a_run_that_has_not_finished_says_so_once(run, tmp_path, capsys):
    stopped, texts, output = tmp_path / "stopped", tmp_path / "new.txt", tmp_path / "out.txt"
    texts.write_text("今天北京天气晴朗\n上海明天有大雨\n", encoding="utf-8")
    shutil.copytree(run, stopped)
    results = json.loads((stopped / "results.json").read_text(encoding="utf-8"))
    (stopped / "results.json").write_text(json.dumps(results | {"status": "training"}), encoding="utf-8")
    used = f"{stopped}/best is used, its best checkpoint so far, saved at step 2"
    line = f"{stopped}: this run has not finished (step 2 of 2); {used}"
    for _ in range(2):
        inference.predict(str(stopped), str(texts), str(output), ["generation.num_beams=1"])
        assert capsys.readouterr().err.splitlines().count(line) == 1
        (stopped / "results.json").unlink(missing_ok=True)  # the same when there is no such file
    config = (stopped / "config.yaml").read_text(encoding="utf-8")
    (stopped / "config.yaml").write_text(config.replace("max_steps: 2", "max_steps: -1"), encoding="utf-8")
    inference.open_run(str(stopped))
    assert "has not finished (epoch 1.00 of 3)" in capsys.readouterr().err
    inference.open_run(str(run))
    assert "not finished" not in capsys.readouterr().err


def test_predict_says_what_it_wrote(run, tmp_path, capsys, monkeypatch):
    texts, output = tmp_path / "new.txt", tmp_path / "out.jsonl"
    texts.write_text("今天北京天气晴朗\n上海明天有大雨\n成都举办美食大会\n", encoding="utf-8")
    original = inference.predict_texts

    def first_is_empty(*arguments):
        first, *rows = original(*arguments)
        return [first | {"prediction": " "}, *rows]

    monkeypatch.setattr(inference, "predict_texts", first_is_empty)
    inference.predict(str(run), str(texts), str(output), ["generation.num_beams=1"])
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    empty = sum(not row["prediction"].strip() for row in rows)
    assert empty >= 1
    assert capsys.readouterr().err.splitlines()[-1] == f"rows predicted: 3, empty outputs: {empty}, written to {output}"
    inference.predict(str(run), str(texts), "-", ["generation.num_beams=1"])
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line.startswith("rows predicted: 3, ") and last_line.endswith(", written to standard output")


@pytest.mark.parametrize(("name", "output", "is_json"), [
    ("new.txt", "-", False), ("new.jsonl", "-", True), ("new.txt", "plain", False), ("new.jsonl", "plain", True),
    ("new.txt", "out.jsonl", True), ("new.txt", "out.json", True), ("new.jsonl", "out.txt", False),
])  # fmt: skip
def test_the_outputs_ending_is_its_format_and_without_one_the_input_decides(run, tmp_path, capsys, name, output, is_json):
    """As docs/training.md says."""
    (tmp_path / "new.txt").write_text("今天北京天气晴朗\n", encoding="utf-8")
    (tmp_path / "new.jsonl").write_text('{"source": "今天北京天气晴朗"}\n', encoding="utf-8")
    target = "-" if output == "-" else str(tmp_path / output)
    inference.predict(str(run), str(tmp_path / name), target, ["generation.num_beams=1", "task.min_target_length=2"])
    (line,) = (capsys.readouterr().out if output == "-" else (tmp_path / output).read_text(encoding="utf-8")).splitlines()
    assert (json.loads(line).keys() == {"source", "prediction"}) if is_json else not line.startswith("{")


def test_an_output_appears_when_it_is_complete(run, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"source": "今天"}\n' * 40 + "{broken\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"bad.jsonl:41: invalid JSON at column 2"):
        inference.predict(str(run), str(bad), str(tmp_path / "out.jsonl"), ["generation.num_beams=1"], 1)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_pipe_is_answered_line_by_line(run):
    """The test writes the second line only after it has read the answer to the first."""
    process = subprocess.Popen([sys.executable, "-m", "paddle_ft", "predict", str(run), "--input", "-"], cwd=ROOT, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}, encoding="utf-8")  # fmt: skip
    answers = []
    for text in ("今天北京天气晴朗", "上海明天有大雨"):
        process.stdin.write(text + "\n")
        process.stdin.flush()
        answers.append(json.loads(process.stdout.readline())["source"])
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert answers == ["今天北京天气晴朗", "上海明天有大雨"]


def test_bytes_that_are_no_text_are_named(run):
    done = subprocess.run([sys.executable, "-m", "paddle_ft", "predict", str(run), "--input", "-"], cwd=ROOT,
                          input="今天\n".encode() + b"\xff\n", capture_output=True)  # fmt: skip
    assert done.returncode == 2
    assert b"not UTF-8" in done.stderr and b"Traceback" not in done.stderr


def test_a_damaged_model_is_not_used(run, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    weights = copy / "best" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"best: this model is damaged: model.safetensors does not match its checksum"):
        inference.open_run(str(copy))


# ---------------------------------------------------------------------------------------------------- code in files
class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def replace_weights(directory: Path, harmed: Path) -> Path:
    """Replace a model's weights by a pickle that would run a command, and remove the checksums that would reveal it."""
    (directory / "model.safetensors").unlink()
    file = directory / "model_state.pdparams"
    file.write_bytes(pickle.dumps({"lm_head_weight": Attack(harmed)}))
    (directory / "trainer" / "checksums.json").write_text("{}")
    return file


def test_a_pickle_that_would_run_a_command(run, tmp_path):
    harmed = tmp_path / "harmed"
    shutil.copytree(run, tmp_path / "run")
    file = replace_weights(tmp_path / "run" / "best", harmed)
    settings = overrides(tmp_path, f"output_dir={tmp_path / 'new'}", f"model.pretrained={file.parent}", "model.config=null")
    verbs = {"train": ["--config", "bart_lcsts", *settings], "evaluate": [str(tmp_path / "run")]}
    for verb, arguments in verbs.items():
        done = run_prepared(["-m", "paddle_ft", verb, *arguments])
        message = f"error: the model cannot be loaded: {file}: its pickle asks for posix.system, which a file of arrays does not"
        assert done.returncode == 2 and message in done.stderr, f"{verb}: {done.stderr}"
        assert "Traceback" not in done.stderr and not harmed.exists()
