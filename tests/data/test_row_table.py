"""Test that rows in a table are those of a list, in memory, in a file, and if the file cannot be written."""

import contextlib
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from paddle_ft.data import row_table
from paddle_ft.data.arrays import AppendedFile
from paddle_ft.data.row_table import RowTable, RowWriter, digest_rows
from paddle_ft.data.row_texts import AllTexts, RowTexts, distinct
from paddle_ft.data.rows import Rows
from paddle_ft.system.errors import UserError


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(row_table, "ROWS_IN_MEMORY", 10)
    monkeypatch.setattr(row_table, "ROWS_AT_ONCE", 7)


def make_rows(count):
    """Return rows with a label of few values, and an optional field that every third row lacks."""
    rows = [{"text": f"text {i} 文本 \U0001f600\x00\n", "label": "bca"[i % 7 % 3]} for i in range(count)]
    return [row if i % 3 else row | {"title": f"title {i}"} for i, row in enumerate(rows)]


def temporary_file():
    return AppendedFile(tempfile.TemporaryFile(buffering=0))


def write(rows, *args, **options):
    writer = RowWriter(("text", "label"), *args, **options)
    for row in rows:
        writer.append(row)
    assert len(writer) == len(rows)
    return writer.finish()


@contextlib.contextmanager
def file_size_limit(size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def assert_same(table, rows):
    assert isinstance(table, RowTable) and len(table) == len(rows)
    assert list(table) == rows
    assert [table[i] for i in (0, 9, 10, -1)] == [rows[i] for i in (0, 9, 10, -1)]
    assert list(table[5:]) == rows[5:] and list(table[3:23:4]) == rows[3:23:4] and table[8:13][2] == rows[10]
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = table.select(order)
    assert list(shuffled) == [rows[i] for i in order]
    assert list(shuffled[4:9]) == [rows[i] for i in order[4:9]]
    with pytest.raises(IndexError):
        table[len(rows)]
    for part, expected in ((table, rows), (shuffled, list(shuffled)), (table[2:], rows[2:])):
        assert Rows(part).digest() == Rows(expected).digest() == digest_rows(expected).hexdigest()
        for name in ("title", "nothing", "text"):
            assert Rows(part).missing(name).tolist() == Rows(expected).missing(name).tolist()
        values, codes = distinct(Rows(part).texts("label"))
        assert (values, codes.tolist()) == (lambda pair: (pair[0], pair[1].tolist()))(distinct(Rows(expected).texts("label")))
        assert [values[code] for code in codes] == [row["label"] for row in expected]
        for names in (("text",), ("label", "text")):
            texts, own = Rows(part).texts(*names), Rows(expected).texts(*names)
            assert list(texts) == list(own) and texts[3:11] == own[3:11] and texts[5] == own[5]
        assert list(AllTexts(part)) == list(AllTexts(expected)) == [text for row in expected for text in row.values()]
        assert list(AllTexts(part, ("title", "text"))) == list(AllTexts(expected, ("title", "text")))


@pytest.mark.parametrize("open_file", [None, temporary_file])
@pytest.mark.parametrize("count", [10, 20, 47])
def test_a_table_has_the_rows_of_a_list(open_file, count):
    rows = make_rows(count)
    if count > 10:
        assert_same(write(rows, open_file), rows)
    else:
        assert list(write(rows, open_file)) == rows


def test_few_rows_stay_a_list():
    rows = make_rows(9)
    assert write(rows, lambda: pytest.fail("no file is needed")) == rows
    assert isinstance(write(rows, None), list)


def test_long_texts_make_a_table_of_few_rows(monkeypatch):
    monkeypatch.setattr(row_table, "CHARACTERS_IN_MEMORY", 50)
    rows = make_rows(4)
    assert list(write(rows, temporary_file)) == rows
    assert isinstance(write(rows, temporary_file), RowTable)


@pytest.mark.parametrize("limit", [0, 300, 2000])
def test_a_full_disk_loses_no_row(limit):
    rows, errors = make_rows(47), []
    with file_size_limit(limit):
        table = write(rows, temporary_file, errors.append)
    assert_same(table, rows)
    assert len(errors) == 1 and "too large" in str(errors[0])


def test_a_file_that_cannot_be_opened_loses_no_row():
    def refuse():
        raise PermissionError("no")

    errors = []
    assert_same(write(make_rows(47), refuse, errors.append), make_rows(47))
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "a", "label": 1}, "row 24: label is int, not text"),
        ({"text": "a\ud800", "label": "b"}, "row 24: text contains half a character"),
        ({"text": "a", "label": "b", "extra": "c"}, "row 24 has the field 'extra', which neither the task nor the first rows have"),
    ],
)
def test_rows_of_a_users_own_reader_that_fit_no_table(row, message):
    rows = make_rows(47)
    rows[23] = row
    with pytest.raises(UserError, match=message):
        write(rows, temporary_file)


def test_texts_are_made_when_they_are_needed():
    table = write(make_rows(47), temporary_file)
    made = []
    texts = RowTexts(table, lambda row: made.append(row) or row["text"])
    assert made == [] and len(texts) == 47
    assert texts[3] == make_rows(47)[3]["text"] and len(made) == 1
    assert texts[4:6] == [row["text"] for row in make_rows(47)[4:6]] and len(made) == 3
    assert texts.identity is None and Rows(table).texts("text").identity == {"rows": Rows(table).digest(), "texts": ["text"]}
    assert Rows(make_rows(47)).texts("text").identity is None


def test_identities_differ_with_rows_order_and_field():
    table, other = write(make_rows(47), temporary_file), write(make_rows(46), temporary_file)
    parts = [table, other, table[1:], table[:-1], table.select(np.arange(47)[::-1])]
    identities = [str(Rows(part).texts(name).identity) for part in parts for name in ("text", "label")]
    assert len(set(identities)) == 10


def test_what_is_remembered_is_not_computed_again(tmp_path):
    table = write(make_rows(47), temporary_file)
    calls = []
    for cache, expected in ((None, 2), (tmp_path / "new", 1)):
        calls.clear()
        table.cache = cache
        for _ in range(2):
            assert table[1:].remember("count", lambda: calls.append(1) or 46) == 46
        assert len(calls) == expected
    assert table.remember("count", lambda: 47) == 47 and table[1:].remember("other", lambda: 3) == 3
    for path in (tmp_path / "new").iterdir():
        path.write_text("damaged")
    assert table.remember("count", lambda: 48) == 48


def resident(path) -> int:
    """Return how many bytes of a file that is mapped are in the memory of this process."""
    maps = Path("/proc/self/smaps").read_text()
    return sum(int(part.split("\nRss:")[1].split()[0]) * 1024 for part in maps.split(str(path))[1:])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rows_that_were_read_leave_the_memory_again(tmp_path, monkeypatch):
    """Otherwise the resident memory would grow with the number of rows that a training has seen."""
    monkeypatch.setattr(row_table, "ROWS_IN_MEMORY", 100)
    rows = [{"text": f"{i} " * 500, "label": "ab"[i % 2]} for i in range(2000)]
    path = tmp_path / "rows.arrow"
    with open(path, "w+b", buffering=0) as file:
        table = write(rows, lambda: AppendedFile(file))
        assert path.stat().st_size > 4_000_000
        first = memoryview(table._mapped)
        assert sum(first[:: 2**12]) and resident(path) > 4_000_000  # so that what is read would be seen
        del first
        for read in (list, lambda table: table.distinct("text"), lambda table: table.missing("label"),
                     lambda table: [table[i] for i in range(0, 2000, 50)], lambda table: table.column("text", slice(0, 2000)),
                     lambda table: list(table.select(np.arange(1999, -1, -1)))):  # fmt: skip
            assert read(table) is not None and resident(path) < 100_000
