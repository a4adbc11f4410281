"""Test docs/serve.md: its curl commands are run, its tables are those of the code, and the image's files exist."""

import configparser
import json
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import fields

import pytest
from packaging.requirements import Requirement

from paddle_ft.serving.limits import Limits, flag
from paddle_ft.serving.server import PACKAGES
from tests.support.pages import read
from tests.support.paths import ROOT
from tests.support.tiny_serving import LONG, serve

PAGE = read("docs/serve.md")
CURL = re.findall(r"^curl .*?(?=^```)", PAGE, re.MULTILINE | re.DOTALL)
IMAGE = read("docs/examples/serve.Dockerfile")


def table(header: str) -> list[list[str]]:
    """Return the cells of the rows of a table of the page."""
    lines = PAGE.partition(header)[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("command", CURL)
def test_curl_commands_work(runs, command):
    name = "questions" if "pairs" in command else "causal_lm" if "prompt" in command else "summarization"
    with serve(runs[name]) as (server, _):
        arguments = shlex.split(command.replace("\\\n", " ").replace("http://127.0.0.1:8000", server.url))
        done = subprocess.run([*arguments, "-sS", "--noproxy", "*"], capture_output=True, text=True, timeout=LONG, check=True)
    if "stream" in command:
        assert done.stdout.startswith("event: piece\ndata: {") and "\n\nevent: done\ndata: {" in done.stdout
    else:
        (rows,) = json.loads(done.stdout).values()
        assert len(rows) == (2 if "texts" in command else 1), done.stdout


def test_the_page_has_commands():
    assert len(CURL) == 5


def test_the_table_of_limits_is_current():
    expected = [[flag(limit.name), str(limit.default), limit.metadata["help"]] for limit in fields(Limits)]
    assert table("| flag | default | what it limits |\n") == expected


def test_the_table_of_errors_has_every_code():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "paddle_ft" / "serving").glob("*.py"))
    used = set(re.findall(r'ApiError\(\s*(\d{3}), "(\w+)"', code)) | {("400", "malformed_http"), ("501", "malformed_http")}
    rows = table("| status | code | when |\n")
    shown = {(status, word) for row in rows for status in row[0].split(", ") for word in re.findall(r"\w+", row[1])}
    assert used == shown


def test_the_table_of_metrics_is_current(sentences):
    _, client = sentences
    client.post("/predict", json={"texts": ["a good film"]})
    types = re.findall(r"^# TYPE (\w+) (\w+)$", client.get("/metrics").text, re.MULTILINE)
    assert {row[0] for row in table("| name | what it counts |\n")} == {name for name, _ in types if not name.endswith("_created")}


def test_the_image_copies_files_that_exist_and_installs_what_is_pinned():
    copied = [shlex.split(line)[1:-1] for line in IMAGE.splitlines() if line.startswith("COPY ")]
    assert all((ROOT / path).exists() for paths in copied for path in paths)
    names = {path for paths in copied for path in paths}
    assert {"paddle_ft", "convert", "configs", "setup", "pyproject.toml", "README.md"} <= names
    installs = [shlex.split(line.removeprefix("RUN ")) for line in IMAGE.splitlines() if line.startswith("RUN pip install")]
    words = [word for command in installs for word in command[2:] if not word.startswith("-")]
    assert words == ["requirements-build.txt", "locked.txt", ".[cpu,serve]"]
    extras = Requirement(f"paddle_ft{words[2].removeprefix('.')}").extras
    assert all(f"\n{extra} = [" in read("pyproject.toml") for extra in extras)
    assert IMAGE.index("USER 10001") < IMAGE.index("ENTRYPOINT") and "HEALTHCHECK" in IMAGE


def test_the_image_installs_the_locked_versions():
    (command,) = (line.removeprefix("RUN ") for line in IMAGE.splitlines() if line.endswith("> locked.txt"))
    done = subprocess.run(command.removesuffix("> locked.txt"), shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    locked = {Requirement(line).name: Requirement(line) for line in done.stdout.splitlines()}
    for extra in (Requirement(name) for name in PACKAGES):
        (pin,) = locked[extra.name.replace("_", "-")].specifier
        assert pin.operator == "==" and extra.specifier.contains(pin.version)


def test_the_unit_waits_longer_than_the_service_needs():
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read_string(read("docs/examples/paddle-ft-serve.service"))
    assert float(unit["Service"]["TimeoutStopSec"]) > Limits().grace
    assert unit["Service"]["RestartPreventExitStatus"] == "2"  # the exit code of a user's mistake
    assert unit["Service"]["ExecStart"].startswith("%h/paddle_ft/.venv/bin/python -m paddle_ft serve runs/")


def test_the_table_of_the_load_has_the_columns_and_the_rows_of_its_script():
    script = runpy.run_path(str(ROOT / "benchmarks" / "serve_load.py"))
    header = f"| {' | '.join(script['COLUMNS'])} |\n"
    rows = [dict(zip(script["COLUMNS"], row, strict=True)) for row in table(header)]
    clients = ["1", "1", "8", "8", "64", "64", "64"]
    assert [row["clients"] for row in rows] == 2 * clients
    assert [row["run"] for row in rows] == 7 * ["distilbert_sst2_sample"] + 7 * ["bart_lcsts_sample"]
    assert {(row["lost"], row["wrong"]) for row in rows} == {("0", "0")} and all(int(row["answers"]) > 0 for row in rows)


@pytest.mark.slow
def test_the_load_script_finds_answers_that_are_lost_or_wrong(runs):
    command = [sys.executable, "benchmarks/serve_load.py", runs["sentences"], "--seconds", "1", "--clients", "2", "--texts", "9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=5 * LONG)
    assert done.returncode == 0, done.stderr
    header, _, *rows = done.stdout.partition("\n\n")[0].splitlines()
    columns = [cell.strip() for cell in header.strip("|").split(" | ")]
    for row in rows:
        cells = dict(zip(columns, (cell.strip() for cell in row.strip("|").split(" | ")), strict=True))
        assert int(cells["answers"]) > 0 and (cells["lost"], cells["wrong"]) == ("0", "0")
    assert len(rows) == 3

    script = runpy.run_path(str(ROOT / "benchmarks" / "serve_load.py"))
    with serve(runs["sentences"], max_texts=1) as (server, client):
        (right,) = client.post("/predict", json={"texts": ["a good film"]}).json()["predictions"]
        other = {**right, "prediction": "neg" if right["prediction"] == "pos" else "pos"}
        port = int(server.url.rpartition(":")[2])
        outcome = script["measure"](port, [("a good film", right), ("a good film", other), (["a", "b"], right)], 1, 0.2)
    assert outcome.wrong > 0 and outcome.lost == 0 and outcome.answers > outcome.wrong
    assert not script["is_answer"](b"no JSON", right) and not script["is_answer"](b'{"predictions": []}', right)
