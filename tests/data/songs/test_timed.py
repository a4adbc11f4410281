"""Test how lyrics with times (.lrc) become lines."""

import pytest

from paddle_ft.data.songs.timed import is_timed, separate_lines, to_plain

NETEASE = """[ti:长路]
[ar:某歌手]
[by:]
[offset:0]
[00:00.000] 作词 : 甲
[00:01.000] 作曲 : 乙
[00:12.340]走过了长路
[00:16.1]还有山和雾
[00:20]
[00:25.00]回头看见你
"""


def test_tags_and_times_are_removed_and_an_empty_time_ends_a_section():
    assert is_timed(NETEASE)
    assert to_plain(NETEASE) == ("作词 : 甲\n作曲 : 乙\n走过了长路\n还有山和雾\n\n回头看见你", 0)


def test_a_line_with_several_times_is_sung_several_times():
    text = "[00:10.00]一\n[00:20.00][01:00.00]副\n[00:30.00][01:10.00]歌\n[00:50.00]二"
    assert to_plain(text)[0].split("\n") == ["一", "副", "歌", "二", "副", "歌"]
    assert to_plain("[01:00.00][00:20.00]副\n[00:10.00]一")[0] == "一\n副\n副"


@pytest.mark.parametrize(
    "form",
    ["{0}[00:10.00]one\n[00:10.00]一\n[00:20.00]two\n[00:20.00]二\n[00:30.00]three\n[00:30.00]三",
     "{0}[00:10.00]one\n[00:20.00]two\n[00:30.00]three\n[00:10.00]一\n[00:20.00]二\n[00:30.00]三"],
)  # fmt: skip
def test_translations_are_left_out_and_counted(form):
    credits = "[00:00.00]作词 : 甲\n[00:00.00]作曲 : 乙\n"
    assert to_plain(form.format("")) == ("one\ntwo\nthree", 3)
    assert to_plain(form.format(credits)) == ("作词 : 甲\n作曲 : 乙\none\ntwo\nthree", 3)


def test_a_few_equal_times_are_no_translations():
    assert to_plain("[00:10.00]a\n[00:10.00]b\n[00:20.00]c\n[00:30.00]d\n[00:40.00]e") == ("a\nb\nc\nd\ne", 0)


def test_times_of_words_are_removed():
    assert to_plain("[00:10.00]<00:10.00>red <00:10.50>fish\n[00:20.00]blue[00:20.40] fish\n")[0] == "red fish\nblue fish"


def test_lyrics_for_a_player_that_are_one_line():
    text = "[00:00.00] 作曲 : 甲[00:01.00] 作词 : 乙[00:20.11]one line[00:22.07]the next[01:30.00]the last"
    assert to_plain(separate_lines(text))[0] == "作曲 : 甲\n作词 : 乙\none line\nthe next\nthe last"
    assert separate_lines(NETEASE) == NETEASE


@pytest.mark.parametrize("text", ["[Verse 1]\nred fish\n[Chorus]\nblue fish", "at [10:30] we met\nred fish\nblue fish", "", "\n\n",
                                  "[00:10.00]a\nb\nc\nd\ne\nf"])  # fmt: skip
def test_other_lyrics_are_not_timed(text):
    assert not is_timed(text)
