"""Test reading the texts for predict: which column is read in each format, and the message if it is missing."""

import gzip
import io
import json
import sys

import pandas as pd
import pytest

from paddle_ft.data.inputs import Columns, Input, read_inputs
from paddle_ft.system.errors import UserError
from tests.support.data_sections import section
from tests.support.table_formats import WRITERS


def columns_of(field, columns):
    return Columns.from_config(field, section(columns=columns))


DEFAULT_COLUMNS = columns_of("source", {})
NAMED_COLUMNS = columns_of("text", {"text": "sentence", "text_pair": "other", "label": "gold"})
NUMBERED_COLUMNS = columns_of("source", {"source": 1, "target": 0})


def read_texts(name, columns):
    return [record.text for record in read_inputs(name, columns)]


def read(path, content, columns=DEFAULT_COLUMNS):
    path.write_bytes(content.encode())
    return read_texts(str(path), columns)


def test_plain_files_hold_one_text_a_line(tmp_path):
    content = '一\n\n{not JSON\n{"source": "三"}\r\n'
    assert read(tmp_path / "x.txt", content) == ["一", "", "{not JSON", "三"]
    assert read(tmp_path / "x", content, NAMED_COLUMNS) == ["一", "", "{not JSON", "三"]
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(content.encode()))
    assert read_texts(str(tmp_path / "x.txt.gz"), DEFAULT_COLUMNS) == ["一", "", "{not JSON", "三"]


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
    pairs = columns_of("text", {"text": 3, "text_pair": 1})
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
        ("x.jsonl", '{"text": ["a"]}\n{"text": "b"}\n', "x.jsonl:1: text is a list, not text"),
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
        read_texts(str(tmp_path / "x.txt"), DEFAULT_COLUMNS)


def test_texts_from_a_pipe_in_another_encoding(monkeypatch):
    columns = Columns.from_config("text", section(encoding="gb18030"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("今天\n".encode("gbk"))))
    assert read_texts("-", columns) == ["今天"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xff\n")))
    with pytest.raises(UserError, match="^--input -:1: not GB18030"):
        read_texts("-", columns)


def test_texts_from_a_pipe(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"sentence": "a"}\nb\n')))
    assert read_texts("-", NAMED_COLUMNS) == ["a", "b"]


# ---------------------------------------------------------------------------------------------------- other columns
@pytest.mark.parametrize("name", ["lines.jsonl", "list.json", "table.csv", "table.tsv", "table.parquet", "table.xlsx", "saved"])
def test_other_columns_are_kept(tmp_path, name):
    table = pd.DataFrame({"id": [7, 8], "sentence": ["a, b", None], "text": ["no", "no"], "score": [0.5, None]})
    WRITERS[name](table, tmp_path / name)
    first, second = read_inputs(str(tmp_path / name), NAMED_COLUMNS)
    is_text = name in ("table.csv", "table.tsv")
    assert first == Input("a, b", {"id": "7" if is_text else 7, "text": "no", "score": "0.5" if is_text else 0.5})
    assert second == Input(None, {"id": "8" if is_text else 8, "text": "no", "score": "" if is_text else None})


def test_columns_without_a_header_are_kept_by_their_numbers(tmp_path):
    (tmp_path / "x.tsv").write_text("题\t正文\t7\n题二\t\t8\n")
    assert list(read_inputs(str(tmp_path / "x.tsv"), NUMBERED_COLUMNS)) == [
        Input("正文", {"0": "题", "2": "7"}), Input(None, {"0": "题二", "2": "8"}),
    ]  # fmt: skip


def test_objects_among_plain_lines_are_kept_too(tmp_path):
    (tmp_path / "x.txt").write_text('{"text": "a", "id": [1, {"b": NaN}]}\n{"text": null}\n\n{"text": "a", "text_pair": null}\n')
    assert list(read_inputs(str(tmp_path / "x.txt"), NAMED_COLUMNS)) == [
        Input("a", {"id": [1, {"b": None}]}), Input(None), Input(""), Input("a"),
    ]  # fmt: skip


def test_decisions_are_printed_before_an_error(tmp_path, capsys):
    (tmp_path / "x.csv").write_text("id;text\n1\n")
    with pytest.raises(UserError, match="x.csv:2: 1 field where the header has 2"):
        read_texts(str(tmp_path / "x.csv"), columns_of("source", {}))
    assert "its fields are separated by semicolons" in capsys.readouterr().err


def test_decisions_about_the_input_are_printed_once(tmp_path, capsys):
    (tmp_path / "x.csv").write_text("id;text\n1;nan\n2;nan\n")
    assert read_texts(str(tmp_path / "x.csv"), columns_of("source", {})) == ["nan", "nan"]
    assert capsys.readouterr().err.splitlines() == [
        f"decision: {tmp_path}/x.csv: its fields are separated by semicolons (data.separator=;)",
        "decision: 2 values of text are the word 'nan' and are kept as text; a cell without a value must be empty",
    ]
