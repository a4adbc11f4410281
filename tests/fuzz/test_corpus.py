"""Run each fuzz target's corpus and a few new cases, and check that the frame sees what it must see."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import strategies as st

from paddle_ft.system.errors import UserError
from tests.fuzz.guard import CODE_MARK, run_case
from tests.fuzz.search import Search
from tests.fuzz.target import CORPUS, Target, find_corpus, find_targets

TARGETS = find_targets()
CASES = [(name, case) for name, target in TARGETS.items() for case in find_corpus(target)]


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}-{case}" for name, case in CASES])
def test_what_once_broke_a_target_is_read_or_refused(name, case, tmp_path):
    find = run_case(TARGETS[name], find_corpus(TARGETS[name])[case](), tmp_path)
    assert find is None, find.details


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_new_cases(name, tmp_path):
    finds, share = [], TARGETS[name].share
    Search(TARGETS[name], tmp_path, lambda find, files: finds.append((find, files))).run_block(0, max(1, round(20 * share)))
    assert not finds, f"{finds[0][1]}\n{finds[0][0].details}"


def test_every_folder_of_the_corpus_has_a_target():
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= set(TARGETS)


def _fail(folder: Path) -> None:
    raise KeyError("x")


def _refuse(folder: Path) -> None:
    raise UserError("x")


def _wait(folder: Path) -> None:
    while True:
        pass


def _swallow_and_wait(folder: Path) -> None:
    while True:
        try:
            _wait(folder)
        except Exception:
            continue


def _sleep(folder: Path) -> None:
    time.sleep(100)


def _fill_memory(folder: Path) -> None:
    bytearray(2**33)  # more than any earlier test can have left free in this process


def _write_above(folder: Path) -> None:
    Path("../above").write_text("x")


def _link_and_write_through_it(folder: Path) -> None:
    Path("inside").symlink_to("..")
    Path("inside/above").write_text("x")


def _run_the_file(folder: Path) -> None:
    eval((folder / "input").read_text())


def _start_a_program(folder: Path) -> None:
    os.system("true")


def _write_inside(folder: Path) -> None:
    Path("new").mkdir()
    Path("new/file").write_text("x")


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (_fail, "exception"), (_refuse, None), (_wait, "time"), (_swallow_and_wait, "time"), (_sleep, "time"),
        (_fill_memory, "memory"), (_run_the_file, "code"), (_start_a_program, "code"), (_write_inside, None),
    ],
)  # fmt: skip
def test_a_case_that_ends_badly_is_a_find(run, kind, tmp_path):
    target = Target("try", run, st.nothing(), seconds=0.2, megabytes=100)
    find = run_case(target, {"input": f"'{CODE_MARK}'".encode()}, tmp_path)
    assert (find and find.kind) == kind
    assert not list(tmp_path.iterdir())  # so that the next case finds nothing of this one


@pytest.mark.parametrize("run", [_write_above, _link_and_write_through_it])
def test_a_file_outside_the_folder_of_a_case_is_a_find(run, tmp_path):
    find = run_case(Target("try", run, st.nothing()), {"input": b""}, tmp_path)
    assert find is not None and find.kind == "file" and find.place == f"opened for writing: {tmp_path}/above"


def test_a_find_is_reported_once_and_made_smaller(tmp_path):
    def fail_for_a(folder: Path) -> None:
        assert b"a" not in (folder / "input").read_bytes()

    finds = []
    texts = st.lists(st.sampled_from([b"a", b"b"]), max_size=50).map(b"".join)
    target = Target("try", fail_for_a, st.fixed_dictionaries({"input": texts}))
    search = Search(target, tmp_path, lambda find, files: finds.append((find, files)))
    assert search.run_block(0, 100) + search.run_block(1, 100) > 100
    assert len(finds) == 1 and finds[0][1] == {"input": b"a"}
    assert finds[0][0].kind == "exception" and finds[0][0].place.startswith("AssertionError tests/fuzz/test_corpus.py:")
