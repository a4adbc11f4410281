"""Test each cleaning rule on a song that needs it."""

import pytest

from paddle_ft.data.song_text import clean, is_adlib, key, split_header


def lines(text):
    return clean(text)[0]


# ---------------------------------------------------------------------------------------------------- sections
@pytest.mark.parametrize(
    "header",
    ["[Verse 1: Somebody]", "[Chorus]", "[Hook]", "[Bridge]", "[Pre-Chorus: A & B]", "[Part II]", "[Somebody]", "【副歌】",
     "(Hook: Somebody)", "(Chorus)", "Chorus:", "Verse 2", "verse 2: Somebody", "Pre-Chorus", "Chorus x2", "[Chorus] [x2]",
     "主歌1：", "副歌", "Chorus: Nate Dogg", "Hook (Nate Dogg)", "Verse One", "Chorus [x2]", "Intro: Jay", "RAP：", "Rap: MC Fish",
     "Chorus: A & B feat. C x2", "Hook - Nate Dogg", "Verse 3 (Nate Dogg):", "CHORUS 2x", "Repeat Chorus", "Outro:  50 Cent",
     "副歌：周杰伦", "Bridge IV."],
)  # fmt: skip
def test_headers_end_a_section_and_are_removed(header):
    assert lines(f"one fish\ntwo fish\n{header}\nred fish\nblue fish") == [["one fish", "two fish"], ["red fish", "blue fish"]]


@pytest.mark.parametrize(
    "line",
    ["Bridge over troubled water", "Hook me up with your brother", "[?] is what I say", "I [mumbled] this", "(Hey) look at me",
     "Chorus girls, dancing", "versed in the trade", "Hooks and lines", "Hook, line and sinker", "Chorus Girls", "Rap is what I do",
     "Chorus of angels: sing", "Verse one is for my mother", "Bridge - over the river", "Hook-up with me", "Intro to my life",
     "Rapper: Nate"],
)  # fmt: skip
def test_lines_that_look_like_headers_are_kept(line):
    assert split_header(line) == (False, line)


def test_lyrics_after_a_bracketed_header_are_kept():
    assert lines("one fish\n[Verse 2] red fish\nblue fish") == [["one fish"], ["red fish", "blue fish"]]


@pytest.mark.parametrize(
    "lyrics",
    ["red fish went to sea", "I Love Fish", "Red Fish, Blue Fish!", "我爱红色的鱼", "One Fish Two Fish Red Fish Blue Fish"],
)
def test_lyrics_after_a_header_with_a_colon_are_kept(lyrics):
    assert split_header(f"Chorus: {lyrics}") == split_header(f"Verse 2： {lyrics}") == (True, lyrics)


def test_a_blank_line_ends_a_section():
    assert lines("one fish\n \t\ntwo fish") == [["one fish"], ["two fish"]]


DOUBLE = "My Song Lyrics[Verse 1]\none fish\n\ntwo fish\n\n\nred fish\n\nblue fish\n\nChorus\nold fish\n\nnew fish\n"


def test_in_a_double_spaced_song_two_blank_lines_end_a_section():
    sections = [["one fish", "two fish"], ["red fish", "blue fish"], ["old fish", "new fish"]]
    assert lines(DOUBLE) == lines(DOUBLE.replace("\n", "\r\n")) == sections
    assert lines("\n\n" + DOUBLE.replace("Chorus\n", "Chorus\n\n")) == sections


def test_one_line_without_a_blank_one_after_it_makes_a_song_single_spaced():
    assert lines("one fish\n\ntwo fish\n\nred fish\nblue fish\n\nold fish") == [
        ["one fish"], ["two fish"], ["red fish", "blue fish"], ["old fish"],
    ]  # fmt: skip


def test_crlf_and_unusual_spaces_are_normalised():
    assert lines("\ufeffone\u2005 fish\r\ntwo\u200b fish\r\n") == [["one fish", "two fish"]]


# ---------------------------------------------------------------------------------------------------- leftovers
@pytest.mark.parametrize(
    "title",
    ["Humble Pie Lyrics", "Humble Pie Lyrics[Intro]", "123 ContributorsTranslationsEspañolPortuguêsHumble Pie Lyrics[Intro: A]",
     "12 ContributorsLyrics of Mine Lyrics“Humble Pie” is a song about a pie … Read More [Intro]"],
)  # fmt: skip
def test_the_page_title_is_removed(title):
    assert lines(f"{title}\none fish\ntwo fish") == [["one fish", "two fish"]]


def test_a_first_line_stuck_to_the_title_is_kept():
    assert lines("Humble Pie LyricsOne fish\ntwo fish") == [["One fish", "two fish"]]


def test_lyrics_that_mention_lyrics_are_kept():
    text = ["I write these lyrics", "Nobody reads my Lyrics"]
    assert lines("\n".join(text)) == [text]


@pytest.mark.parametrize("tail", ["Embed", "5Embed", "123Embed", "1.2KEmbed", "42EmbedShare URLCopyEmbedCopy"])
def test_the_embed_tail_is_removed(tail):
    assert lines(f"one fish\ntwo fish{tail}") == [["one fish", "two fish"]]
    assert lines(f"one fish\ntwo fish\n{tail}") == [["one fish", "two fish"]]


def test_the_word_embed_in_a_song_is_kept():
    text = ["words that I Embed", "in my mind they embed"]
    assert lines("\n".join(text)) == [text]


def test_a_new_song_starts_after_a_tail():
    assert lines("One Lyrics\none fish\ntwo fish7Embed\nTwo Lyrics\nred fish\nblue fish9Embed") == [
        ["one fish", "two fish"],
        ["red fish", "blue fish"],
    ]


def test_promotion_is_removed_without_ending_the_section():
    assert lines("one fish\nYou might also like\ntwo fish") == [["one fish", "two fish"]]
    assert lines("one fish\nSee Somebody LiveGet tickets as low as $57You might also likeTwo fish") == [["one fish", "Two fish"]]
    assert lines("one fish\nYou might also like[Chorus]\ntwo fish") == [["one fish"], ["two fish"]]
    assert lines("You might also like my brother\nhe likes you") == [["You might also like my brother", "he likes you"]]


# ---------------------------------------------------------------------------------------------------- lines
@pytest.mark.parametrize(
    "line", ["(Yeah, yeah)", "Yeah, yeah, yeah", "Uh", "Skrrt, skrrt!", "Oooh (what you say)", "(Turn it up) (go)", "啦啦啦"]
)
def test_adlibs_are_removed_without_ending_the_section(line):
    assert lines(f"one fish\n{line}\ntwo fish") == [["one fish", "two fish"]]


def test_lines_with_more_than_adlibs_are_kept():
    assert not is_adlib("Yeah, I know")
    assert not is_adlib("I know (yeah)")


def test_lines_without_words_are_removed():
    assert lines("one fish\n...\n♪♪\ntwo fish") == [["one fish", "two fish"]]


def test_a_repeated_line_is_removed():
    assert lines("One fish\none fish!\nONE FISH\ntwo fish\none fish") == [["One fish", "two fish", "one fish"]]


def test_every_step_is_counted():
    text = "My Song Lyrics[Verse 1]\nred fish\n(Yeah)\nRed fish!\n...\nblue fish\n\n[Chorus]\nold fish\nnew fish12Embed"
    assert clean(text)[1] == {
        "lines": 9, "section_headers": 2, "leftovers": 2, "adlib_lines": 1, "wordless_lines": 1, "repeated_lines": 1, "sections": 2,
    }  # fmt: skip


def test_the_key_ignores_case_and_punctuation():
    assert key("Don't STOP, believin’!") == key("don t stop believin")
