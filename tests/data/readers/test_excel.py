"""Test Excel workbooks: sheets, cells of all types, merged cells, formulas, and files that are damaged or too large."""

import datetime
import sys
import zipfile

import openpyxl
import pytest

from paddle_ft.data.readers import excel, extension, split_sheet
from tests.support.data_files import PAIR, error, read_files, reasons, write


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(path="a.xlsx", **sheets):
    """Write a workbook with these sheets, which are lists of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return book


HEADER = ["id", "source", "target"]


def test_cells_of_all_types_become_text():
    save(rows=[HEADER, [1, "甲", 7], [2, True, 2.5], [3, datetime.datetime(2024, 2, 29), datetime.time(8, 30)],
               [4, datetime.datetime(2024, 2, 29, 1), -1.0], [5, "#N/A", "x"], [6, "a_x000D_\nb", "x"]])  # fmt: skip
    result = read_files("a.xlsx", required=PAIR, on_bad_row="skip")
    assert [tuple(row.values()) for row in result.rows] == [
        ("甲", "7"), ("True", "2.5"), ("2024-02-29", "08:30:00"), ("2024-02-29 01:00:00", "-1"), ("a\nb", "x"),
    ]  # fmt: skip
    assert [(bad.line, bad.reason) for bad in result.bad] == [(6, "source is missing")]
    assert result.decisions == []


def test_sheets_are_chosen_by_name_or_by_order():
    rows = {name: [["source", "target"], [name, "x"]] for name in ("notes", "train set", "2024")}
    book = save(**rows)
    result = read_files("a.xlsx", required=PAIR)
    assert result.rows[0]["source"] == "notes"
    assert result.decisions == ["a.xlsx: of 3 sheets the first is read, 'notes'; another is named like a.xlsx:train set"]
    for name in rows:
        result = read_files(f"*.xlsx:{name}", required=PAIR)
        assert result.rows[0]["source"] == name and result.files == [f"a.xlsx:{name}"] and result.decisions == []
    assert error("a.xlsx:Notes") == "a.xlsx:Notes: there is no sheet 'Notes'; the sheets are 'notes', 'train set', '2024'"
    book["notes"].sheet_state = book["2024"].sheet_state = "hidden"
    book.active = 1
    book.save("a.xlsx")
    result = read_files("a.xlsx", required=PAIR)
    assert result.rows[0]["source"] == "train set" and result.decisions == []
    assert error("b.xlsx:2024").startswith("b.xlsx: no such file; the folder . has a.xlsx")


def test_a_file_with_a_colon_in_its_name_is_that_file():
    save("a.xlsx:b.xlsx", rows=[["source", "target"], ["甲", "乙"]])
    assert split_sheet("a.xlsx:b.xlsx") == ("a.xlsx:b.xlsx", None) and extension("c.XLSX:d.e") == ".xlsx"
    assert len(read_files("a.xlsx:b.xlsx", required=PAIR)) == 1


def test_blank_rows_and_columns_around_the_table():
    save(rows=[[], [None, None], [None, "source", None, "target"], [None, "甲", 1, "乙", None, "a note"], [], [None, "丙", 2, "丁"],
               [], [None, " "]])  # fmt: skip
    assert reasons("a.xlsx") == (2, [(8, "source is empty")])
    assert "  0: \n  1: source\n  2: \n  3: target\n" in error("a.xlsx", {"source": "text"})


def test_columns_by_number():
    save(rows=[["x", "甲"], ["y", None], ["z", "乙", "a note"]])
    assert reasons("a.xlsx", {"source": 1, "target": 0}) == (2, [(2, "source is missing")])


def test_formulas_have_the_value_that_was_stored():
    save(rows=[["source", "target"], ["甲", "=A2"], ["乙", "=A3"]])
    with zipfile.ZipFile("a.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    assert b"<f>A2</f><v />" in sheet or b"<f>A2</f><v></v>" in sheet or b"<f>A2</f><v/>" in sheet
    start = sheet.index(b"<f>A2</f>") + len(b"<f>A2</f>")
    end = sheet.index(b"</c>", start)
    parts["xl/worksheets/sheet1.xml"] = sheet[:start] + b"<v>7</v>" + sheet[end:]
    with zipfile.ZipFile("a.xlsx", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert reasons("a.xlsx") == (1, [(3, "target is missing")])
    assert read_files("a.xlsx", required=PAIR, on_bad_row="skip").rows == [{"source": "甲", "target": "7"}]


def test_merged_cells_are_named_where_a_value_is_missing():
    book = save(rows=[["source", "target"], ["甲", "x"], ["乙", None], ["丙", None]])
    book.active.merge_cells("B2:B3")
    book.save("a.xlsx")
    reason = "target is missing (the workbook has merged cells; only the first of them has a value)"
    assert reasons("a.xlsx") == (1, [(3, reason), (4, reason)])


def test_wrong_dimensions_do_not_cut_off_columns():
    save(rows=[["source", "target"], ["甲", "乙"]])
    with zipfile.ZipFile("a.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace(b'ref="A1:B2"', b'ref="A1"')
    with zipfile.ZipFile("a.xlsx", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert read_files("a.xlsx", required=PAIR).rows == [{"source": "甲", "target": "乙"}]


def test_a_packed_workbook():
    save(rows=[["source", "target"], ["甲", "乙"]])
    with open("a.xlsx", "rb") as file:
        write("b.xlsx.gz", file.read())
    assert read_files("b.xlsx.gz:rows", required=PAIR).rows == [{"source": "甲", "target": "乙"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an Excel workbook, or a damaged one: BadZipFile"),
        (b"id,text\n", "not an Excel workbook, or a damaged one: BadZipFile"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "this is an old Excel file (.xls), or one with a password"),
    ],
)
def test_other_files_are_refused(content, message):
    write("a.xlsx", content)
    assert error("a.xlsx").startswith(f"a.xlsx: {message}")
    write("b.xls", content)
    assert error("b.xls").endswith("each also with .gz. Save it as .xlsx.")


def test_a_damaged_sheet_is_one_error():
    save(rows=[["source", "target"], ["甲", "乙"]])
    with zipfile.ZipFile("a.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, old, new in [
        ("xl/worksheets/sheet1.xml", b"</row>", b"</rov>"),
        ("xl/worksheets/sheet1.xml", b'<row r="2"', b'<row r="2000000"'),
        ("xl/worksheets/sheet1.xml", b'r="A2"', b'r="AAAAA2"'),
        ("xl/worksheets/sheet1.xml", b't="inlineStr">', b't="s"><v>99</v>'),
        ("xl/workbook.xml", b"sheetId", b"sheetIt"),
    ]:
        with zipfile.ZipFile("a.xlsx", "w") as archive:
            for other, content in parts.items():
                archive.writestr(other, content.replace(old, new) if other == name else content)
        assert error("a.xlsx").startswith("a.xlsx: not an Excel workbook, or a damaged one: "), (name, new)


def test_a_workbook_that_unpacks_to_too_much_is_refused(monkeypatch):
    save(rows=[["source", "target"], *[["甲" * 100, "乙"]] * 1000])
    monkeypatch.setattr(excel, "MAX_UNPACKED", 2**14)
    assert error("a.xlsx").startswith("a.xlsx: the workbook has 0 MB, unpacked, more than the 0 MB that can be read; save")


def test_entities_are_not_expanded():
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 100) for i in range(8))
        + b"]>"
    )
    save(rows=[["source", "target"], ["oak", "fir"]])
    with zipfile.ZipFile("a.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    assert b"oak" in sheet
    parts["xl/worksheets/sheet1.xml"] = bomb + sheet[sheet.index(b"<worksheet") :].replace(b"oak", b"&i;")
    with zipfile.ZipFile("a.xlsx", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert error("a.xlsx").startswith("a.xlsx: not an Excel workbook, or a damaged one: ")


def test_without_openpyxl_the_message_says_how_to_get_it(monkeypatch):
    save(rows=[["source", "target"], ["甲", "乙"]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.setattr(excel.importlib.util, "find_spec", lambda name: None)
    problem = f"reading Excel files needs openpyxl, which is missing in {sys.executable}"
    assert error("a.xlsx") == f"a.xlsx: {problem}. Install it:\n  pip install 'openpyxl>=3.1'"
