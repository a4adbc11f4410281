import pytest

from paddle_ft.system.formatting import counted, format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (8.25, "8.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (307, "5 min 7 s"),
        (3599.6, "1 h 0 min"),
        (7385, "2 h 3 min"),
        (3600 * 1234, "1,234 h 0 min"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("number", "words", "text"), [
    (1, ["songs"], "1 song"),
    (0, ["songs"], "0 songs"),
    (1200, ["songs"], "1,200 songs"),
    (1, ["section headers removed"], "1 section header removed"),
    (1, ["songs were found", "song was found"], "1 song was found"),
    (2, ["songs were found", "song was found"], "2 songs were found"),
])  # fmt: skip
def test_a_number_with_its_noun(number, words, text):
    assert counted(number, *words) == text
