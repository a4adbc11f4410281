"""Test that the lock files pin what the requirement files name, with hashes, and that make setup refuses an outdated lock."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from setup.lock import LOCK_NAMES
from setup.requirement_files import ALL_FILES, BUILD, CPU, DEV, GPU, ROOT, recorded_digest, requirement_lines, requirements_digest

# What each lock must contain. gpu.lock leaves out the one wheel whose hash is not known.
INPUTS = {"build.lock": [BUILD], "base.lock": [DEV, BUILD], "cpu.lock": [CPU, DEV, BUILD], "gpu.lock": [GPU, DEV, BUILD]}
NOT_LOCKED = {"gpu.lock": {"paddlepaddle-gpu"}}
PYTHONS = ("3.10", "3.11", "3.12")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def read_lock(path: Path) -> dict[str, list[tuple[Requirement, int]]]:
    """Return each package's pins with their number of hashes, by the package's name, includes followed."""
    pins: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in "\n".join(requirement_lines(path)).replace("\\\n", " ").splitlines():
        text, *hashes = re.split(r"\s+(?=--hash=)", entry.strip())
        assert all(HASH.fullmatch(value) for value in hashes), entry
        requirement = Requirement(text)
        pins.setdefault(canonicalize_name(requirement.name), []).append((requirement, len(hashes)))
    return pins


def version_for(python: str, pins: list[tuple[Requirement, int]]) -> list[str]:
    """Return the versions that a package's pins give on this platform with a Python version."""
    environment = default_environment() | {"python_version": python, "python_full_version": f"{python}.9"}
    always = Marker("python_version > '3'")
    return [str(pin.specifier) for pin, _ in pins if (pin.marker or always).evaluate(environment)]


def disagreements(root: Path) -> list[str]:
    """Return what is wrong between the requirement files and the locks below `root`."""
    wrong = []
    for name in LOCK_NAMES:
        lock = root / "setup" / name
        pins = read_lock(lock)
        if recorded_digest(lock) != requirements_digest(root):
            wrong.append(f"{name}: written for other requirements; run `make lock`")
        wrong += [f"{name}: {package} has no hash" for package, entries in pins.items() if not all(count for _, count in entries)]
        wrong += [f"{name}: {pin} is not one version" for entries in pins.values() for pin, _ in entries if not is_pin(pin)]
        for line in [line for file in INPUTS[name] for line in requirement_lines(root / file)]:
            requirement = Requirement(line)
            package = canonicalize_name(requirement.name)
            if package in NOT_LOCKED.get(name, ()):
                continue
            for python in PYTHONS:
                versions = version_for(python, pins.get(package, []))
                if versions != [str(requirement.specifier)]:
                    wrong.append(f"{name}: {line} is asked for, Python {python} gets {versions or 'nothing'}")
    return wrong


def is_pin(requirement: Requirement) -> bool:
    """Return whether a requirement allows one version only."""
    return [specifier.operator for specifier in requirement.specifier] == ["=="]


@pytest.fixture
def project(tmp_path):
    """Return a copy of the requirement files, the locks and the code of the setup."""
    for name in [*ALL_FILES, "requirements-base.txt"]:
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "setup", tmp_path / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Replace the first match of a pattern in a file."""
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), count=1)
    assert count == 1
    path.write_text(text, encoding="utf-8")


def test_locks_agree_with_the_requirement_files():
    assert disagreements(ROOT) == []


def test_every_package_has_at_most_one_version_per_python():
    for name in LOCK_NAMES:
        for package, pins in read_lock(ROOT / "setup" / name).items():
            for python in PYTHONS:
                assert len(version_for(python, pins)) <= 1, (name, package, python)


def test_locks_pin_the_same_versions():
    """The build tools are installed before the rest, which must not replace them."""
    base = read_lock(ROOT / "setup" / "base.lock")
    for package, pins in read_lock(ROOT / "setup" / "build.lock").items():
        for python in PYTHONS:
            assert version_for(python, pins) == version_for(python, base[package])


def test_only_the_cpu_lock_has_paddlepaddle():
    assert "paddlepaddle" in read_lock(ROOT / "setup" / "cpu.lock")
    assert "paddlepaddle" not in read_lock(ROOT / "setup" / "gpu.lock")
    assert "NOT locked" in (ROOT / "setup" / "gpu.lock").read_text(encoding="utf-8")


def test_locks_name_no_index():
    for name in LOCK_NAMES:
        text = (ROOT / "setup" / name).read_text(encoding="utf-8")
        assert "://" not in text and "--index" not in text.replace("--extra-index-url ADDRESS", "")


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "message"),
    [
        ("requirements-base.txt", "tqdm==", "tqdm==1.", "tqdm==1."),
        ("requirements-base.txt", "paddlenlp==", "tomlkit==0.13\npaddlenlp==", "tomlkit==0.13 is asked for"),
        ("requirements-base.txt", "PyYAML==6.0.3\n", "", "written for other requirements"),
        ("requirements-gpu.txt", "paddlepaddle-gpu==3", "paddlepaddle-gpu==4", "written for other requirements"),
        ("requirements-dev.txt", "pytest==", "pytest==1.", "pytest==1."),
        ("setup/base.lock", "\ntqdm==", "\ntqdm==1.", "cpu.lock: tqdm=="),
        ("setup/build.lock", r"(\nwheel==\S+) \\\n(    --hash.*\n)+", r"\1\n", "build.lock: wheel has no hash"),
        ("setup/cpu.lock", "paddlepaddle==", "paddle-other==", "cpu.lock: paddlepaddle==3.3.1 is asked for"),
        ("setup/base.lock", "pandas==", "pandas>=", "is not one version"),
    ],
)
def test_a_disagreement_is_found(project, file, pattern, replacement, message):
    edit(project / file, pattern, replacement)
    assert any(message in line for line in disagreements(project)), disagreements(project)


def test_a_comment_does_not_count_as_a_change(project):
    edit(project / "requirements-base.txt", "paddlenlp==", "# a reason\npaddlenlp==")
    assert disagreements(project) == []


def test_setup_refuses_an_outdated_lock(project):
    edit(project / "requirements-base.txt", "tqdm==", "tqdm==1.")
    command = [sys.executable, "-m", "setup.install"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Run `make lock`" in done.stderr and "Traceback" not in done.stderr
    assert not (project / ".venv").exists()


def test_lock_refuses_variants_that_differ(project):
    """The GPU variant's other packages are those of the CPU wheel of the same version."""
    edit(project / "requirements-gpu.txt", "paddlepaddle-gpu==3", "paddlepaddle-gpu==4")
    before = (project / "setup" / "base.lock").read_bytes()
    command = [sys.executable, "-m", "setup.lock"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "must name the same versions" in done.stderr
    assert (project / "setup" / "base.lock").read_bytes() == before
