"""Test which separator, line end and encoding a table is read with, and what the user is told about it."""

import pytest

from tests.support.data_files import PAIR, error, read_files, reasons, write

ROWS = [{"source": "正文，一", "target": "题"}, {"source": 'b "c"', "target": "d"}]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(separator, header=True, quote='"'):
    lines = [["id", "source", "target"], ["1", "正文，一", "题"], ["2", f"{quote}b {quote * 2}c{quote * 2}{quote}", "d"]]
    return "".join(separator.join(line) + "\n" for line in lines[0 if header else 1 :])


@pytest.mark.parametrize(
    ("separator", "decision"),
    [
        (",", []),
        (";", ["a.csv: its fields are separated by semicolons (data.separator=;)"]),
        ("\t", ["a.csv: its fields are separated by tabs (data.separator=tab)"]),
        ("|", ["a.csv: its fields are separated by bars (data.separator=|)"]),
    ],
)
def test_the_separator_is_found_out(separator, decision):
    write("a.csv", table(separator))
    result = read_files("a.csv", required=PAIR)
    assert result.rows == ROWS and result.decisions == decision
    write("a.csv", table(separator, header=False))
    result = read_files("a.csv", {"source": 1, "target": 2}, required=PAIR)
    assert result.rows == ROWS and result.decisions == decision
    setting = "tab" if separator == "\t" else separator
    result = read_files("a.csv", {"source": 1, "target": 2}, required=PAIR, separator=setting)
    assert result.rows == ROWS and result.decisions == []


def test_a_tsv_with_other_separators():
    write("a.tsv", table(";"))
    result = read_files("a.tsv", required=PAIR)
    assert result.rows == ROWS
    assert result.decisions == ["a.tsv: its fields are separated by semicolons (data.separator=;)"]
    write("a.tsv", table("\t", quote=""))
    assert read_files("a.tsv", required=PAIR).decisions == []


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_excels_line_with_the_separator(first):
    write("a.csv", f"{first}\r\n{table(';')}")
    result = read_files("a.csv", required=PAIR, on_bad_row="skip")
    assert result.rows == ROWS
    assert result.decisions == ["a.csv: its fields are separated by semicolons, as its first line says (data.separator=;)"]
    write("a.csv", f"sep=,\r\n{table(',')}")
    assert read_files("a.csv", required=PAIR, on_bad_row="skip").decisions == []
    write("a.csv", f"{first}\r\n{table(',')}1,2\r\n")  # a setting is stronger, but the line is still no row
    assert reasons("a.csv", separator=",") == (2, [(5, "2 fields where the header has 3")])


def test_commas_win_where_they_make_the_columns():
    write("a.csv", "source,target;x\n甲,乙\n")
    assert "no column 'target'" in error("a.csv")
    write("a.csv", "source,target\n甲;x,乙|y\n")
    result = read_files("a.csv", required=PAIR)
    assert result.rows == [{"source": "甲;x", "target": "乙|y"}] and result.decisions == []


def test_a_table_of_one_column_needs_no_separator():
    write("a.csv", "text\n一;二;三\na|b\n")
    assert read_files("a.csv", required=("text",)).rows == [{"text": "一;二;三"}, {"text": "a|b"}]
    write("a.csv", "一;二\n三\n")
    assert read_files("a.csv", {"text": 0}, required=("text",)).rows == [{"text": "一;二"}, {"text": "三"}]


def test_the_error_shows_the_header_split_at_its_separator():
    write("a.csv", '"review";"stars"\n"甲";2\n')
    assert error("a.csv") == (
        "a.csv: no column 'source' in the first line, which split at semicolons (data.separator=;) has\n  0: review\n  1: stars\n"
        "If this is a header, name the columns: data.columns='{source: NAME, target: NAME}'; "
        "if the file has no header, number them: data.columns='{source: 0, target: 1}' (with the right numbers)"
    )
    assert read_files("a.csv", {"source": "review", "target": "stars"}, required=PAIR).rows == [{"source": "甲", "target": "2"}]
    write("a.csv", "id;review, in full;stars\n1;甲;2\n")  # commas make fewer columns of it
    assert "which split at semicolons (data.separator=;) has\n  0: id\n  1: review, in full\n  2: stars\n" in error("a.csv")
    write("a.csv", "id,review;rating\n1,甲\n")
    assert "in the first line, which has\n  0: id\n  1: review;rating\n" in error("a.csv")


def test_a_million_columns_are_not_all_listed():
    write("a.csv", ",".join(f"c{i}" for i in range(1_000_000)) + "\n1\n")
    message = error("a.csv")
    assert len(message) < 1000 and "  19: c19\n  and 999,980 more\n" in message
    write("a.jsonl", "{" + ", ".join(f'"c{i}": {i}' for i in range(1000)) + "}\n")
    assert len(error("a.jsonl")) < 1000


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.json"])
def test_lines_that_end_with_returns_alone(name):
    content = {"a.csv": "text,x\n甲,1\n乙,2\n", "a.jsonl": '{"text": "甲"}\n{"text": "乙"}\n', "a.txt": "甲\n乙\n",
               "a.json": '[\n{"text": "甲"},\n{"text": "乙"}\n]\n'}[name]  # fmt: skip
    for ending in ("\r", "\r\n"):
        write(name, content.replace("\n", ending))
        result = read_files(name, required=("text",))
        assert result.rows == [{"text": "甲"}, {"text": "乙"}]
        told = [f"{name}: its lines end with a carriage return alone, as old programs for the Mac write them"]
        assert result.decisions == (told if ending == "\r" and name != "a.json" else [])


@pytest.mark.parametrize(("encoding", "chunk"), [("utf-16", 14), ("utf-16-be", 12), ("utf-32", 28)])
def test_returns_alone_in_wide_encodings(monkeypatch, encoding, chunk):
    from paddle_ft.data.readers import stream

    monkeypatch.setattr(stream, "_CHUNK", chunk)
    told = ["a.csv: its lines end with a carriage return alone, as old programs for the Mac write them"]
    for ending in ("\r", "\r\n"):
        write("a.csv", f"text{ending}甲{ending}乙{ending}".encode(encoding))
        result = read_files("a.csv", required=("text",), encoding=encoding)
        assert result.rows == [{"text": "甲"}, {"text": "乙"}]
        assert result.decisions == (told if ending == "\r" else [])


def test_returns_alone_at_the_ends_of_what_is_read_at_once(monkeypatch):
    from paddle_ft.data.readers import stream

    monkeypatch.setattr(stream, "_CHUNK", 8)
    for content in ("12\r4567\r9\r", "123456\r\r\n8", "12345\r6\r\n9", "1\r23456\r\n\r\n9"):
        write("a.txt", content)
        lines = [line for line, _ in stream.DataFile("a.txt").lines()]
        assert lines == content.splitlines(), content


@pytest.mark.parametrize("line_end", ["\n", "\r"])
def test_a_line_that_is_too_long_costs_only_itself(monkeypatch, line_end):
    from paddle_ft.data.readers import stream

    monkeypatch.setattr(stream, "MAX_LINE", 2**20)
    monkeypatch.setattr(stream, "_CHUNK", 1000)
    write("a.txt", line_end.encode().join([b"one", b"x" * (2**20 + 5), b"x" * (2**20 - 1), "乙".encode("gbk"), b""]))
    result = read_files("a.txt", required=("text",), on_bad_row="skip")
    assert [len(row["text"]) for row in result.rows] == [3, 2**20 - 1]
    offset = 4 + 2**20 + 6 + 2**20
    assert [(bad.line, bad.reason) for bad in result.bad] == [
        (2, "the line is longer than 1 MB"),
        (4, f"invalid UTF-8 at byte {offset} of the file; it looks like GBK: read it as that with data.encoding=gb18030"),
    ]


def test_quotes_in_a_tsv_are_kept_and_told():
    write("a.tsv", 'source\ttarget\n"a ""b"""\tc\n"d"\t""\n"e ""f\t"g""h"\n')
    result = read_files("a.tsv", required=PAIR)
    assert [row["source"] for row in result.rows] == ['"a ""b"""', '"d"', '"e ""f']
    assert result.decisions == ["a.tsv: 2 fields are quoted as in a .csv, but a .tsv has no quoting; if it has, name the file .csv"]
    write("a.csv", 'source\ttarget\n"a ""b"""\tc\n')
    assert read_files("a.csv", required=PAIR).rows == [{"source": 'a "b"', "target": "c"}]


# ---------------------------------------------------------------------------------------------------- encodings
@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        ("今天的天氣很好，我們去公園散步。", "big5", "big5"),
        ("這裏的麵包店今天沒有開門營業，我們明天再來。", "big5hkscs", "cp950"),  # 裏 is in an extension
        ("今天的天氣很好，我們去公園散步。", "gbk", "gb18030"),
        ("今天的天气很好，我们去公园散步。", "gbk", "gb18030"),
        ("股市今天上涨，专家建议谨慎投资，防范风险。", "gbk", "gb18030"),
    ],
)
def test_big5_and_gbk_are_told_apart(text, encoding, named):
    write("a.txt", f"{text}\n".encode(encoding))
    message = error("a.txt", required=("text",))
    name = "GBK" if named == "gb18030" else "Big5"
    assert message.splitlines()[0].endswith(f"; it looks like {name}: read it as that with data.encoding={named}")
    assert read_files("a.txt", required=("text",), encoding=named).rows == [{"text": text}]


@pytest.mark.parametrize(
    ("text", "encoding"), [("これは長い日本語の文章です。天気がいいですね", "euc_jp"), ("이것은 긴 한국어 문장입니다", "euc_kr")]
)
def test_other_languages_are_not_taken_for_big5(text, encoding):
    write("a.txt", f"{text}\n".encode(encoding))
    assert "Big5" not in error("a.txt", required=("text",))


@pytest.mark.parametrize(
    ("encoding", "problem"),
    [
        ("gbk", "a.txt:1: invalid UTF-8 at byte 0 of the file; it looks like GBK: read it as that with data.encoding=gb18030\n"),
        ("utf-16", "a.txt: the file is UTF-16; read it as that with data.encoding=utf-16"),
        ("utf-32", "a.txt: the file is UTF-32; read it as that with data.encoding=utf-32"),
    ],
)
def test_auto_names_the_likely_encoding(encoding, problem):
    write("a.txt", "今天的天气很好\n".encode(encoding))
    assert error("a.txt", required=("text",)).startswith(problem)


def test_auto_names_utf16_without_a_mark_and_western_text():
    for encoding in ("utf-16-le", "utf-16-be"):
        write("a.csv", "source,target\nplain,text\n".encode(encoding))
        assert error("a.csv") == f"a.csv: the file looks like UTF-16; read it as that with data.encoding={encoding}"
        assert len(read_files("a.csv", required=PAIR, encoding=encoding).rows) == 1
    write("a.txt", "un café au lait\n".encode("cp1252"))
    assert error("a.txt", required=("text",)).startswith(
        "a.txt:1: invalid UTF-8 at byte 6 of the file; it may be Western European: read it as that with data.encoding=cp1252\n"
    )
    assert read_files("a.txt", required=("text",), encoding="cp1252").rows == [{"text": "un café au lait"}]


def test_bytes_that_are_not_in_the_set_encoding():
    write("a.csv", "source,target\n正文,题\n".encode("gbk") + b"\x80\xff,x\n")
    assert reasons("a.csv", encoding="gb18030") == (1, [(3, "invalid GB18030 at byte 22 of the file")])
    write("a.json", b'[{"source": "a", "target": "' + "题".encode("gbk") + b'"}, {"source": "\xff\xff", "target": "b"}]')
    assert reasons("a.json", encoding="gb18030") == (1, [(1, "invalid GB18030 at byte 46 of the file")])
    write("a.txt", b"\xff\xfea\0b\0c")
    assert error("a.txt", required=("text",), encoding="utf-16").startswith("a.txt: invalid UTF-16 near byte ")
    write("a.txt", "a".encode("utf-16"))
    assert error("a.txt", required=("text",), encoding="gb18030").startswith("a.txt: the file is UTF-16")


def test_a_wrong_setting_is_told():
    write("a.txt", "今天\n很好\n")
    result = read_files("a.txt", required=("text",), on_bad_row="skip", encoding="gb18030")
    assert result.decisions == ["a.txt: it is read as data.encoding=gb18030, but its text is valid UTF-8; is the setting right?"]
    write("a.txt", "\ufeff今天\n")
    result = read_files("a.txt", required=("text",), encoding="gb18030")
    assert result.rows == [{"text": "今天"}]
    assert result.decisions == ["a.txt: the file begins with the mark of UTF-8 and is read as that, not as data.encoding=gb18030"]


def test_one_decision_names_several_files():
    for number in range(5):
        write(f"{number}.csv", "source;target\n甲;乙\n")
    result = read_files("*.csv", required=PAIR)
    assert len(result) == 5
    assert result.decisions == ["0.csv, 1.csv, 2.csv and 2 more: its fields are separated by semicolons (data.separator=;)"]
