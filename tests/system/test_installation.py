"""Test what is said to install, in a source tree, in an installed package and on AI Studio."""

from pathlib import Path

import pytest

from paddle_ft.system import installation
from paddle_ft.system.doctor import checks, facts, verdicts
from paddle_ft.system.doctor.known_pairs import KNOWN_BAD

WANTED = [("python", None), ("paddle", None), ("paddle", "cpu"), ("paddle", "gpu"), ("paddlenlp", None), ("numpy", None)]
ONLY_IN_THE_SOURCE = ("requirements", "make setup", "docs/", "README", ".[", "setup.beside")


def hints() -> dict[tuple[str, str | None], str]:
    return {wanted: installation.install_hint(*wanted) for wanted in WANTED}


def doctor_remedies() -> list[str]:
    """Return the remedies of all checks that advise to install something."""
    imported = {"paddle": "3.3.1", "cuda": None, "cudnn": None, "gpus": []}
    found = [
        verdicts.check_python((3, 9, 0), "python"),
        *verdicts.check_packages({}, {"numpy": "1"}),
        *verdicts.check_import({}, "killed by SIGABRT", None),
        *verdicts.check_import(imported, "ImportError", [{"name": "V100"}]),
        *verdicts.check_import({**imported, "cuda": "12"}, "ImportError", None),
    ]
    return [check.remedy for check in found if check.level != verdicts.OK]


@pytest.fixture(params=["project", "script task"])
def ai_studio(request, monkeypatch, tmp_path) -> str:
    """Make this machine look like AI Studio, and return the folder that its packages go into."""
    name = "AI_STUDIO_HOME" if request.param == "project" else "AI_STUDIO_TASK"
    monkeypatch.setattr(installation, name, tmp_path)
    return str(tmp_path / "external-libraries") if request.param == "project" else "libraries"


@pytest.mark.parametrize("tree", [installation.SOURCE_TREE, None])
def test_no_hint_on_ai_studio_replaces_paddle(ai_studio, monkeypatch, tree):
    monkeypatch.setattr(installation, "SOURCE_TREE", tree)
    for text in [*hints().values(), *doctor_remedies()]:
        assert not any(word in text for word in ("pip install", "pip uninstall", "make setup", "requirements")), text
    assert hints()["numpy", None].startswith(f"python -m setup.beside {ai_studio} in the repository, then export PYTHONPATH=")
    assert hints()["paddle", None] == installation.AI_STUDIO_IMAGE
    assert hints()["paddle", "gpu"].startswith("start the project with a GPU; choose an environment with PaddlePaddle 3")


def test_the_doctor_finds_ai_studio_in_the_same_way(ai_studio, monkeypatch):
    monkeypatch.setattr(facts, "installed_versions", lambda: {"paddlenlp": "3.0.0b4", "paddle": "2.6", "aistudio-sdk": "0.3.0"})
    monkeypatch.setattr(facts, "probe_import", lambda: ({}, "ImportError: libcudart.so"))
    found = list(checks())
    assert not [check for check in found if "pip install" in check.remedy or "make setup" in check.remedy]
    assert installation.install_beside(Path(ai_studio)) in [check.remedy for check in found if check.name == "version pairs"]
    assert installation.AI_STUDIO_IMAGE in [check.remedy for check in found if check.name == "version pairs"]


def test_an_installed_package_names_nothing_that_only_the_source_has(monkeypatch):
    monkeypatch.setattr(installation, "SOURCE_TREE", None)
    for text in [*hints().values(), *doctor_remedies(), *(pair.remedy for pair in KNOWN_BAD)]:
        assert not any(word in text for word in ONLY_IN_THE_SOURCE), text
    assert hints()["paddle", "gpu"] == f"pip uninstall -y paddlepaddle, then {installation.INSTALL_GPU}"
    assert hints()["paddle", "cpu"] == f"pip uninstall -y paddlepaddle-gpu, then {installation.INSTALL_CPU}"
    assert hints()["paddle", None].endswith(installation.INSTALL_PADDLE)


def test_a_source_tree_has_make_setup():
    assert all("make setup" in text for text in hints().values())
    assert "requirements-gpu.txt" in hints()["paddle", "gpu"] and "requirements-gpu.txt" not in hints()["paddle", "cpu"]
