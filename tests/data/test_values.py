"""Test the rule that turns values of all formats into text, and which values count as missing."""

import datetime
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from paddle_ft.data.rows import Fields, make_row
from paddle_ft.data.values import class_text, to_plain, to_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("文本", "文本"), (np.str_("a"), "a"), (True, "True"), (np.bool_(False), "False"),
        (7, "7"), (-0.0, "0"), (1.0, "1"), (1e20, "100000000000000000000"), (1e22, "1e+22"), (0.1, "0.1"), (2**70, str(2**70)),
        (np.int8(3), "3"), (np.uint64(2**64 - 1), str(2**64 - 1)), (np.float32(0.1), "0.1"), (np.float16(2.0), "2"),
        (Decimal("1.50"), "1.5"), (Decimal("100"), "100"), (Decimal("-0.0"), "0"), (Decimal("1E+3"), "1000"),
        (datetime.date(2024, 2, 29), "2024-02-29"), (datetime.datetime(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 12, 30), "2024-02-29 12:30:00"), (pd.Timestamp("2024-02-29 12:30"), "2024-02-29 12:30:00"),
        (np.datetime64("2024-02-29T00:00:00.000000000"), "2024-02-29"), (datetime.time(8, 5), "08:05:00"),
        (datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), "2024-01-01 00:00:00+00:00"),
        (datetime.timedelta(hours=30), "1 day, 6:00:00"), (np.timedelta64(90, "s"), "0:01:30"),
    ],
)  # fmt: skip
def test_values_become_text(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), float("inf"), float("-inf"), np.nan, np.float32("inf"), pd.NA, pd.NaT, np.datetime64("NaT"),
     np.timedelta64("NaT"), Decimal("NaN"), Decimal("Infinity"), json.loads("NaN"), json.loads("-Infinity")],
    ids=repr,
)  # fmt: skip
def test_missing_values(value):
    assert to_text(value) is None
    assert make_row({"a": value}, Fields({}, (), ("a",))) == {}
    assert str(make_row({"a": value}, Fields({}, ("a",)))).startswith("a is missing")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["x"], "a is a list, not text"), ({"x": 1}, "a is an object, not text"), (b"x", "a is binary data, not text"),
        (np.array(["x"]), "a is a list, not text"),
        (object(), "a is object, not text"), (float("nan"), "a is missing (NaN)"), (float("-inf"), "a is missing (-Infinity)"),
        (None, "a is missing"), ("", "a is empty"), (" \u3000\n", "a is empty"),
        ("\ud800", "a contains half a character (a lone surrogate), which is not text"),
    ],
)  # fmt: skip
def test_other_values_are_bad_rows(value, reason):
    assert make_row({"a": value}, Fields({}, ("a",))) == reason


def test_numbers_that_python_does_not_write():
    assert make_row({"a": 10**5000}, Fields({}, ("a",))) == "a is a number of thousands of digits, not text"
    assert make_row({"a": Decimal("1E+100000")}, Fields({}, ("a",))) == {"a": "1E+100000"}


def test_a_second_text_may_be_missing_only_as_a_column():
    fields = Fields({}, ("text",), ("text_pair",))
    assert make_row({"text": "a"}, fields) == {"text": "a"}
    assert make_row({"text": "a", "text_pair": None}, fields) == "text_pair is missing"
    assert make_row({"text": "a", "text_pair": " "}, fields) == "text_pair is empty"


@pytest.mark.parametrize(
    ("text", "name"),
    [("1.0", "1"), ("-12.0", "-12"), ("1.00", "1.00"), ("3.10", "3.10"), ("v1.0", "v1.0"), ("TRUE", "True"), ("false", "False"),
     ("truely", "truely"), ("Yes", "Yes"), ("1", "1"), ("０", "０")],
)  # fmt: skip
def test_one_spelling_for_a_class(text, name):
    assert class_text(text) == name
    row = make_row({"label": text, "text": text}, Fields({}, ("text", "label")))
    assert row == {"label": name, "text": text}  # a text is not changed


def test_words_for_missing_values_are_text_that_is_counted():
    fields = Fields({}, ("text",), ("artist",))
    for text in ("nan", "NA", "nan", "none", "No nan here", "-inf"):  # pandas writes inf for an infinite number
        assert make_row({"text": text, "artist": "N/A"}, fields) == {"text": text, "artist": "N/A"}
    assert fields.decisions == [
        "2 values of text are the word 'nan' and are kept as text; a cell without a value must be empty",
        "6 values of artist are the word 'N/A' and are kept as text; a cell without a value must be empty",
        "1 value of text is the word 'NA' and is kept as text; a cell without a value must be empty",
        "1 value of text is the word '-inf' and is kept as text; a cell without a value must be empty",
    ]


def test_copied_values_can_be_written_as_json():
    value = {"a": [1, 2.5, True, None, float("nan")], 3: datetime.date(2024, 1, 2), "b": b"\xff", "c": "\ud800x"}
    assert to_plain(value) == {"a": [1, 2.5, True, None, None], "3": "2024-01-02", "b": "b'\\xff'", "c": "?x"}
