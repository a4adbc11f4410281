"""Test what the fields of a page make of values that come in over the network."""

import pytest

from paddle_ft.demo.fields import LENGTH, LONGEST_TEXT, BadInput, ChoiceField, NumberField, TextField
from paddle_ft.demo.labels import Label

NAN, INFINITY = float("nan"), float("inf")
WHOLE = NumberField("lines", Label("Lines", "句数"), 8, 1, 24)
FRACTION = NumberField("noise", Label("Noise", "噪声"), 0.25, 0, 0.9, 0.05)
TEXT = TextField("text", Label("Text", "文本"))
CHOICE = ChoiceField("genre", Label("Genre", "流派"), "rap", ("rap", "pop"))
NO_NUMBERS = ("abc", "5", "", None, NAN, INFINITY, -INFINITY, 10**400, -(10**400), 1e300, -5, 25, True, [], [1], {}, {"a": 1})


def message(field, value):
    with pytest.raises(BadInput) as caught:
        field.clean(value)
    return caught.value.label


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 2.5, 24.0001], ids=repr)
def test_what_is_no_whole_number_in_the_range_is_refused(value):
    label = message(WHOLE, value)
    assert (label.en, label.zh) == ("“Lines” must be a whole number from 1 to 24.", "“句数”必须是 1 到 24 之间的整数。")


@pytest.mark.parametrize("value", [*NO_NUMBERS, -0.01, 0.91], ids=repr)
def test_what_is_no_number_in_the_range_is_refused(value):
    assert message(FRACTION, value).en == "“Noise” must be a number from 0 to 0.9."


def test_numbers_in_the_range_are_used():
    assert [repr(WHOLE.clean(value)) for value in (1, 8.0, 24)] == ["1", "8", "24"]
    assert [repr(FRACTION.clean(value)) for value in (0, 0.33, 0.9)] == ["0.0", "0.33", "0.9"]


def test_a_text_that_the_page_has_not_sent_is_refused_with_its_length():
    assert message(TEXT, {LENGTH: 3_000_000}).zh == "“文本”有 3000000 个字符，最多允许 20000 个。请缩短。"


@pytest.mark.parametrize("value", [5, NAN, True, [], ["a"], {}, {"a": 1}, {LENGTH: 5}, {LENGTH: "x"}], ids=repr)
def test_what_is_no_text_is_refused(value):
    assert message(TEXT, value) == Label("“Text” must be a text.", "“文本”必须是文本。")


def test_texts_are_used_and_half_a_surrogate_pair_is_replaced():
    assert [TEXT.clean(value) for value in (None, "", " a ", "字😀", "\ud83d")] == ["", "", " a ", "字😀", "\ufffd"]
    assert TEXT.clean("字" * LONGEST_TEXT) == "字" * LONGEST_TEXT
    assert "has 20001 characters; at most 20000 are allowed" in message(TEXT, "a" * (LONGEST_TEXT + 1)).en


@pytest.mark.parametrize("value", ["Rap", "", None, 0, NAN, [], ["rap"], {}], ids=repr)
def test_what_is_none_of_the_choices_is_refused(value):
    assert message(CHOICE, value) == Label("“Genre” must be one of: rap, pop.", "“流派”只能是：rap, pop。")
    assert CHOICE.clean("pop") == "pop"


def test_only_some_of_many_choices_are_named():
    many = ChoiceField("artist", Label("Artist", "歌手"), "0", tuple(map(str, range(200))))
    assert message(many, "x").en == "“Artist” must be one of: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...."
