"""Test that a table gives the same rows, whatever format it is written in."""

import datetime
import json

import pandas as pd
import pytest

from paddle_ft.system.encodings import text_encoding
from tests.support.data_files import read_files
from tests.support.table_formats import WRITERS

TEXTS = ['He said "so; what", then left', "一行中文，有标点", "null or nothing", " spaced ", "nan"]


def rows_of(path, **settings):
    return read_files(str(path), required=("text", "label"), optional=("artist",), on_bad_row="skip", **settings)


def check(tmp_path, table, expected, num_bad=0):
    """Write the table in every format, and compare the rows that are read."""
    for name, write in WRITERS.items():
        write(table, tmp_path / name)
        result = rows_of(tmp_path / name)
        assert result.rows == expected, name
        assert len(result.bad) == num_bad, (name, result.bad)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pd.Series(["a", "b", "NA", "a", "b"]), ["a", "b", "NA", "a", "b"]),
        (pd.Series([0, 1, 2, 1, 0]), ["0", "1", "2", "1", "0"]),
        (pd.Series([0.0, 1.0, 2.0, 1.0, 0.0]), ["0", "1", "2", "1", "0"]),
        (pd.Series([0.5, 1.0, -2.25, 1e-7, 100.0]), ["0.5", "1", "-2.25", "1e-07", "100"]),
        (pd.Series([True, False, True, False, True]), ["True", "False", "True", "False", "True"]),
        (pd.Series(["TRUE", "false", "true", "False", "True"]), ["True", "False", "True", "False", "True"]),
        (pd.Series([2**60, -1, 2**53 + 1, 0, 7], dtype="object").astype("string"), [str(2**60), "-1", str(2**53 + 1), "0", "7"]),
        (pd.Series(pd.Categorical(["x", "y", "x", "y", "x"])), ["x", "y", "x", "y", "x"]),
    ],
    ids=["names", "integers", "whole floats", "floats", "booleans", "spelled booleans", "large integers", "categories"],
)
def test_labels(tmp_path, labels, expected):
    table = pd.DataFrame({"text": TEXTS, "label": labels})
    check(tmp_path, table, [{"text": text, "label": label} for text, label in zip(TEXTS, expected, strict=True)])


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object"])
def test_whole_numbers_in_a_column_with_missing_values(tmp_path, dtype):
    """pandas turns such a column into floats, and writes 1.0 for 1 then."""
    labels = pd.Series([1, None, 0, 1, None], dtype=dtype)
    check(tmp_path, pd.DataFrame({"text": TEXTS, "label": labels}),
          [{"text": TEXTS[i], "label": label} for i, label in ((0, "1"), (2, "0"), (3, "1"))], num_bad=2)  # fmt: skip


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA], ids=str)
@pytest.mark.parametrize("column", ["text", "label"])
def test_a_missing_value_of_a_required_field_is_a_bad_row(tmp_path, missing, column):
    table = pd.DataFrame({"text": ["a", "b", "c"], "label": ["x", "y", "z"]}, dtype="object")
    table.loc[1, column] = missing
    check(tmp_path, table, [{"text": "a", "label": "x"}, {"text": "c", "label": "z"}], num_bad=1)


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  "], ids=repr)
def test_a_missing_value_of_an_optional_field_is_left_out(tmp_path, missing):
    table = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"], "artist": ["somebody", missing]})
    check(tmp_path, table, [{"text": "a", "label": "x", "artist": "somebody"}, {"text": "b", "label": "y"}])


def test_dates(tmp_path):
    """JSON has no dates, so each program writes them in its own way, as texts."""
    days = pd.Series([datetime.date(2024, 2, 29), None, datetime.date(1999, 12, 31)], dtype="object")
    table = pd.DataFrame({"text": ["a", "b", "c"], "label": days})
    expected = [{"text": "a", "label": "2024-02-29"}, {"text": "c", "label": "1999-12-31"}]
    for name in (name for name in WRITERS if "json" not in name):
        WRITERS[name](table, tmp_path / name)
        assert rows_of(tmp_path / name).rows == expected, name


def test_lines_inside_a_text(tmp_path):
    """A .tsv cannot have them. Excel keeps \\n alone, so \\r\\n and \\r become \\n everywhere."""
    table = pd.DataFrame({"text": ["one\ntwo", "three\r\nfour"], "label": ["x", "y"]})
    for name in sorted(set(WRITERS) - {"table.tsv"}):
        WRITERS[name](table, tmp_path / name)
        assert [row["text"] for row in rows_of(tmp_path / name).rows] == ["one\ntwo", "three\nfour"], name


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8", "utf-8-sig", "big5"])
def test_data_encoding(tmp_path, encoding):
    rows = [{"text": "一行中文，有標點", "label": "x"}, {"text": "鎔基", "label": "y"}]
    table = "text,label\r\n" + "".join(f"{row['text']},{row['label']}\r\n" for row in rows)
    contents = {"a.csv": table, "a.json": json.dumps(rows, ensure_ascii=False, indent=1),
                "a.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)}  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content.encode(encoding))
        result = rows_of(tmp_path / name, encoding=text_encoding(encoding))
        assert result.rows == rows, name
        assert result.bad == [] and result.decisions == []
