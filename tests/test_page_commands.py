"""Test the commands in pages, recipes and the Makefile: each is parsed as its program parses it, and not run."""

import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from convert.__main__ import build_parser
from paddle_ft import cli
from paddle_ft.commands import find_command
from paddle_ft.config.load import load_config
from paddle_ft.config.recipes import recipe_names, study_names
from paddle_ft.experiments import study_plan, sweep_plan
from paddle_ft.experiments.study_file import read_study
from paddle_ft.system.errors import UserError
from tests.support.pages import FILES, PAGES, code_lines, read
from tests.support.paths import ROOT

COMMAND = re.compile(r"(?:^|\s)(train\.py|benchmarks/\w+\.py|make|(?<=-m )(?:paddle_ft|convert|setup|tests)(?:\.\w+)*)(?:\s.*)?$")


def commands(name: str) -> list[str]:
    """Return the commands of this project in a file, from the program on and without comments."""
    if name.endswith(".md"):
        lines = [re.sub(r"(^|\s)#\s.*|\s\$\w+$", "", line) for line in code_lines(read(name))]
    else:  # one command per line; its explanation follows after at least three spaces
        lines = [re.split(r"\s{3,}", line.strip(" #\t"))[0] for line in read(name).splitlines()]
        lines = [line for line in lines if "python" in line or name == ".ci/run"]
    return list(dict.fromkeys(match[0].strip() for line in lines if (match := COMMAND.search(line))))


def make_targets() -> set[str]:
    return set(re.search(r"^\.PHONY: (.*)", read("Makefile"), re.MULTILINE)[1].split())


def test_make_help_lists_every_target():
    rules = set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), re.MULTILINE))
    listed = set(re.findall(r'@echo "make ([\w-]+)  ', read("Makefile")))
    assert rules == listed == make_targets()


@functools.cache
def help_of(script: str) -> str:
    """Return what a script prints for --help."""
    done = subprocess.run([sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_cli(arguments: list[str], monkeypatch) -> None:
    """Parse a command of paddle_ft with its own parser, and load the recipe that it names with the settings that it names.

    Modules of --import are left out, because what they define would stay registered during later tests.
    """
    parsed, arguments = [], shlex.split(re.sub(r"--import \S+", "", shlex.join(arguments)))
    monkeypatch.setattr(find_command(arguments[0]), "run", lambda options: parsed.append(options) or 0)
    assert cli.main(arguments) == 0
    [options] = parsed
    if arguments[0] == "sweep" and options.config in recipe_names():
        sweep_plan.make_plan(lambda values: load_config(options.config, values, options.sample), options.overrides, options.trials)
    elif getattr(options, "config", None) in recipe_names():
        load_config(options.config, [*options.overrides, *getattr(options, "against", [])], options.sample)
    if getattr(options, "study", None) in study_names():
        study_plan.make_plan(read_study(options.study, options.sample), options.overrides, options.seeds)


SCRIPTED = [*PAGES, "Makefile", ".ci/run", *(name for name in FILES if name.startswith(("configs/", "benchmarks/")))]


@pytest.mark.parametrize("command", [f"{name}: {command}" for name in SCRIPTED for command in commands(name)])
def test_commands_are_understood(command, monkeypatch):
    """Parse each command with the parser of its program."""
    program, *arguments = shlex.split(command.partition(": ")[2])
    if program == "make":
        assert {word for word in arguments if "=" not in word} <= make_targets()
    elif program == "train.py" and arguments:
        check_cli(["train", *arguments], monkeypatch)
    elif program == "paddle_ft" and arguments not in ([], ["--help"]):
        check_cli(arguments, monkeypatch)
    elif program == "convert" and arguments:
        build_parser().parse_args(arguments)
    elif program.startswith("benchmarks/"):
        assert [word for word in arguments if word.startswith("--") and word not in help_of(program)] == []


@pytest.mark.parametrize("command", [
    "x: make nothing", "x: train.py --nothing", "x: train.py --config bart_lcsts train.nothing=1", "x: paddle_ft predict RUN",
    "x: paddle_ft study noise lyrics.train.nothing=1", "x: convert to-paddle SRC", "x: benchmarks/convert_speed.py --nothing",
])  # fmt: skip
def test_a_wrong_command_is_found(command, monkeypatch):
    with pytest.raises((AssertionError, SystemExit, UserError)):
        test_commands_are_understood(command, monkeypatch)


def test_commands_are_found_in_pages(tmp_path, monkeypatch):
    page = """See `python -m convert --help`.
```
python train.py --config x "data.columns={a: 1,
    b: 2}" \\
    task.y=1      # a comment
OMP_NUM_THREADS=2 python benchmarks/x.py
make demo     # more
```
"""
    (tmp_path / "page.md").write_text(page)
    assert commands(str(tmp_path / "page.md")) == [
        'train.py --config x "data.columns={a: 1, b: 2}" task.y=1', "benchmarks/x.py", "make demo", "convert --help",
    ]  # fmt: skip


# -------------------------------------------------------------------------------------------------- runs that commands use
DEMO_RUN = "bart_lcsts_sample"  # what `make demo` leaves, with which every reader has begun
SAMPLE_RUNS = "After `--sample` it is `runs/NAME_sample`"  # a page that says so may name the runs of full trainings


def runs_made(name: str) -> set[str]:
    """Return the runs that the reader of a page has: the demo's, and those that the page itself makes."""
    text = read(name)
    made = {DEMO_RUN, *re.findall(r"output_dir[=:] ?[\w/]*runs/([\w-]+)", text)}
    for command in commands(name):
        recipe = re.search(r"train(?:\.py)? .*?--config (\w+)", command)
        if recipe and "--sample" in command:
            made.add(f"{recipe[1]}_sample")
        elif recipe and (SAMPLE_RUNS in text or "data.source=null" in command):  # the page says where the data comes from
            made.add(recipe[1])
    return made


def runs_used(name: str) -> set[str]:
    """Return the runs that the commands of a page use.

    `repeat`, `study` and `train` make what they name; `--resume` alone uses it.
    """
    making = re.compile(r"train|repeat|study|benchmarks/")
    using = [command for command in commands(name) if "--resume" in command or not making.search(command)]
    return {run for command in using for run in re.findall(r"\bruns/([\w-]+)", command)}


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith(("README", "docs/"))])
def test_a_reader_who_has_run_make_demo_has_every_run_that_is_used(name):
    made = runs_made(name)
    exports = {f"{run}-{kind}" for run in made for kind in ("onnx", "inference", "hf", "onnx-int8")}
    assert runs_used(name) <= made | exports


def test_a_run_that_the_reader_does_not_have_is_found(tmp_path):
    page = "```\npython train.py --config bart_lyrics\npython -m paddle_ft demo runs/bart_lcsts runs/bart_lyrics\n```\n"
    path = str(tmp_path / "page.md")
    Path(path).write_text(page)
    assert runs_used(path) == {"bart_lcsts", "bart_lyrics"} and runs_made(path) == {DEMO_RUN}
    Path(path).write_text(f"{SAMPLE_RUNS}.\n{page}")
    assert runs_made(path) == {DEMO_RUN, "bart_lyrics"}
