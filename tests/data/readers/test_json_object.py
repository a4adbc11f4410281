"""Test JSON files that are one object: lists of rows inside it, and objects of columns."""

import json

import pytest

from tests.support.data_files import PAIR, error, read_files, reasons, write

ROWS = [{"source": "甲", "target": "乙"}, {"source": "丙", "target": "丁"}]
COLUMNS = {"source": ["甲", "丙"], "target": ["乙", "丁"]}
TOLD = ["a.json: it is one object, whose lists are read as columns"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_json(value, indent=None):
    return write("a.json", json.dumps(value, ensure_ascii=False, indent=indent))


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("value", "field", "told"),
    [
        ({"version": "1.0", "data": ROWS}, "data", []),
        ({"result": {"count": 2, "rows": ROWS}, "data": []}, "result.rows", []),
        ({"a.b": ROWS, "a": {"b": []}}, "a.b", []),
        ({"data": COLUMNS}, "data", TOLD),
        ({"data": {}, "x": {"data": COLUMNS}}, "x.data", TOLD),
    ],
)
def test_data_field_leads_to_the_rows(indent, value, field, told):
    result = read_files(write_json(value, indent), required=PAIR, field=field)
    assert result.rows == ROWS and result.decisions == told


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "value",
    [
        COLUMNS,
        {**COLUMNS, "title": "no column", "id": [1, 2, 3]},
        {name: {str(number): text for number, text in enumerate(texts)} for name, texts in COLUMNS.items()},  # pandas' to_json
        {"source": {"x": "甲", "y": "丙"}, "target": {"y": "丁", "x": "乙"}},
    ],
)
def test_an_object_of_columns(indent, value):
    result = read_files(write_json(value, indent), required=PAIR)
    assert result.rows == ROWS and result.decisions == TOLD


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("value", "suggestion"),
    [
        ({"version": 1, "data": ROWS}, "data.field=data (2 objects with 'source', 'target')"),
        ({"x": [{"id": 1}], "a": {"b": ROWS}}, "data.field=a.b (2 objects with 'source', 'target')"),
        ({"x": [{"id": 1}], "y": {"z": [{"a": 2}]}}, "data.field=x (1 objects with 'id'); data.field=y.z (1 objects with 'a')"),
        ({"split": {"train": COLUMNS}}, "data.field=split.train (columns 'source', 'target')"),
    ],
)
def test_the_field_is_suggested(indent, value, suggestion):
    message = error(write_json(value, indent))
    assert message == f"a.json: the file is one object, with its rows in a list inside it; name the list: {suggestion}"


def test_one_row_is_a_row():
    assert read_files(write_json(ROWS[0]), required=PAIR).rows == ROWS[:1]
    assert read_files(write_json(ROWS[0], indent=2), required=PAIR).rows == ROWS[:1]
    assert error(write_json({"text": "甲"})).startswith("a.json:1: no column 'source' (the row has 'text'; ")
    message = "a.json: the file is one object with 'text', and there is no list of rows in it"
    assert error(write_json({"text": "甲"}, indent=1)) == message


def test_lines_with_lists_stay_lines():
    write("a.json", '{"source": ["甲"], "target": ["乙"]}\n{"source": "丙", "target": "丁"}\n')
    assert reasons("a.json") == (1, [(1, "source is a list, not text")])


def test_a_damaged_first_line_does_not_make_lines_an_object():
    write("a.jsonl", '{"source": "甲",\n{"source": "丙", "target": "丁"}\n{"source": "丙", "target": "丁"}\n')
    assert reasons("a.jsonl")[0] == 2
    write("a.jsonl", '{"source": "甲", "target"\n{"source": "丙", "target": "丁"}\n')
    assert reasons("a.jsonl") == (1, [(1, "invalid JSON at column 25: Expecting ':' delimiter")])


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ('{"data": [], "x": 1}', "rows", "a.json: data.field: there is no 'rows'; the file has 'data', 'x'"),
        ('{"data": {"x": 1}}', "data.rows", "a.json: data.field: there is no 'rows'; 'data' has 'x'"),
        ('{"data": [1]}', "data.rows", "a.json: data.field=rows: 'data' is no object"),
        ('{"data": "x"}', "data", "a.json: data.field=data is str, not a list of rows"),
        ('{"data": [{"source": "a"}', "data", "a.json:1: invalid JSON in the array at column 26: ',' or ']' expected"),
        ('{"version" 1, "data": []}', "data", "a.json:1: invalid JSON at column 12: Expecting ':' delimiter"),
        ('{"version": 1\n', None, "a.json:2: invalid JSON at column 1: Expecting ',' delimiter"),
        ('{"source": ["a"], "target": ["b", "c"]}', None,
         "a.json: the columns of the object need the same number of values: 'source' has 1, 'target' has 2"),
        ("[1]", "data", "a.json: data.field=data is set, but the file is a list: leave data.field out"),
        ("text", "data", "a.json: data.field=data is set, but the file is no object: leave data.field out"),
        ('[{"source": "a", "target": "b"}]\n[{"source": "c", "target": "d"}]', None,
         "a.json:2: invalid JSON at column 1: more text follows the list"),
        ('{\n"source": "a", "target": "b"}\n{\n"source": "a", "target": "b"}', None,
         "a.json:2: invalid JSON at column 30: more text follows the object"),
        ('{\n"source": "\xff"}', None, "a.json: invalid UTF-8 at byte 13 of the file"),
    ],
)  # fmt: skip
def test_wrong_objects(content, field, message):
    write("a.json", content.encode("latin1"))
    assert error("a.json", field=field).startswith(message)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_what_python_refuses_is_invalid_json(name):
    row = '{"source": "a", "target": %s}'
    lines = [row % '"b"', row % ("9" * 5000), row % ("[" * 100_000)]
    write(name, "\n".join(lines))
    assert reasons(name) == (
        1,
        [
            (2, "invalid JSON at column 1: a number has thousands of digits"),
            (3, "invalid JSON at column 1: lists or objects are nested too deeply"),
        ],
    )
    write(name, f"[{row % ('9' * 5000)}]")
    assert error(name).startswith(f"{name}:1: invalid JSON in the array at column 2: a number has thousands of digits")


def test_data_field_does_not_matter_for_other_formats():
    write("a.csv", "source,target\n甲,乙\n")
    assert len(read_files("a.csv", required=PAIR, field="data")) == 1


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("orient", ["split", "index"])
def test_the_forms_of_pandas_that_are_not_read_are_named(indent, orient):
    if orient == "split":
        value = {"columns": list(COLUMNS), "index": [0, 1], "data": [list(row.values()) for row in ROWS]}
    else:
        value = {str(number): row for number, row in enumerate(ROWS)}
    advice = 'write it with df.to_json(FILE, orient="records", lines=True)'
    assert error(write_json(value, indent), required=PAIR) == (
        f"a.json: the file is a table as pandas writes it with orient={orient!r}; {advice}"
    )


def test_rows_that_are_lists_are_what_pandas_writes_with_orient_values():
    write_json([list(row.values()) for row in ROWS])
    advice = 'if pandas wrote the file, write it with df.to_json(FILE, orient="records", lines=True)'
    assert error("a.json", required=PAIR).startswith(f"a.json:1: the JSON value is list, not an object; {advice}\n")
