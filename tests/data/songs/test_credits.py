"""Test which lines are credits."""

import pytest

from paddle_ft.data.songs.credits import is_credit, names_writer

WRITERS = [
    "作词 : 某人", "作曲：甲/乙", "词/曲：某人", "词曲：某", "作詞：某人 作曲：某人", "作词 某人", "词：甲",
    "曲 : 乙", "作词、作曲：甲",
    "Lyrics by: Jane Doe", "Written by Jane Doe and John Roe", "Music and lyrics by Jane Doe",
]  # fmt: skip
OTHERS = [
    "编曲：甲", "混音工程师：乙", "音乐制作人 : 丙", "第一小提琴 : 丁", "混音、母带 : 戊", "制作人Producer：A",
    "混音师 Mixing Engineer：B",
    "OP：某音乐", "SP : 某公司", "录音室：北京", "监制/出品人：", "贝斯手：王", "和声编写：王", "配唱制作人：李", "電吉他：陳",
    "Produced by Somebody Else", "Producer: Somebody", "Mixed & mastered by The Neighbor",
]  # fmt: skip


@pytest.mark.parametrize("line", WRITERS + OTHERS)
def test_credits(line):
    assert is_credit(line) and names_writer(line) == (line in WRITERS)


@pytest.mark.parametrize(
    "line",
    ["她说：我爱你", "副歌：爱你", "曲终人散：再见", "人：你好", "曲 终人散了", "鼓声响起来：咚咚", "歌手在唱：夜", "RAP：来吧来吧",
     "词不达意的我", "音乐响起来",
     "Written by the river, I cried", "Music by my side", "music: play it loud, I love it",
     "Produced by nobody else but me",
     "Recorded by the sea", "Verse 1: Jane Doe", "label me: whatever", "I got the bass, and drums"],
)  # fmt: skip
def test_lines_of_lyrics_are_no_credits(line):
    assert not is_credit(line) and not names_writer(line)


def test_a_long_line_of_roles_is_judged_at_once():
    assert not is_credit("词曲" * 15 + "某：一")
