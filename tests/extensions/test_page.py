"""Test that docs/extend.md shows every file of docs/examples as it is, and only commands that work and that the tests run."""

import re
import shlex
from itertools import pairwise

import pytest

from tests.support.examples import EXAMPLES, copy_examples, launch_commands, run_command
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
FILES_ON_PAGE = dict(re.findall(r"^\[examples/(.+)\]\(examples/\1\):\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
# docs/demo.md has main.gradio.py.
ON_PAGE = [path for path in EXAMPLES.iterdir() if path.suffix in (".py", ".yaml") and path.name != "main.gradio.py"]
TERMINAL = "".join(re.findall(r"^```\n(.*?)^```$", re.sub(r"```\w+\n.*?```", "", PAGE, flags=re.DOTALL), re.MULTILINE | re.DOTALL))
COMMANDS = [shlex.split(line) for line in re.findall(r"^python -m (.*)$", TERMINAL, re.MULTILINE)]


def test_every_example_is_on_the_page():
    assert set(FILES_ON_PAGE) == {path.name for path in ON_PAGE}


@pytest.mark.parametrize("name", sorted(FILES_ON_PAGE))
def test_the_page_shows_the_file_as_it_is(name):
    assert FILES_ON_PAGE[name] == (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(FILES_ON_PAGE))
def test_the_command_in_a_files_header_is_on_the_page(name):
    commands = launch_commands(name)
    assert commands and all(command in COMMANDS for command in commands)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command[:2] == ["paddle_ft", "train"]], ids=" ".join)
def test_the_command_is_understood(command, tmp_path):
    folder = copy_examples(tmp_path / "mine", *(path.name for path in ON_PAGE))
    printed = run_command(folder, "-m", *command, "--print-config").stdout
    assert all(setting.split("=")[1] in printed for setting in command if "=" in setting)


def test_the_commands_name_files_that_exist():
    words = {word for command in COMMANDS for word in command}
    for word in words - {"predictions.csv"}:  # a command writes this file
        if re.search(r"\.(csv|yaml|pairs)$", word):
            assert (EXAMPLES / word).is_file(), word
    modules = {after for command in COMMANDS for word, after in pairwise(command) if word == "--import"}
    assert modules == {path.stem for path in ON_PAGE if path.suffix == ".py"}


def test_the_readme_links_to_the_page_and_the_paths_on_it_exist():
    assert "(docs/extend.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:paddle_ft|convert|configs)/[\w/.]*)`", PAGE):
        assert (ROOT / name).exists(), name
