"""Test which parts of a summary are found in its source."""

import pytest

from paddle_ft.metrics.copying import find_copies


def parts(text, spans):
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(("text", "source", "in_text", "in_source", "share"), [
    ("红岩县茶叶丰收", "今年茶叶价高，红岩县忙。", ["红岩县", "茶叶"], ["茶叶", "红岩县"], 5 / 7),
    ("The RED fish, swam home", "a red fish swam far from home", ["RED fish, swam"], ["red fish swam"], 3 / 5),
    ("one two one two three", "one two three and one two", ["one two", "one two three"], ["one two three"], 1.0),
    ("two three four one two", "one two three four", ["two three four", "one two"], ["one two three four"], 1.0),
    ("a b c", "c b a", [], [], 0.0),
    ("", "one two", [], [], 0.0),
    ("😀", "😀😀", [], [], 0.0),
])  # fmt: skip
def test_copied_runs_of_words_are_found_in_both(text, source, in_text, in_source, share):
    copies = find_copies(text, source)
    assert parts(text, copies.in_text) == in_text
    assert parts(source, copies.in_source) == in_source
    assert copies.share == pytest.approx(share)


def test_the_longest_run_is_taken_not_the_first():
    source = "new york is big. new york city is bigger."
    copies = find_copies("new york city", source)
    assert parts(source, copies.in_source) == ["new york city"]
