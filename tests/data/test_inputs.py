"""Test reading the texts for predict: which column is read in each format, and the message if it is missing."""

import gzip
import io
import json
import sys

import pytest

from paddle_ft.data.inputs import Columns, read_texts
from paddle_ft.system.errors import UserError

DEFAULT_COLUMNS = Columns.from_config("source", {})
NAMED_COLUMNS = Columns.from_config("text", {"text": "sentence", "text_pair": "other", "label": "gold"})
NUMBERED_COLUMNS = Columns.from_config("source", {"source": 1, "target": 0})


def read(path, content, columns=DEFAULT_COLUMNS):
    path.write_bytes(content.encode())
    return list(read_texts(str(path), columns))


def test_plain_files_hold_one_text_a_line(tmp_path):
    content = '一\n\n{not JSON\n{"source": "三"}\r\n'
    assert read(tmp_path / "x.txt", content) == ["一", "", "{not JSON", "三"]
    assert read(tmp_path / "x", content, NAMED_COLUMNS) == ["一", "", "{not JSON", "三"]
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(content.encode()))
    assert list(read_texts(str(tmp_path / "x.txt.gz"), DEFAULT_COLUMNS)) == ["一", "", "{not JSON", "三"]


ROWS = [{"sentence": "a, b", "gold": "1", "text": "no"}, {"sentence": "c", "gold": None, "text": "no"}]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv", "x.tsv"])
def test_the_runs_own_columns_come_first(tmp_path, name):
    content = {
        ".jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
        ".json": json.dumps(ROWS),
        ".csv": 'gold,text,sentence\n1,no,"a, b"\n,no,c\n',
        ".tsv": "gold\ttext\tsentence\n1\tno\ta, b\n\tno\tc\n",
    }[name[1:]]
    assert read(tmp_path / name, content, NAMED_COLUMNS) == ["a, b", "c"]


def test_the_usual_column_names_work_too(tmp_path):
    rows = '{"text": "a"}\n{"source": "b"}\n{"text": "c", "text_pair": "d"}\n'
    assert read(tmp_path / "x.jsonl", rows, NAMED_COLUMNS) == ["a", "b", ("c", "d")]
    assert read(tmp_path / "x.csv", "text,label\na,1\n", NAMED_COLUMNS) == ["a"]
    assert read(tmp_path / "y.jsonl", '{"source": "a"}\n{"text": "b"}\n') == ["a", "b"]


def test_pairs_under_the_runs_columns(tmp_path):
    assert read(tmp_path / "x.csv", "other,sentence\nb,a\n", NAMED_COLUMNS) == [("a", "b")]
    pairs = Columns.from_config("text", {"text": 3, "text_pair": 1})
    assert read(tmp_path / "y.tsv", "0\tone\t2\tthree\n", pairs) == [("three", "one")]


def test_column_numbers_apply_to_tables_only(tmp_path):
    assert read(tmp_path / "x.tsv", "题\t正文\n题二\t正文二\n", NUMBERED_COLUMNS) == ["正文", "正文二"]
    assert read(tmp_path / "x.jsonl", '{"source": "正文"}\n', NUMBERED_COLUMNS) == ["正文"]
    assert read(tmp_path / "x.txt", "题\t正文\n", NUMBERED_COLUMNS) == ["题\t正文"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", '{"text": "a"}\n{"body": "b"}\n', "x.jsonl:2: no column 'sentence' or 'text' or 'source'; .* data.columns"),
        ("x.jsonl", '{"text": "a"}\n{broken\n', "x.jsonl:2: invalid JSON at column 2"),
        ("x.jsonl", '{"text": ["a"]}\n', "x.jsonl:1: text is a list, not text"),
        ("x.csv", "body\nb\n", "x.csv:2: no column 'sentence' or 'text' or 'source'"),
        ("x.tsv", "text\tlabel\na\n", "x.tsv:2: 1 field where the header has 2"),
        ("x.txt", '{"body": "b"}\n', "x.txt:1: no column 'sentence'"),
    ],
)
def test_bad_records_are_named(tmp_path, name, content, message):
    with pytest.raises(UserError, match=f"^--input .*{message}"):
        read(tmp_path / name, content, NAMED_COLUMNS)


def test_bytes_that_are_not_utf8_are_named(tmp_path):
    (tmp_path / "x.txt").write_bytes("今天\n".encode() + b"\xff\n")
    with pytest.raises(UserError, match=r"--input .*x.txt:2: invalid UTF-8 at byte 7"):
        list(read_texts(str(tmp_path / "x.txt"), DEFAULT_COLUMNS))


def test_texts_from_a_pipe(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"sentence": "a"}\nb\n')))
    assert list(read_texts("-", NAMED_COLUMNS)) == ["a", "b"]
