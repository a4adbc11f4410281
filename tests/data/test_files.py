"""Every format, every kind of bad row, and the very words of the errors."""

import gzip
import json

import pytest

from paddle_ft.data.files import open_files
from paddle_ft.data.readers import find_reader, readers
from paddle_ft.data.rows import Fields, Rows, collect_rows
from paddle_ft.system.errors import UserError

PAIR = ("source", "target")
ROWS = [{"source": "正文一，有“引号", "target": "题一"}, {"source": "正文二", "target": "题二"}]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_files(pattern, columns=None, *, required, optional=(), on_bad_row="error", limit=None) -> Rows:
    return collect_rows(open_files(pattern, Fields(columns or {}, required, optional)), on_bad_row, limit)


def write(name, content):
    data = content if isinstance(content, bytes) else content.encode()
    with (gzip.open if name.endswith(".gz") else open)(name, "wb") as file:
        file.write(data)
    return name


def error(*args, **kwargs) -> str:
    with pytest.raises(UserError) as caught:
        read_files(*args, **({"required": PAIR} | kwargs))
    return str(caught.value)


def reasons(*args, **kwargs):
    result = read_files(*args, **({"required": PAIR, "on_bad_row": "skip"} | kwargs))
    return len(result.rows), [(bad.line, bad.reason) for bad in result.bad]


def parquet(rows):
    import io

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
def test_bom_and_crlf_leave_no_trace(folder, name):
    content = CONTENTS[name] if isinstance(CONTENTS[name], str) else ""
    write(name, b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert read_files(name, required=PAIR).rows == ROWS


def test_columns_by_name_and_by_number(folder):
    write("named.csv", "id,text,summary\n7,甲,乙\n")
    assert read_files("named.csv", {"source": "text", "target": "summary"}, required=PAIR).rows == [
        {"source": "甲", "target": "乙"}
    ]
    write("bare.tsv", "乙\t甲\n丁\t丙\n")
    assert read_files("bare.tsv", {"source": 1, "target": 0}, required=PAIR).rows == [
        {"source": "甲", "target": "乙"},
        {"source": "丙", "target": "丁"},
    ]


def test_quotes_are_ordinary_in_tsv_and_lines_end_only_at_newlines(folder):
    write("a.tsv", 'source\ttarget\n他说"好\u2028吧\x0b\t"题\n')
    assert read_files("a.tsv", required=PAIR).rows == [{"source": '他说"好\u2028吧\x0b', "target": '"题'}]


def test_csv_quoting(folder):
    write("a.csv", 'source,target\n"两行\n正文，含""引号"",逗号","题, 一"\n')
    assert read_files("a.csv", required=PAIR).rows == [{"source": '两行\n正文，含"引号",逗号', "target": "题, 一"}]


def test_headerless_without_mapping_shows_the_first_row(folder):
    write("a.tsv", "题一\t正文一\n题二\t正文二\n")
    assert error("a.tsv") == (
        "a.tsv: no column 'source' in the first line, which reads\n  0: 题一\n  1: 正文一\n"
        "If that is a header, name the columns: data.columns='{source: NAME, target: NAME}'; "
        "if the file has none, number them: data.columns='{source: 0, target: 1}' (in the order that is right)"
    )


def test_the_first_bad_row_stops_with_a_count(folder):
    write("a.tsv", "source\ttarget\n甲\t乙\n甲\n甲\t \n甲\t乙\t丙\n")
    assert error("a.tsv") == (
        "a.tsv:3: 1 field where the header has 2\n3 of 4 rows are bad. "
        "Mend the file, or leave such rows out with data.on_bad_row=skip"
    )


def test_skip_keeps_the_good_and_names_the_bad(folder):
    write("a.tsv", "source\ttarget\n甲\t乙\n甲\n甲\t　\n\n甲\t乙\t丙\n丁\t戊\n\n\n")
    assert reasons("a.tsv") == (
        2,
        [
            (3, "1 field where the header has 2"),
            (4, "target is empty"),
            (5, "blank line"),
            (6, "3 fields where the header has 2"),
        ],
    )


def test_headerless_width_comes_from_the_first_whole_row(folder):
    write("a.tsv", "甲\n甲\t乙\n甲\t乙\t丙\n甲\t乙\n")
    assert reasons("a.tsv", {"source": 1, "target": 0}) == (
        2,
        [(1, "1 field where at least 2 are needed"), (3, "3 fields where line 2 has 2")],
    )


@pytest.mark.parametrize("on_bad_row", ["skip", "error"])
def test_where_all_rows_are_bad_skipping_is_not_suggested(folder, on_bad_row):
    write("a.tsv", "source\ttarget\n甲\n")
    assert error("a.tsv", on_bad_row=on_bad_row) == (
        "a.tsv:2: 1 field where the header has 2\n1 of 1 rows is bad: nothing is left to use. "
        "Mend the file, or data.columns if it names the wrong ones"
    )


def test_wrong_encoding_names_the_byte(folder):
    start = "source\ttarget\n甲\t乙\n".encode()
    gbk = "it looks like GBK (convert with: iconv -f GBK -t UTF-8)"
    write("a.tsv", start + "正文\t题目\n".encode("gbk") + b"ok \xff\tb\n")
    assert reasons("a.tsv") == (
        1,
        [
            (3, f"invalid UTF-8 at byte {len(start)} of the file; {gbk}"),
            (4, f"invalid UTF-8 at byte {len(start) + 10 + 3} of the file"),
        ],
    )
    write("b.tsv", "source\ttarget\n".encode("utf-16"))
    assert error("b.tsv") == "b.tsv: the file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 b.tsv > NEW"


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


def test_json_faults(folder):
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
            (6, "target is null, not text"),
            (7, "source is a list, not text"),
        ],
    )
    assert read_files("a.jsonl", required=PAIR, on_bad_row="skip").rows[1] == {"source": "2022", "target": "乙"}


def test_a_broken_array_names_the_line(folder):
    write("a.json", '[\n {"source": "甲",\n  "target": "乙"},\n {"source": "甲" "target": "乙"}\n]')
    assert error("a.json", on_bad_row="skip").startswith(
        "a.json:4: invalid JSON in the array at column 17: Expecting ',' delimiter. Nothing behind this place can be"
    )
    write("b.json", '[{"source": "甲", "target": "乙"}')
    assert "b.json:1: invalid JSON in the array at column 32: ',' or ']' expected" in error("b.json")


def test_parquet_faults(folder):
    write("a.parquet", parquet([{"source": "甲", "target": "乙"}, {"source": "甲", "target": None}]))
    assert reasons("a.parquet") == (1, [(2, "target is null, not text")])
    assert error("a.parquet", {"target": "summary"}) == (
        "a.parquet: no column 'summary'; it has 'source', 'target'; map them, e.g. data.columns.target=source"
    )
    write("b.parquet", b"no parquet at all")
    assert error("b.parquet").startswith("b.parquet: not a Parquet file, or a damaged one:")


def test_numbers_need_a_file_without_names(folder):
    write("a.jsonl", '{"source": "甲", "target": "乙"}\n')
    assert error("a.jsonl", {"source": 0, "target": 1}) == (
        "a.jsonl: data.columns must give names here, not numbers: {'source': 0, 'target': 1}"
    )
    write("a.tsv", "甲\t乙\n")
    assert error("a.tsv", {"source": 0}) == (
        "data.columns: numbers mean a file without a header, so every field needs a number; without one: target"
    )
    assert error("a.tsv", {"text": 0}) == "data.columns: unknown field text; the fields are source, target"


def test_text_files(folder):
    write("a.txt", "甲\r\n乙\n\n丙")
    result = read_files("a.txt", required=("text",), on_bad_row="skip")
    assert result.rows == [{"text": "甲"}, {"text": "乙"}, {"text": "丙"}]
    assert [str(bad) for bad in result.bad] == ["a.txt:3: text is empty"]
    assert error("a.txt") == (
        "a.txt: a .txt file holds one text a line, but source and target are needed; "
        "give one file for each: {source: source.txt, target: target.txt}"
    )


def test_text_files_side_by_side(folder):
    write("s.txt.gz", "甲\n丙\n")
    write("t.txt", "乙\n丁\n")
    result = read_files({"source": "s.txt.gz", "target": "t.txt"}, required=PAIR)
    assert result.rows == [{"source": "甲", "target": "乙"}, {"source": "丙", "target": "丁"}]
    write("t.txt", "乙\n丁\n己\n")
    assert error({"source": "s.txt.gz", "target": "t.txt"}) == (
        "text files that belong together need equally many lines: s.txt.gz has 2, t.txt has 3"
    )


def test_optional_fields(folder):
    write("a.tsv", "source\ttarget\tid\n甲\t乙\t\n")
    wanted = {"required": PAIR, "optional": ("id", "genre")}
    assert read_files("a.tsv", **wanted).rows == [{"source": "甲", "target": "乙", "id": ""}]
    assert "no column 'style' in the first line" in error("a.tsv", {"genre": "style"}, **wanted)


def test_globs_are_sorted_and_limits_stop_early(folder):
    for name in ("b.jsonl", "a.jsonl"):
        write(name, f'{{"source": "{name}", "target": "x"}}\n' * 2)
    result = read_files("*.jsonl", required=PAIR)
    assert [row["source"] for row in result.rows] == ["a.jsonl", "a.jsonl", "b.jsonl", "b.jsonl"]
    result = read_files(["b.jsonl", "a.jsonl"], required=PAIR, limit=1)
    assert [row["source"] for row in result.rows] == ["b.jsonl"] and result.files == ["b.jsonl"]


def test_missing_files_name_their_neighbours(folder):
    for name in ("train.tsv", "val.tsv", "zzz"):
        write(name, "x")
    assert error("trian.tsv") == (
        f"trian.tsv: no such file; the folder . has train.tsv, val.tsv (working directory: {folder})"
    )
    assert error("dta/sub/*.tsv") == (
        f"dta/sub/*.tsv: no such file: the folder dta does not exist (working directory: {folder})"
    )
    assert error(str(folder)).startswith(f"{folder}: this is a folder; name its files, e.g. ")


def test_unknown_extension_lists_the_formats(folder):
    write("a.docx", "x")
    assert error("a.docx") == (
        "a.docx: unknown extension .docx; supported: .csv, .json, .jsonl, .parquet, .tsv, .txt, each also with .gz"
    )


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.json", "a.jsonl", "a.tsv.gz"])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_empty_files(folder, name, content):
    write(name, content)
    message = error(name)
    assert message == f"{name}: the file is empty (it holds no rows)"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_header_without_rows(folder, name):
    write(name, "source,target\n\n".replace(",", "," if name == "a.csv" else "\t"))
    assert error(name) == f"{name}: the file has a header but no rows"


def test_an_array_without_rows_is_empty(folder):
    write("b.json", "[]")
    assert error("b.json") == "b.json: the file is empty (it holds no rows)"


def test_a_cut_gzip_is_said_to_be_damaged(folder):
    whole = gzip.compress("".join(f"甲{i}\t乙\n" for i in range(5000)).encode())
    write("a.tsv", b"")
    (folder / "a.tsv.gz").write_bytes(whole[: len(whole) // 2])
    assert error("a.tsv.gz", {"source": 0, "target": 1}).startswith("a.tsv.gz: the gzip data is damaged")


def test_the_extension_decides_the_format_whatever_its_case():
    assert set(readers()) == {".tsv", ".csv", ".json", ".jsonl", ".parquet", ".txt"}
    assert find_reader("x.TSV.gz") is readers()[".csv"]
