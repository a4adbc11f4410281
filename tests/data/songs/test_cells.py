"""Test how the lines of songs that are a single line are found."""

import pytest

from paddle_ft.data.songs.cells import are_single_lines, find_line_ends, join_single_lines

LINES = ["red fish in the sea", "blue fish swam with me", "old fish, one in three", "", "new fish, come and see"]
PLAIN = "\n".join(LINES)
SUNG = ["天上的月亮", "照在河水上", "远方的姑娘", "还在我心上", "一年又一年"]


def break_lines(texts, is_chinese):
    ends = find_line_ends(texts, is_chinese)
    return [ends.break_lines(text) for text in texts], ends.counts


@pytest.mark.parametrize(
    ("end", "name"),
    [("\\n", r"a literal \n"), ("\\r\\n", r"a literal \n"), (" \\n ", r"a literal \n"), ("<br>", "<br>"), ("<br/>", "<br>"),
     ("<BR />\n", "<br>"), (" <br> ", "<br>")],
)  # fmt: skip
def test_line_ends_that_cannot_be_lyrics_count_in_every_text(end, name):
    texts = [end.join(LINES), "one line\nanother / third"]
    assert break_lines(texts, is_chinese=False) == ([PLAIN, texts[1]], {name: 1})


@pytest.mark.parametrize(
    ("end", "name"),
    [(" / ", "a slash"), ("  /  ", "a slash"), (" | ", "a bar"), ("|", "a bar"), ("\t", "a tab"), ("   ", "several spaces")],
)
def test_other_line_ends_count_if_most_texts_have_them(end, name):
    song = end.join(line for line in LINES if line)
    broken = PLAIN.replace("\n\n", "\n")
    assert break_lines([song, song, "one line"], is_chinese=False) == ([broken, broken, "one line"], {name: 2})
    assert break_lines([song, "one line", "another line"], is_chinese=False)[1] == {}
    assert break_lines([song, "a\nb / c / d / e / f"], is_chinese=False)[0] == [broken, "a\nb / c / d / e / f"]


def test_a_doubled_end_is_a_blank_line():
    assert break_lines(["a // b / c / d / e"], is_chinese=False)[0] == ["a\n\nb\nc\nd\ne"]
    assert break_lines(["a\\n\\nb\\nc"], is_chinese=False)[0] == ["a\n\nb\nc"]


@pytest.mark.parametrize("text", ["24/7 with my brother, and/or with another, on and on", "one fish / two fish", "red fish"])
def test_slashes_within_a_line_stay(text):
    assert break_lines([text], is_chinese=False) == ([text], {})


@pytest.mark.parametrize(
    ("end", "name"),
    [("/", "a slash"), (" / ", "a slash"), (" ", "a space"), ("\u3000", "a space"), ("\u3000\u3000", "several spaces"),
     ("，", "a comma or full stop")],
)  # fmt: skip
def test_chinese_line_ends(end, name):
    assert break_lines([end.join(SUNG)] * 2, is_chinese=True) == (["\n".join(SUNG)] * 2, {name: 2})
    if name in ("a space", "a comma or full stop") or end == "/":
        assert break_lines([end.join(SUNG)], is_chinese=False)[1] == {}


def test_texts_with_line_breaks_stay_as_they_are():
    texts = [PLAIN, "\n".join(SUNG), "one line"]
    assert break_lines(texts, is_chinese=True) == (texts, {})
    assert break_lines([], is_chinese=False) == ([], {})


def test_rows_that_are_lines_of_a_song_are_joined_by_their_title():
    rows = [{"lyrics": line, "title": title, "artist": "A"} for title, lines in (("One", "abc"), ("Two", "de")) for line in lines]
    assert are_single_lines(rows)
    assert list(join_single_lines(rows)) == [
        {"lyrics": "a\nb\nc", "title": "One", "artist": "A"},
        {"lyrics": "d\ne", "title": "Two", "artist": "A"},
    ]
    assert [row["lyrics"] for row in rows] == list("abcde")  # the rows themselves are unchanged
    other_artist = [rows[0], {**rows[1], "artist": "B"}]
    for unchanged in ([], other_artist, [{"lyrics": "a"}, {"lyrics": "b"}], [*rows, {**rows[0], "lyrics": "a\nb"}],
                      [*rows, {**rows[0], "lyrics": "long " * 40}]):  # fmt: skip
        assert not are_single_lines(unchanged)
