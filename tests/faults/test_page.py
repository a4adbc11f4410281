"""Check that every line of the tables in docs/reliability.md names tests that exist."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.support.pages import read
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow


class _Words(dict):
    """Say of each word of an expression of -k whether it is in the name of a test."""

    def __init__(self, name: str):
        self.name = name.lower()

    def __missing__(self, word: str) -> bool:
        return word.lower() in self.name


def collect(*paths: str) -> list[str]:
    """Return the ids of all tests in files and folders: tests/faults/test_memory.py::test_name[case]."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    return [line for line in done.stdout.splitlines() if "::" in line]


def selections() -> list[str]:
    """Return the last cells of the tables of faults: the arguments of pytest."""
    lines = [line for line in read("docs/reliability.md").splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line)[-2].strip() for line in lines]
    return [cell.strip("`") for cell in cells if cell.startswith("`-") or cell.startswith("`tests/")]


def test_every_fault_of_the_page_has_its_tests():
    chosen = {selection: shlex.split(selection) for selection in selections()}
    paths = {words[0] for words in chosen.values() if words[0] != "-k"}
    collected = collect("tests/faults", *sorted(paths))
    found = {}
    for selection, words in chosen.items():
        folder = "tests/faults/" if words[0] == "-k" else words[0]
        expression = words[words.index("-k") + 1] if "-k" in words else "test"
        code = compile(expression, "-k", "eval")
        names = [(name, name.rpartition("/")[2]) for name in collected if name.startswith(folder)]
        found[selection] = {name for name, short in names if eval(code, {"__builtins__": {}}, _Words(short))}
    assert len(found) > 30 and all(found.values()), {selection: len(names) for selection, names in found.items()}
    elsewhere = ("tests/faults/test_secrets.py", "tests/faults/test_page.py")  # SECURITY.md; this one
    faults = {name for name in collected if name.startswith("tests/faults/") and not name.startswith(elsewhere)}
    assert faults - set().union(*found.values()) == set()
