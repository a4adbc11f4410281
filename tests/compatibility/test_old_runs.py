"""Runs, caches and converted checkpoints of an earlier version go on working, and give what they gave then.

Everything is done by the commands that users type and looked at in the files that they get, so nothing here depends on how the
code is arranged. make_runs.py made the archive, with commit 7070f49. Figures may differ by 1e-4: processors round differently.
"""

import csv
import io
import json
import runpy
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
import tokenizers

from tests.compatibility.cases import CASES, CONVERTED, STOPPED, computed
from tests.compatibility.reading import files_of, jsonl, tensor_hashes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with tarfile.open(HERE / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def expected(unpacked) -> dict:
    return json.loads((unpacked / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(unpacked, tmp_path, monkeypatch) -> Path:
    """A copy of the archive as the working directory, its cache as the user's, and no way to download anything."""
    copy = tmp_path / "work"
    shutil.copytree(unpacked, copy)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("PADDLE_FT_HOME", str(copy / "home"))
    for name in ("HF_ENDPOINT", "PADDLE_FT_MIRROR"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nothing listens
    return copy


@pytest.fixture
def command(capsys, monkeypatch):
    """command("train.py" or a package, arguments ...) -> what `python train.py` or `python -m PACKAGE` prints."""

    def run(program: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            if program.endswith(".py"):
                runpy.run_path(str(ROOT / program), run_name="__main__")
            else:
                runpy.run_module(program, run_name="__main__", alter_sys=True)
        printed = capsys.readouterr()
        assert not stop.value.code, f"exit code {stop.value.code}: {printed.err}"
        return printed.out

    return run


@pytest.fixture
def ask(command, folder):
    """ask(arguments) -> what `python -m paddle_ft` prints, or writes into the file that stands for OUTPUT."""

    def question(arguments: tuple[str, ...]) -> str:
        given = [argument.replace("OUTPUT", "output") for argument in arguments]
        printed = command("paddle_ft", *given)
        written = [folder / name for name in given if name.startswith("output.")]
        return written[0].read_text(encoding="utf-8") if written else printed

    return question


# ---------------------------------------------------------------------------------------------------- comparing
def parsed(text: str):
    """Return what a command printed as values: JSON, JSON lines, a CSV table, or the text's words."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    lines = text.splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        pass
    if lines and lines[0].startswith("text,"):
        return [[number(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    return [[number(word) for word in line.replace("=", " = ").split(" ")] for line in lines]


def number(word: str):
    """Return a cell or word as the JSON value it is, else as it stands."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def assert_same(found, wanted, place: str = "") -> None:
    """Compare JSON values: texts, whole numbers and keys exactly, other numbers within TOLERANCE."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict) and list(found) == list(wanted), place
        for key, value in wanted.items():
            assert_same(found[key], value, f"{place}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(found, list) and len(found) == len(wanted), place
        for index, value in enumerate(wanted):
            assert_same(found[index], value, f"{place}[{index}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=TOLERANCE, abs=TOLERANCE), place
    else:
        assert found == wanted, place


# ---------------------------------------------------------------------------------------------------- runs
@pytest.mark.parametrize("name", CASES)
def test_a_run_answers_as_before(name, expected, ask):
    for label, arguments in CASES[name].questions.items():
        assert_same(parsed(ask(arguments)), parsed(expected[name]["answers"][label]), label)


@pytest.mark.parametrize("name", CASES)
def test_a_run_is_resumed_to_the_same_end(name, expected, folder, command, ask):
    wanted, run = expected[name], folder / name
    before = (run / "metrics.jsonl").read_bytes()
    caches = stamps(folder / "home")
    tokenizers_version = json.loads((run / "results.json").read_text(encoding="utf-8"))["versions"]["tokenizers"]
    assert json.loads((run / "last/trainer/state.json").read_text())["step"] == wanted["step"]

    command("train.py", "--config", f"{name}/config.yaml", "--resume")
    # the steps before the stop were not repeated: their lines still have the times of the machine that made the archive
    assert (run / "metrics.jsonl").read_bytes().startswith(before)
    events = jsonl(run / "metrics.jsonl")
    assert_same(computed(events), wanted["metrics"], "metrics")
    if name in STOPPED:
        first = before.count(b"\n")
        assert next(event["step"] for event in events[first:] if event["event"] == "train") == wanted["step"] + 1
    assert_same(computed(json.loads((run / "results.json").read_text(encoding="utf-8"))), wanted["results"], "results")
    assert_same({path.name: jsonl(path) for path in sorted(run.glob("predictions-*.jsonl"))}, wanted["predictions"])
    assert files_of(run) == wanted["files"]
    assert_caches_were_used(folder / "home", caches, tokenizers_version)
    for label, arguments in CASES[name].questions.items():
        assert_same(parsed(ask(arguments)), parsed(wanted["answers_after_resume"][label]), label)


def stamps(home: Path) -> dict[str, tuple[int, int]]:
    """Return when and where on the disk each file of the cache was written: a file that is written anew has another stamp."""
    return {name: ((home / name).stat().st_mtime_ns, (home / name).stat().st_ino) for name in files_of(home)}


def assert_caches_were_used(home: Path, before: dict, tokenizers_version: str) -> None:
    """Nothing was converted or tokenised again. Tokenised data counts for the version of tokenizers that made it alone."""
    after = stamps(home)
    if tokenizers.__version__ != tokenizers_version:
        before, after = ({k: v for k, v in each.items() if not k.startswith("tokenised")} for each in (before, after))
    assert after == before


def test_a_report_is_written_for_a_finished_run(folder, command):
    assert not (folder / "finished/report.html").exists()
    command("paddle_ft", "report", "finished")
    accuracy = json.loads((folder / "finished/results.json").read_text())["metrics"]["test"]["accuracy"]
    assert f"{accuracy:.2f}" in (folder / "finished/report.html").read_text(encoding="utf-8")
    assert (folder / "finished/plots/loss.png").stat().st_size > 1000


# ---------------------------------------------------------------------------------------------------- the converter
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.hf])
def test_a_trained_model_becomes_the_same_hugging_face_checkpoint(name, expected, folder, command):
    command("convert", "to-hf", f"{name}/best", "back")
    assert tensor_hashes(folder / "back") == expected[name]["hf_tensors"]
    assert json.loads((folder / "back/config.json").read_text()) == expected[name]["hf_config"]


@pytest.mark.parametrize("name", CONVERTED)
def test_a_converted_checkpoint_is_equal_to_its_source_and_goes_back(name, folder, command):
    command("convert", "verify", f"hf/{name}", f"converted/{name}")  # the exit code is 1 where they differ
    command("convert", "to-hf", f"converted/{name}", "back")
    assert tensor_hashes(folder / "back") == tensor_hashes(folder / "hf" / name)
    command("convert", "to-paddle", f"hf/{name}", "again")
    assert tensor_hashes(folder / "again") == tensor_hashes(folder / "converted" / name)


def test_the_conversion_in_the_cache_is_used(folder, ask):
    """fill-mask loads the hub's model from before the training too, and finds its conversion in the cache."""
    caches = stamps(folder / "home")
    assert any(name.startswith("converted/invented--tiny-distilbert-masked_lm-") for name in caches)
    ask(CASES["masked_lm"].questions["fill_mask"])
    assert stamps(folder / "home") == caches
