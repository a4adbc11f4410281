"""Test each file format: its rows, its bad rows, and the exact error messages."""

import io
import json

import pytest

from tests.support.data_files import PAIR, error, read_files, reasons, write

ROWS = [{"source": "正文一，有“引号", "target": "题一"}, {"source": "正文二", "target": "题二"}]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


CONTENTS = {
    "a.tsv": "source\ttarget\n正文一，有“引号\t题一\n正文二\t题二\n",
    "a.csv": 'target,source\n题一,"正文一，有“引号"\n"题二",正文二\n',
    "lines.json": "".join(json.dumps(row) + "\n" for row in ROWS),
    "array.json": json.dumps(ROWS, indent=1, ensure_ascii=False),
    "a.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
    "a.parquet": parquet(ROWS),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_every_format_gives_the_same_rows(folder, name, packed):
    path = write(name + packed, CONTENTS[name])
    result = read_files(path, required=PAIR)
    assert result.rows == ROWS
    assert result.bad == [] and result.files == [path]


@pytest.mark.parametrize("name", [name for name in CONTENTS if name != "a.parquet"])
def test_byte_order_marks_and_crlf_are_removed(folder, name):
    content = CONTENTS[name] if isinstance(CONTENTS[name], str) else ""
    write(name, b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert read_files(name, required=PAIR).rows == ROWS


def test_quotes_are_ordinary_in_tsv_and_lines_end_only_at_newlines(folder):
    write("a.tsv", 'source\ttarget\n他说"好\u2028吧\x0b\t"题\n')
    assert read_files("a.tsv", required=PAIR).rows == [{"source": '他说"好\u2028吧\x0b', "target": '"题'}]


def test_csv_quotes_may_hold_newlines_quotes_and_commas(folder):
    write("a.csv", 'source,target\n"两行\n正文，含""引号"",逗号","题, 一"\n')
    assert read_files("a.csv", required=PAIR).rows == [{"source": '两行\n正文，含"引号",逗号', "target": "题, 一"}]


def test_headerless_without_mapping_shows_the_first_row(folder):
    write("a.tsv", "题一\t正文一\n题二\t正文二\n")
    assert error("a.tsv") == (
        "a.tsv: no column 'source' in the first line, which has\n  0: 题一\n  1: 正文一\n"
        "If this is a header, name the columns: data.columns='{source: NAME, target: NAME}'; "
        "if the file has no header, number them: data.columns='{source: 0, target: 1}' (with the right numbers)"
    )


def test_headerless_width_comes_from_the_first_whole_row(folder):
    write("a.tsv", "甲\n甲\t乙\n甲\t乙\t丙\n甲\t乙\n")
    assert reasons("a.tsv", {"source": 1, "target": 0}) == (
        2,
        [(1, "1 field where at least 2 are needed"), (3, "3 fields where line 2 has 2")],
    )


def test_wrong_encoding_is_located_to_the_byte(folder):
    start = "source\ttarget\n甲\t乙\n".encode()
    gbk = "it looks like GBK: read it as that with data.encoding=gb18030"
    write("a.tsv", start + "正文\t题目\n".encode("gbk") + b"ok \xff\tb\n")
    assert reasons("a.tsv") == (
        1,
        [
            (3, f"invalid UTF-8 at byte {len(start)} of the file; {gbk}"),
            (4, f"invalid UTF-8 at byte {len(start) + 10 + 3} of the file"),
        ],
    )
    write("b.tsv", "source\ttarget\n".encode("utf-16"))
    assert error("b.tsv") == "b.tsv: the file is UTF-16; read it as that with data.encoding=utf-16"


def test_wrong_encoding_in_csv_and_in_an_array(folder):
    write("a.csv", b"source,target\n\xff,b\nc,d\n")
    assert reasons("a.csv") == (1, [(2, "invalid UTF-8 at byte 14 of the file")])
    content = b'[\n{"source": "a", "target": "b"},\n{"source": "\xff", "target": "b"}\n]'
    write("a.json", content)
    assert reasons("a.json") == (1, [(3, f"invalid UTF-8 at byte {content.index(255)} of the file")])


@pytest.mark.parametrize(
    ("content", "line", "where"),
    [
        ('甲,"乙\n丙,丁\n戊,己\n', 2, "not closed properly up to line 4"),  # swallows the rest of the file
        ('甲,"乙\n丙,"丁"\n戊,己\n', 2, "not closed properly up to line 3"),  # meets the next quote
        ('"甲,乙\n丙,丁"\n丙,丁\n戊,己\n', 2, "not closed properly up to line 3"),  # closes, but one field is gone
        ('丙,丁\n戊,己\n甲,"乙\n', 4, "not closed, or text follows it"),
        ('丙,丁\n"甲"x,乙\n戊,己\n', 3, "not closed, or text follows it"),
    ],
)
def test_a_lone_quote_costs_its_own_line_only(folder, content, line, where):
    write("a.csv", "source,target\n" + content)
    good, bad = reasons("a.csv")
    assert bad[0] == (line, f"lone quote: the quoted field that opens on this line is {where}")
    rows = read_files("a.csv", required=PAIR, on_bad_row="skip").rows
    assert {"source": "戊", "target": "己"} in rows and good == len(rows) >= 2


def test_bad_json_lines_are_named(folder):
    write(
        "a.jsonl",
        '{"source": "甲", "target": "乙"}\n\n{"source": "甲"\n[1]\n{"source": "甲", "summary": "乙"}\n'
        '{"source": "甲", "target": null}\n{"source": ["甲"], "target": "乙"}\n{"source": 2022, "target": "乙"}\n',
    )
    assert reasons("a.jsonl") == (
        2,
        [
            (3, "invalid JSON at column 15: Expecting ',' delimiter"),
            (4, "the JSON value is list, not an object"),
            (5, "no column 'target' (the row has 'source', 'summary'; columns are mapped with data.columns)"),
            (6, "target is missing"),
            (7, "source is a list, not text"),
        ],
    )
    assert read_files("a.jsonl", required=PAIR, on_bad_row="skip").rows[1] == {"source": "2022", "target": "乙"}


def test_a_broken_array_names_the_line(folder):
    write("a.json", '[\n {"source": "甲",\n  "target": "乙"},\n {"source": "甲" "target": "乙"}\n]')
    assert error("a.json", on_bad_row="skip").startswith(
        "a.json:4: invalid JSON in the array at column 17: Expecting ',' delimiter. Nothing after this place can be"
    )
    write("b.json", '[{"source": "甲", "target": "乙"}')
    assert "b.json:1: invalid JSON in the array at column 32: ',' or ']' expected" in error("b.json")


def test_bad_parquet_rows_and_files_are_named(folder):
    write("a.parquet", parquet([{"source": "甲", "target": "乙"}, {"source": "甲", "target": None}]))
    assert reasons("a.parquet") == (1, [(2, "target is missing")])
    assert error("a.parquet", {"target": "summary"}) == (
        "a.parquet: no column 'summary'; it has 'source', 'target'; map them, e.g. data.columns.target=source"
    )
    write("b.parquet", b"no parquet at all")
    assert error("b.parquet").startswith("b.parquet: not a Parquet file, or a damaged one:")


def test_text_files_hold_one_text_a_line(folder):
    write("a.txt", "甲\r\n乙\n\n丙")
    result = read_files("a.txt", required=("text",), on_bad_row="skip")
    assert result.rows == [{"text": "甲"}, {"text": "乙"}, {"text": "丙"}]
    assert [str(bad) for bad in result.bad] == ["a.txt:3: text is empty"]
    assert error("a.txt") == (
        "a.txt: a .txt file has one text per line, but source and target are needed; "
        "give one file for each: {source: source.txt, target: target.txt}"
    )


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_header_without_rows_is_an_error(folder, name):
    write(name, "source,target\n\n".replace(",", "," if name == "a.csv" else "\t"))
    assert error(name) == f"{name}: the file has a header but no rows"


def test_an_empty_json_array_is_an_empty_file(folder):
    write("b.json", "[]")
    assert error("b.json") == "b.json: the file is empty (it has no rows)"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.txt"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"PK\x03\x04\x14\x00",
            "this is an Excel workbook or a zip archive, not text; end the name of a workbook in .xlsx, or unpack",
        ),
        (b"PAR1\x15\x04", "this is a Parquet file, not text; end its name in .parquet"),
        (b"\x1f\x8b\x08\x00", "this is a gzip file, not text; end its name in .gz"),
    ],
    ids=["zip", "parquet", "gzip"],
)
def test_what_is_no_text_is_named(folder, name, content, message):
    (folder / name).write_bytes(content)
    assert error(name, required=("source",)).startswith(f"{name}: {message}")
