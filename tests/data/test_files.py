"""Test which files a pattern matches, which columns are read, and which rows are bad."""

import gzip

import pytest

from paddle_ft.data.readers import find_reader, readers
from tests.support.data_files import PAIR, error, read_files, reasons, write
from tests.support.read_only import unreadable


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_the_first_bad_row_stops_with_a_count(folder):
    write("a.tsv", "source\ttarget\n甲\t乙\n甲\n甲\t \n甲\t乙\t丙\n")
    assert error("a.tsv") == (
        "a.tsv:3: 1 field where the header has 2\n3 of 4 rows are bad. "
        "Correct the file, or leave such rows out with data.on_bad_row=skip"
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


@pytest.mark.parametrize("on_bad_row", ["skip", "error"])
def test_where_all_rows_are_bad_skipping_is_not_suggested(folder, on_bad_row):
    write("a.tsv", "source\ttarget\n甲\n")
    assert error("a.tsv", on_bad_row=on_bad_row) == (
        "a.tsv:2: 1 field where the header has 2\n1 of 1 rows is bad: no usable row remains. "
        "Correct the file, or data.columns if it names the wrong columns"
    )


def test_column_numbers_need_a_file_without_a_header(folder):
    write("a.jsonl", '{"source": "甲", "target": "乙"}\n')
    assert error("a.jsonl", {"source": 0, "target": 1}) == (
        "a.jsonl: data.columns must give names here, not numbers: {'source': 0, 'target': 1}"
    )
    write("a.tsv", "甲\t乙\n")
    assert error("a.tsv", {"source": 0}) == (
        "data.columns: numbers mean a file without a header, so every field needs a number; without one: target"
    )
    assert error("a.tsv", {"text": 0}) == "data.columns: unknown field text; the fields are source, target"


def test_text_files_are_read_in_parallel(folder):
    write("s.txt.gz", "甲\n丙\n")
    write("t.txt", "乙\n丁\n")
    result = read_files({"source": "s.txt.gz", "target": "t.txt"}, required=PAIR)
    assert result.rows == [{"source": "甲", "target": "乙"}, {"source": "丙", "target": "丁"}]
    write("t.txt", "乙\n丁\n己\n")
    assert error({"source": "s.txt.gz", "target": "t.txt"}) == (
        "text files that belong together need the same number of lines: s.txt.gz has 2, t.txt has 3"
    )


def test_optional_fields_may_be_absent_unless_mapped(folder):
    write("a.tsv", "source\ttarget\tid\n甲\t乙\t\n")
    wanted = {"required": PAIR, "optional": ("id", "genre")}
    assert read_files("a.tsv", **wanted).rows == [{"source": "甲", "target": "乙"}]
    assert "no column 'style' in the first line" in error("a.tsv", {"genre": "style"}, **wanted)


def test_globs_are_sorted_and_limits_stop_early(folder):
    for name in ("b.jsonl", "a.jsonl"):
        write(name, f'{{"source": "{name}", "target": "x"}}\n' * 2)
    result = read_files("*.jsonl", required=PAIR)
    assert [row["source"] for row in result.rows] == ["a.jsonl", "a.jsonl", "b.jsonl", "b.jsonl"]
    result = read_files(["b.jsonl", "a.jsonl"], required=PAIR, limit=1)
    assert [row["source"] for row in result.rows] == ["b.jsonl"] and result.files == ["b.jsonl"]


def test_a_missing_file_suggests_similar_names(folder):
    for name in ("train.tsv", "val.tsv", "zzz"):
        write(name, "x")
    assert error("trian.tsv") == (f"trian.tsv: no such file; the folder . has train.tsv, val.tsv (working directory: {folder})")
    assert error("dta/sub/*.tsv") == (f"dta/sub/*.tsv: no such file: the folder dta does not exist (working directory: {folder})")
    assert error("val.tsv/a.tsv") == f"val.tsv/a.tsv: no such file: val.tsv is a file, not a folder (working directory: {folder})"
    (folder / "data" / "en").mkdir(parents=True)
    assert error("data/*/a.tsv") == f"data/*/a.tsv: no such file (working directory: {folder})"
    assert error("data/fr*/a.tsv").startswith("data/fr*/a.tsv: no such file: the folder data/fr* does not exist (working directory")
    assert error("a\0b/c.tsv").startswith("a\0b/c.tsv: no such file: the folder a\0b does not exist")
    assert error(str(folder)) == f"{folder}: this is a folder; name its files, e.g. {folder}/*.tsv"
    (folder / "tables").mkdir()
    for name in ("notes", "a.CSV", "b.csv.gz", "c.jsonl"):
        (folder / "tables" / name).touch()
    assert error("tables") == "tables: this is a folder; name its files, e.g. tables/*.csv"


@pytest.mark.parametrize("mode", [0o000, 0o444])
@pytest.mark.parametrize("pattern", ["data/a.tsv", "data/sub/a.tsv", "data/*.tsv", "data/sub/*.tsv"])
def test_a_folder_that_may_not_be_read_is_named(folder, pattern, mode):
    (folder / "data" / "sub").mkdir(parents=True)
    (folder / "data" / "sub" / "a.tsv").touch()
    folder.chmod(0o755)
    with unreadable(folder / "data", mode):
        assert error(pattern) == f"{pattern}: the folder data cannot be read: Permission denied"


def test_unknown_extension_lists_the_formats(folder):
    write("a.docx", "x")
    assert error("a.docx") == (
        "a.docx: unknown extension .docx; supported: .csv, .json, .jsonl, .parquet, .tsv, .txt, .xlsm, .xlsx, each also with .gz."
        " If this is a format of your own, name its module: --import MODULE."
    )


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.json", "a.jsonl", "a.tsv.gz"])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_empty_files_are_errors(folder, name, content):
    write(name, content)
    message = error(name)
    assert message == f"{name}: the file is empty (it has no rows)"


def test_truncated_gzip_is_reported_as_damaged(folder):
    whole = gzip.compress("".join(f"甲{i}\t乙\n" for i in range(5000)).encode())
    write("a.tsv", b"")
    (folder / "a.tsv.gz").write_bytes(whole[: len(whole) // 2])
    assert error("a.tsv.gz", {"source": 0, "target": 1}).startswith("a.tsv.gz: the gzip data is damaged")


def test_the_extension_decides_the_format_whatever_its_case():
    assert set(readers()) == {".tsv", ".csv", ".json", ".jsonl", ".parquet", ".txt", ".xlsx", ".xlsm"}
    assert find_reader("x.TSV.gz") is readers()[".csv"]
