"""Test that the rows of large files are read once and then taken from the cache, and that no change goes unnoticed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paddle_ft.data import load, row_cache, row_table
from paddle_ft.data.load import load_split
from paddle_ft.data.row_table import RowTable
from paddle_ft.data.sources.local import LocalFiles
from paddle_ft.system.errors import UserError
from tests.support.data_sections import section
from tests.support.paths import ROOT
from tests.support.read_only import read_only


@pytest.fixture(autouse=True)
def large(tmp_path, monkeypatch):
    """Treat all files as large."""
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(row_cache, "LARGE", 0)
    monkeypatch.setattr(row_table, "ROWS_IN_MEMORY", 10)


@pytest.fixture
def reads(monkeypatch):
    """Return a list that grows with each reading of files."""
    calls, read = [], LocalFiles.read
    monkeypatch.setattr(LocalFiles, "read", lambda self, *args: calls.append(args[1]) or read(self, *args))
    return calls


def make_lines(count, bad=()):
    lines = [json.dumps({"source": f"text {i}", "target": f"line {i}\n"}) for i in range(count)]
    return "".join(("{" if number in bad else line) + "\n" for number, line in enumerate(lines, start=1))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "train.jsonl").write_text(make_lines(45))
    return section(train=str(tmp_path / "*.jsonl"))


def entries(tmp_path):
    return sorted(path for path in (tmp_path / "home" / "rows").glob("*") if path.is_dir())


def in_memory(data, split="train"):
    """Return the rows of a split as the readers give them, without the cache."""
    rows = load_split(data.model_copy(update={"cache": False}), split)
    rows.rows = list(rows.rows)
    return rows


def assert_same(rows, expected):
    assert isinstance(rows.rows, RowTable) and list(rows.rows) == expected.rows
    assert (rows.bad, rows.files, rows.info) == (expected.bad, expected.files, expected.info)
    assert rows.fingerprint() == expected.fingerprint()


def test_rows_are_read_once(tmp_path, data, reads):
    expected = in_memory(data)
    reads.clear()
    for _ in range(3):
        assert_same(load_split(data, "train"), expected)
    assert reads == ["train"]
    assert sorted(path.name for path in entries(tmp_path)[0].iterdir()) == ["rows.arrow", "rows.json"]


def test_bad_rows_and_decisions_are_kept(tmp_path, data, reads, monkeypatch):
    (tmp_path / "train.jsonl").write_text(make_lines(45, bad=(3, 30)))
    read = LocalFiles.read
    monkeypatch.setattr(LocalFiles, "read", lambda self, *args: args[2].decide("a: b") or read(self, *args))
    with pytest.raises(UserError, match=r"train\.jsonl:3: invalid JSON .*\n2 of 45 rows are bad"):
        load_split(data, "train")
    assert entries(tmp_path) == []
    skipping = data.model_copy(update={"on_bad_row": "skip"})
    expected = in_memory(skipping)
    assert [bad.line for bad in expected.bad] == [3, 30] and expected.decisions == ["a: b"]
    for _ in range(2):
        assert_same(load_split(skipping, "train"), expected)
    assert len(reads) == 3


def replace_text(path):
    path.write_text(path.read_text().replace("text 3", "TEXT 3"))


def keep_time(change):
    def changed(path):
        times = path.stat()
        change(path)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    return changed


def replace_file(path):
    other = path.with_suffix(".new")
    other.write_text(path.read_text().replace("text 3", "TEXT 3"))
    other.rename(path)


CHANGES = {
    "content": replace_text,
    "content, with the same time": keep_time(replace_text),
    "another file, with the same time": keep_time(replace_file),
    "more rows": lambda path: path.write_text(make_lines(46)),
    "a new file": lambda path: (path.parent / "more.jsonl").write_text(make_lines(3)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_files_is_noticed(tmp_path, data, reads, change):
    before = load_split(data, "train").fingerprint()
    CHANGES[change](tmp_path / "train.jsonl")
    rows = load_split(data, "train")
    assert rows.fingerprint() != before and reads == ["train", "train"]
    assert_same(rows, in_memory(data))


@pytest.mark.parametrize(
    "settings", [{"columns": {"source": "target"}}, {"on_bad_row": "skip"}, {"limit_train": 44}, {"train": ["{}/train.jsonl"]}]
)
def test_other_settings_are_other_rows(tmp_path, data, reads, settings):
    load_split(data, "train")
    settings = {name: [path.format(tmp_path) for path in value] if name == "train" else value for name, value in settings.items()}
    other = data.model_copy(update=settings)
    assert_same(load_split(other, "train"), in_memory(other))
    assert len(reads) == 3 and len(entries(tmp_path)) == 2
    load_split(data.model_copy(update={"validation": "x.tsv", "limit_test": 3}), "train")  # the settings of other splits
    assert len(reads) == 3


def test_other_fields_and_other_code_are_other_rows(tmp_path, data, reads, monkeypatch):
    load_split(data, "train")
    load_split(data, "train", ("source",))
    load_split(data, "train", ("source",), ("target",))
    monkeypatch.setattr(row_cache, "code_digest", lambda *paths: "changed")
    load_split(data, "train")
    assert len(reads) == 4


def test_files_that_change_while_they_are_read_are_not_kept(tmp_path, data, capsys, monkeypatch):
    collect = load.collect_rows

    def collect_and_change(*args):
        rows = collect(*args)
        replace_text(tmp_path / "train.jsonl")
        return rows

    monkeypatch.setattr(load, "collect_rows", collect_and_change)
    assert load_split(data, "train").rows[3]["source"] == "text 3"
    assert "read train: the files have changed while they were read" in capsys.readouterr().err
    assert entries(tmp_path) == []


def test_small_files_and_few_rows_are_read_every_time(tmp_path, data, reads, monkeypatch):
    few = data.model_copy(update={"limit_train": 9})
    assert load_split(few, "train").rows == in_memory(few).rows == load_split(few, "train").rows
    monkeypatch.setattr(row_cache, "LARGE", 10**6)
    load_split(data, "train")
    assert len(reads) == 4 and entries(tmp_path) == []


def test_without_the_cache_nothing_is_written(tmp_path, data):
    rows = load_split(data.model_copy(update={"cache": False}), "train")
    assert isinstance(rows.rows, RowTable) and rows.rows.cache is None
    assert not (tmp_path / "home").exists()


def test_rows_of_unknown_files_take_no_memory_and_leave_nothing(tmp_path, data, reads, monkeypatch):
    """The source does not say which files it reads, as one of a user's own."""
    monkeypatch.setattr(LocalFiles, "files", lambda self, data, split: None)
    for _ in range(2):
        rows = load_split(data, "train")
        assert_same(rows, in_memory(data))
        assert rows.rows._mapped is not None
    assert len(reads) == 4 and list((tmp_path / "home" / "rows").iterdir()) == []


@pytest.mark.parametrize("name", ["rows.arrow", "rows.json"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.98])
def test_a_damaged_table_is_made_anew(tmp_path, data, reads, capsys, name, keep):
    load_split(data, "train")
    (entry,) = entries(tmp_path)
    content = (entry / name).read_bytes()
    (entry / name).write_bytes(content[: int(keep * len(content))])
    assert_same(load_split(data, "train"), in_memory(data))
    assert f"The table of the rows in {entry} is damaged and is made anew" in capsys.readouterr().err
    load_split(data, "train")
    assert len(reads) == 3


def test_a_changed_byte_is_noticed(tmp_path, data, reads):
    load_split(data, "train")
    (entry,) = entries(tmp_path)
    content = bytearray((entry / "rows.arrow").read_bytes())
    content[content.index(b"text 3")] ^= 1
    (entry / "rows.arrow").write_bytes(content)
    assert_same(load_split(data, "train"), in_memory(data))


def test_a_read_only_cache_is_read(data, reads, monkeypatch, capsys):
    with tempfile.TemporaryDirectory() as folder:  # its parents can be read by everybody, which those of tmp_path cannot
        Path(folder).chmod(0o755)
        monkeypatch.setenv("PADDLE_FT_HOME", folder)
        own = Path(folder) / "train.jsonl"
        own.write_text(make_lines(45))
        data = section(train=str(own))
        expected = in_memory(data)
        load_split(data, "train")
        reads.clear()
        with read_only(Path(folder) / "rows"):
            assert_same(load_split(data, "train"), expected)
            assert reads == []
            few = data.model_copy(update={"limit_train": 30})
            assert list(load_split(few, "train").rows) == expected.rows[:30]
            assert "The table of the rows is not kept for the next run, and is held in memory" in capsys.readouterr().err


PROGRAM = """
import os, signal, sys
from paddle_ft.data import row_cache, row_table
from paddle_ft.data.load import load_split
from paddle_ft.data.sources.local import LocalFiles
from tests.support.data_sections import section

row_cache.LARGE, row_table.ROWS_IN_MEMORY = 0, 10
kill_at, read = int(sys.argv[2]), LocalFiles.read
reads = []
def read_and_kill(self, data, split, fields):
    reads.append(split)
    for file, records in read(self, data, split, fields):
        def until():
            for number, record in records:
                if number == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield number, record
        yield file, until()
LocalFiles.read = read_and_kill
rows = load_split(section(train=sys.argv[1]), "train")
print(len(reads), len(rows), rows.fingerprint())
"""


def start(path, kill_at=0):
    arguments = [sys.executable, "-c", PROGRAM, str(path), str(kill_at)]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_and_then_two_at_once(tmp_path):
    """The first process is killed. Of the two after it, one reads the file, and the other waits and takes the table."""
    path = tmp_path / "train.jsonl"
    path.write_text(make_lines(5000))
    first = start(path, kill_at=3000)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert [entry.suffix for entry in entries(tmp_path)] == [".part"]
    outputs = [process.communicate() for process in [start(path) for _ in range(2)]]
    fingerprint = in_memory(section(train=str(path))).fingerprint()
    assert sorted(output for output, _ in outputs) == [f"{reads} 5000 {fingerprint}\n" for reads in (0, 1)], outputs
    assert [entry.suffix for entry in entries(tmp_path)] == [""]
