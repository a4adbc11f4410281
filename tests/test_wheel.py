"""Test that `pip install .` installs every file of paddle_ft and convert, including page.html of the report."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("paddle_ft", "convert")


@pytest.fixture
def source(tmp_path):
    """Return a copy of the files that a wheel is built from."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def missing_from_wheel(source: Path) -> set[str]:
    """Build a wheel as pip does, and return the files of the packages that are not in it."""
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(source / "dist" / done.stdout.splitlines()[-1]) as wheel:
        packed = set(wheel.namelist())
    files = [path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file()]
    return {str(path.relative_to(source)) for path in files} - packed


def test_the_wheel_has_every_file(source):
    assert missing_from_wheel(source) == set()


def test_the_wheel_has_the_licence_and_the_notice(source):
    missing_from_wheel(source)
    (path,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
        for name in ("LICENSE", "NOTICE"):
            assert wheel.read(f"{folder}/licenses/{name}") == (ROOT / name).read_bytes()
        metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "License-Expression: Apache-2.0\n" in metadata


@pytest.mark.parametrize(("pattern", "replacement", "file"), [
    (r"\npackage-data = .*", "", "paddle_ft/reporting/page.html"),
    (r', "convert\*"', "", "convert/families/bert.py"),
])  # fmt: skip
def test_a_missing_file_is_found(source, pattern, replacement, file):
    text, count = re.subn(pattern, replacement, (source / "pyproject.toml").read_text())
    assert count == 1
    (source / "pyproject.toml").write_text(text)
    assert file in missing_from_wheel(source)
