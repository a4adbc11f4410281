"""Test how the songs of one text are told apart, and that the parts of one song stay together."""

import pytest

from paddle_ft.data.songs import timed
from paddle_ft.data.songs.borders import split_songs
from paddle_ft.data.songs.text import clean

# A file with all songs of an artist, as scripts write it that add up what the package lyricsgenius returns.
ARTIST = """Paper Moon Lyrics[Verse 1]
I count the coins upon the table
I told my mother I was able
You might also like[Chorus]
gold and silver
down the river44EmbedNext Title Lyrics[Verse 1: Nobody]
late at night I write the pages
no one pays me decent wages123EmbedYou might also like
12 ContributorsTranslationsEspañolThe Third One Lyrics[Intro]
slowly we walk
quietly we talkSee Nobody LiveGet tickets as low as $50You might also like[Outro]
out of the door
back to the shoreEmbed24 ContributorsThe Fourth Lyrics“The Fourth” is a song about a pie… Read More [Verse]
bake it with apples
eat it in chapels1.2KEmbed
"""


def words(text):
    """Return the cleaned lines of each song of a text."""
    return [[line for section in clean(song)[0] for line in section] for song in split_songs(text)[0]]


def test_pages_of_genius_without_a_line_break_between_them():
    songs, ways = split_songs(ARTIST)
    assert ways == {"page"}
    assert [len(clean(song)[0]) for song in songs] == [2, 1, 2, 1]
    assert words(ARTIST) == [
        ["I count the coins upon the table", "I told my mother I was able", "gold and silver", "down the river"],
        ["late at night I write the pages", "no one pays me decent wages"],
        ["slowly we walk", "quietly we talk", "out of the door", "back to the shore"],
        ["bake it with apples", "eat it in chapels"],
    ]


@pytest.mark.parametrize(
    ("border", "way"),
    [
        ("5Embed\n", "page"),
        ("Embed\n\nThe Second Lyrics\n", "page"),
        ("7Embed\nYou might also like\n", "page"),
        ("7EmbedYou might also likeThe Second Lyrics[Verse]\n", "page"),
        ("EmbedShare URLCopyEmbedCopy\n", "page"),
        ("EmbedShare Url:CopyEmbed:Copy\n", "page"),
        ("\nThe Second Lyrics[Verse 1]\n", "page"),  # the tail was cut off
        ("\n\nThe Second Lyrics\n[Verse 1]\n", "page"),
        ("\n3 ContributorsThe Second Lyrics\n", "page"),
        ("14 ContributorsThe Second Lyrics\n", "page"),
        ("44EmbedThe Second[Verse]\n", "page"),
        ("\n\n[Song 2: The Second]\n", "number"),
        ("\n=====\n", "rule"),
        ("\n<|endoftext|>\n", "rule"),
        ("<|endoftext|><|startoftext|>", "rule"),
        ("\n[ti:The Second]\n[ar:Nobody]\n", "tag"),
    ],
)
def test_what_tells_two_songs_apart(border, way):
    songs, ways = split_songs(f"red fish\nblue fish{border}old fish\nnew fish\n")
    assert (len(songs), ways) == (2, {way})
    assert songs[0].startswith("red fish\nblue fish") and songs[1].rstrip().endswith("old fish\nnew fish")


@pytest.mark.parametrize(
    "between",
    ["\n\n", "\n\n\n\n", "\n[Chorus]\n", "\n-----\n", "\n*****\n", "\n###\n", "\nI write these Lyrics\n[Chorus]\n",
     "\nwords that I Embed\nin my mind\n", "\nYou might also like\n", "\nthe Lyrics of my heart\n",
     "\nContributors to the cause\n", "\n# 1\n"],
)  # fmt: skip
def test_what_may_stand_within_a_song_divides_none(between):
    text = f"red fish\nblue fish{between}old fish\nnew fish"
    assert split_songs(text)[1] == set() and len(split_songs(text)[0]) == 1


def test_marks_at_the_ends_of_a_file_make_no_songs_of_their_own():
    songs = ["red fish\nblue fish", "old fish\nnew fish"]
    assert split_songs("=====\n" + "\n=====\n".join(songs) + "\n=====\n\n") == (songs, {"rule"})
    text = "".join(f"<|startoftext|>{song}<|endoftext|>\n" for song in songs)
    assert [song.strip() for song in split_songs(text)[0]] == songs
    assert split_songs("[ar:A]\n[ti:One]\nred fish\nblue fish") == (["[ar:A]\n[ti:One]\nred fish\nblue fish"], set())
    assert len(split_songs("One Lyrics[Verse]\nred fish\nblue fish7Embed\n\n")[0]) == 1
    assert len(split_songs("9Embed\nYou might also like\n3 ContributorsOne Lyrics[Verse]\nred fish\nblue fish7Embed")[0]) == 1
    assert split_songs("")[0] == [""]


# ---------------------------------------------------------------------------------------------------- Chinese files
def timed_song(name, first):
    """Return a song whose lines begin at `first` seconds and 20 s apart."""
    lines = [
        f"[{(first + 20 * i) // 60:02d}:{(first + 20 * i) % 60:02d}.50]{name}{number}" for i, number in enumerate("一二三四五")
    ]
    return f"[00:00.00] 作词 : {name}\n" + "\n".join(lines) + "\n"


def test_times_that_start_again_begin_another_song():
    songs, ways = split_songs("".join(map(timed_song, "甲乙丙", (12, 9, 17))))
    assert ways == {"time"}
    assert [timed.to_plain(song)[0].split("\n") for song in songs] == [
        [f"作词 : {name}", *(f"{name}{number}" for number in "一二三四五")] for name in "甲乙丙"
    ]


def test_a_translation_below_the_song_belongs_to_it():
    song = "[00:12.50]one\n[00:50.00]two\n[01:30.00]three\n"
    translation = "[00:12.50]一\n[00:50.00]二\n[01:30.00]三\n"
    assert len(split_songs(song + translation)[0]) == 1
    songs, _ = split_songs(song + translation + "[00:10.00]four\n[00:20.00]five\n")
    assert [len(text.splitlines()) for text in songs] == [6, 2]


def test_a_chorus_with_several_times_is_no_new_song():
    assert len(split_songs("[00:05.00]a\n[01:10.00]b\n[02:20.00][00:15.00]c\n[02:30.00]d")[0]) == 1


def test_credits_begin_a_song_with_its_title_above_them():
    text = ""
    for title, lines in (("晴天与雨天", "一二三四五六"), ("长路", "甲乙丙丁戊己"), ("山歌", "子丑寅卯辰巳")):
        text += (
            f"{title}\n某歌手\n作词：甲\n作曲：乙\n编曲：丙\n\n" + "\n".join(f"{line}在心里" for line in lines) + "\n混音：丁\n\n"
        )
    songs, ways = split_songs(text)
    assert ways == {"credits"} and [song.split("\n")[0] for song in songs] == ["晴天与雨天", "长路", "山歌"]
    assert words(text) == [[f"{line}在心里" for line in lines] for lines in ("一二三四五六", "甲乙丙丁戊己", "子丑寅卯辰巳")]


def test_credits_above_and_below_one_song_are_not_two_songs():
    lines = "\n".join(f"{line}在心里" for line in "一二三四五六")
    assert len(split_songs(f"作词：甲\n作曲：乙\n{lines}\n混音：丙\n录音：丁")[0]) == 1
    assert words(f"作词：甲\n{lines}\n作曲：乙")[0] == lines.split("\n")
