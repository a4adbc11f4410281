"""Test that a wheel has every file of paddle_ft and convert, the recipes, the commands and the pinned dependencies."""

import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from paddle_ft import __version__
from setup.requirement_files import requirement_lines
from tests.support.paths import ROOT

PACKAGES = ("paddle_ft", "convert")


@pytest.fixture
def source(tmp_path):
    """Return a copy of the files that a wheel is built from."""
    for path in (*ROOT.glob("requirements*.txt"), *(ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"))):
        shutil.copy(path, tmp_path)
    for folder in (*PACKAGES, "configs", "setup"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def build_wheel(source: Path) -> zipfile.ZipFile:
    """Build a wheel as pip does."""
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return zipfile.ZipFile(source / "dist" / done.stdout.splitlines()[-1])


def missing_from_wheel(source: Path) -> set[str]:
    """Build a wheel, and return the files that are not in it: those of the packages, and the recipes in their place."""
    with build_wheel(source) as wheel:
        packed = set(wheel.namelist())
    files = [path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file()]
    recipes = [f"paddle_ft/{path.relative_to(source)}" for path in (source / "configs").rglob("*.yaml")]
    return {*(str(path.relative_to(source)) for path in files), *recipes} - packed


def test_the_wheel_has_every_file(source):
    assert missing_from_wheel(source) == set()


def test_the_wheel_has_the_licence_and_the_notice(source):
    with build_wheel(source) as wheel:
        [metadata_file] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        assert "License-Expression: Apache-2.0\n" in wheel.read(metadata_file).decode()
        for name in ("LICENSE", "NOTICE"):
            assert wheel.read(metadata_file.replace("METADATA", f"licenses/{name}")) == (ROOT / name).read_bytes()


@pytest.mark.parametrize(("pattern", "replacement", "file"), [
    (r"\npackage-data = .*", "", "paddle_ft/reporting/page.html"),
    (r', "convert\*"', "", "convert/families/bert.py"),
    (r"\ncmdclass = .*", "", "paddle_ft/configs/bart_lcsts.yaml"),
])  # fmt: skip
def test_a_missing_file_is_found(source, pattern, replacement, file):
    text, count = re.subn(pattern, replacement, (source / "pyproject.toml").read_text())
    assert count == 1
    (source / "pyproject.toml").write_text(text)
    assert file in missing_from_wheel(source)


def test_the_wheel_has_the_commands_the_version_and_the_pins(source):
    with build_wheel(source) as wheel:
        [metadata_file] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(wheel.read(metadata_file).decode())
        commands = wheel.read(metadata_file.replace("METADATA", "entry_points.txt")).decode()
    assert "paddle-ft = paddle_ft.__main__:console" in commands
    assert "paddle-ft-convert = convert.__main__:main" in commands
    assert metadata["Version"] == __version__
    assert set(metadata.get_all("Provides-Extra")) == {"cpu", "gpu", "rhymes", "demo", "xlsx", "serve", "sweep", "export", "verify"}
    required = metadata.get_all("Requires-Dist")
    assert {line for line in required if "extra ==" not in line} == set(requirement_lines(ROOT / "requirements-base.txt"))
    # Paddle's CPU and GPU builds overwrite each other, so a plain installation must bring neither.
    paddle = {line.replace('"', "'") for line in required if line.startswith("paddlepaddle")}
    assert paddle == {"paddlepaddle==3.3.1; extra == 'cpu'", "paddlepaddle-gpu==3.3.1; extra == 'gpu'"}
    for variant, extra in (("requirements.txt", "cpu"), ("requirements-gpu.txt", "gpu")):
        assert [line for line in requirement_lines(ROOT / variant) if line.startswith("paddlepaddle")] == [
            line.partition(";")[0] for line in paddle if line.endswith(f"'{extra}'")
        ]
