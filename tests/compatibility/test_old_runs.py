"""Test that runs, caches and converted checkpoints of an earlier version still work and give the same results.

The tests use only the commands and files of users, so they do not depend on the structure of the code. make_runs.py made the
archive with commit 7070f49. Numbers may differ by 1e-4, because processors round differently.
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

from tests.compatibility.cases import CASES, CONVERTED, STOPPED, without_measured
from tests.compatibility.reading import list_files, read_jsonl, tensor_hashes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOLERANCE = 1e-4
RESUMED_TOLERANCE = 1e-2  # the steps after the resumption draw other numbers for dropout than that version
# what that version did not write
NEW_FILES = {
    *(f"best/{name}" for name in ("README.md", "trainer/best.json")),
    *(name for split in ("test", "validation") for name in (f"losses-{split}.jsonl", f"plots/calibration_{split}.png")),
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """Unpack the archive once. Tests must not change it."""
    folder = tmp_path_factory.mktemp("runs")
    with tarfile.open(HERE / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def expected(unpacked) -> dict:
    return json.loads((unpacked / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(unpacked, tmp_path, monkeypatch) -> Path:
    """Make a copy of the archive the working directory, use its cache, and prevent downloads."""
    copy = tmp_path / "work"
    shutil.copytree(unpacked, copy)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("PADDLE_FT_HOME", str(copy / "home"))
    for name in ("HF_ENDPOINT", "PADDLE_FT_MIRROR"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nothing listens
    return copy


@pytest.fixture
def command(capsys, monkeypatch):
    """Return a function (program, arguments ...) -> output. A program is "train.py", or a package for `python -m PACKAGE`."""

    def run(program: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            if program.endswith(".py"):
                runpy.run_path(str(ROOT / program), run_name="__main__")
            else:
                runpy.run_module(program, run_name="__main__", alter_sys=True)
        captured = capsys.readouterr()
        assert not stop.value.code, f"exit code {stop.value.code}: {captured.err}"
        return captured.out

    return run


@pytest.fixture
def output_of(command, folder):
    """Return a function (arguments of `python -m paddle_ft`) -> its output, or the contents of the file --output OUTPUT.*."""

    def run(arguments: tuple[str, ...]) -> str:
        arguments = tuple(argument.replace("OUTPUT", "output") for argument in arguments)
        output = command("paddle_ft", *arguments)
        files = [folder / name for name in arguments if name.startswith("output.")]
        return files[0].read_text(encoding="utf-8") if files else output

    return run


# ---------------------------------------------------------------------------------------------------- comparing
def parse_output(text: str):
    """Parse the output of a command: JSON, JSON lines, a CSV table, or else lines of words."""
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
        return [[parse_word(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    return [[parse_word(word) for word in line.replace("=", " = ").replace("\t", " ").split(" ")] for line in lines]


def parse_word(word: str):
    """Return the value of a cell or word if it is JSON, else the word."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def assert_same(value, expected, path: str = "", tolerance: float = TOLERANCE) -> None:
    """Compare JSON values: strings, integers and keys exactly, floats within the tolerance."""
    if isinstance(expected, dict):
        assert isinstance(value, dict) and list(value) == list(expected), path
        for key, expected_item in expected.items():
            assert_same(value[key], expected_item, f"{path}.{key}", tolerance)
    elif isinstance(expected, list):
        assert isinstance(value, list) and len(value) == len(expected), path
        for index, expected_item in enumerate(expected):
            assert_same(value[index], expected_item, f"{path}[{index}]", tolerance)
    elif isinstance(expected, float):
        assert value == pytest.approx(expected, rel=tolerance, abs=tolerance), path
    else:
        assert value == expected, path


# ---------------------------------------------------------------------------------------------------- runs
@pytest.mark.parametrize("name", CASES)
def test_the_commands_of_a_run_give_the_same_output(name, expected, output_of):
    for label, arguments in CASES[name].commands.items():
        assert_same(without_measured(parse_output(output_of(arguments))), parse_output(expected[name]["answers"][label]), label)


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_ends_with_the_same_results(name, expected, folder, command, output_of, monkeypatch):
    # that version computed the whole last layer, and so drew other numbers for its dropout
    monkeypatch.setattr("paddle_ft.models.cpu_layers.read_positions", lambda b, s: None)
    case, run = expected[name], folder / name
    before = (run / "metrics.jsonl").read_bytes()
    cached_files = file_stamps(folder / "home")
    assert json.loads((run / "last/trainer/state.json").read_text())["step"] == case["step"]

    command("train.py", "--config", f"{name}/config.yaml", "--resume")
    # the old lines are unchanged, times included: no step before the stop was repeated
    assert (run / "metrics.jsonl").read_bytes().startswith(before)
    events = read_jsonl(run / "metrics.jsonl")
    if name == "causal_lm":  # that version did not count its padding
        for event in (event for event in (*events, *case["metrics"]) if event["event"] == "train"):
            event["padding_share"] = None
    assert_same(without_measured(events), case["metrics"], "metrics", RESUMED_TOLERANCE)
    if name in STOPPED:
        first = before.count(b"\n")
        assert next(event["step"] for event in events[first:] if event["event"] == "train") == case["step"] + 1
    results = without_measured(json.loads((run / "results.json").read_text(encoding="utf-8")))
    assert all(note.startswith("the run was started with ") for note in results.pop("decisions", []))  # other versions
    assert_same(results, case["results"], "results", RESUMED_TOLERANCE)
    predictions = {path.name: without_measured(read_jsonl(path)) for path in sorted(run.glob("predictions-*.jsonl"))}
    assert_same(predictions, case["predictions"], "predictions", RESUMED_TOLERANCE)
    assert sorted({*list_files(run)} - NEW_FILES) == sorted(case["files"])
    assert_caches_were_used(folder / "home", cached_files)
    for label, arguments in CASES[name].commands.items():
        output = without_measured(parse_output(output_of(arguments)))
        assert_same(output, parse_output(case["answers_after_resume"][label]), label, RESUMED_TOLERANCE)


def file_stamps(home: Path) -> dict[str, tuple[int, int]]:
    """Return modification time and inode of each file in the cache. They change when a file is written again."""
    return {name: ((home / name).stat().st_mtime_ns, (home / name).stat().st_ino) for name in list_files(home)}


def assert_caches_were_used(home: Path, before: dict) -> None:
    """Assert that nothing was converted again. Token ids are in files of another form since then, so they are made again."""
    after = file_stamps(home)
    assert {name: after.get(name) for name in before} == before
    assert {name.partition("/")[0] for name in after.keys() - before.keys()} <= {"tokenised"}


def test_a_report_is_written_for_a_finished_run(folder, command):
    assert not (folder / "finished/report.html").exists()
    command("paddle_ft", "report", "finished")
    accuracy = json.loads((folder / "finished/results.json").read_text())["metrics"]["test"]["accuracy"]
    assert f"{accuracy:.2f}" in (folder / "finished/report.html").read_text(encoding="utf-8")
    assert (folder / "finished/plots/loss.png").stat().st_size > 1000


# ---------------------------------------------------------------------------------------------------- the converter
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.hf])
def test_to_hf_writes_the_same_checkpoint_for_a_trained_model(name, expected, folder, command):
    command("convert", "to-hf", f"{name}/best", "back")
    assert tensor_hashes(folder / "back") == expected[name]["hf_tensors"]
    assert json.loads((folder / "back/config.json").read_text()) == expected[name]["hf_config"]


@pytest.mark.parametrize("name", CONVERTED)
def test_a_converted_checkpoint_equals_its_source_and_converts_back(name, folder, command):
    command("convert", "verify", f"hf/{name}", f"converted/{name}")  # exit code 1 if they differ
    command("convert", "to-hf", f"converted/{name}", "back")
    assert tensor_hashes(folder / "back") == tensor_hashes(folder / "hf" / name)
    command("convert", "to-paddle", f"hf/{name}", "again")
    assert tensor_hashes(folder / "again") == tensor_hashes(folder / "converted" / name)


def test_the_conversion_in_the_cache_is_used(folder, output_of):
    """Run fill-mask, which also loads the model from before the training. Its conversion is in the cache."""
    cached_files = file_stamps(folder / "home")
    assert any(name.startswith("converted/invented--tiny-distilbert-masked_lm-") for name in cached_files)
    output_of(CASES["masked_lm"].commands["fill_mask"])
    assert file_stamps(folder / "home") == cached_files
