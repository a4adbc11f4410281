"""Test that the version is written in one place, and that the changelog speaks of it."""

import re

from paddle_ft import __version__
from tests.support.pages import read


def test_the_newest_version_of_the_changelog_is_this_one():
    headings = re.findall(r"^## (\d+\.\d+\.\d+) - (unreleased|\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)
    assert len(headings) == len(re.findall("^## ", read("CHANGELOG.md"), re.MULTILINE)), "a heading is not: VERSION - DATE"
    versions = [tuple(map(int, version.split("."))) for version, _ in headings]
    assert versions == sorted(set(versions), reverse=True)
    assert headings[0][0] == __version__
    assert all(date != "unreleased" for _, date in headings[1:])


def test_pyproject_takes_the_version_from_the_package():
    text = read("pyproject.toml")
    assert re.search(r"^dynamic = .*\"version\"", text, re.MULTILINE) and 'attr = "paddle_ft.system.version.__version__"' in text
    assert not re.search(r"^version = ", text, re.MULTILINE)
