"""Test each cleaning rule on a song that needs it."""

import pytest

from paddle_ft.data.songs.text import clean, is_adlib, key, split_header


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


@pytest.mark.parametrize(
    "title",
    ["晴天 (Sunny) Lyrics", "263 ContributorsTranslationsPolskiOld Pie LyricsSomebody released this on an album. It is… Read More ",
     "You might also like3 ContributorsHumble Pie Lyrics[Intro]", "You might also like\nHumble Pie Lyrics[Intro]\n"],
)  # fmt: skip
def test_titles_of_other_kinds_are_removed(title):
    assert lines(f"{title}故事里的鱼\n我在水里游") == [["故事里的鱼", "我在水里游"]]


@pytest.mark.parametrize(
    "notice",
    ["Submit Corrections", "Writer(s): Jane Doe, John Roe", "Songwriters: Jane Doe", "Thanks to Jane for correcting these lyrics",
     "******* This Lyrics is NOT for Commercial use *******", "Source: LyricFind", "https://example.com/songs/1",
     "Lyrics licensed & provided by LyricFind", "Fish lyrics © Nobody Publishing", "纯音乐，请欣赏",
     "未经著作权人许可，不得翻唱、翻录或使用", "以下歌词翻译由某某提供", "某音乐享有本翻译作品的著作权", "更多免费歌词请在某站",
     "本歌词由某某制作", '{"t":0,"c":[{"tx":"作词: "},{"tx":"某人"}]}'],
)  # fmt: skip
def test_notices_of_other_sites_are_removed(notice):
    sections, counts = clean(f"one fish\ntwo fish\n{notice}\nred fish")
    assert sections == [["one fish", "two fish", "red fish"]] and counts["leftovers"] == 1


@pytest.mark.parametrize(
    "line", ["写这首歌词的人", "Submit to me", "Thanks to you for these songs", "未经世事的我", "lyrics are all I have"]
)
def test_lines_that_look_like_notices_are_kept(line):
    assert lines(line) == [[line]]


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


def test_promotion_between_two_lines_is_a_line_break():
    assert lines("one fishYou might also liketwo fish") == [["one fish", "two fish"]]
    sections, counts = clean("one fishSee Some Body LiveGet tickets as low as $1,050You might also like[Chorus]\ntwo fish")
    assert sections == [["one fish"], ["two fish"]] and counts["leftovers"] == 1
    assert lines("I see the seaSee Somebody LiveGet tickets as low as $50\ntwo fish") == [["I see the sea", "two fish"]]
    assert lines("one fish\ntwo fishYou might also like5Embed") == [["one fish", "two fish"]]
    assert lines("one fish\ntwo fish5EmbedYou might also like") == [["one fish", "two fish"]]
    text = ["See what the fish would like", "get tickets as low as you can", "You might also like, if you can, my fish"]
    assert lines("\n".join(text)) == [text]


# ---------------------------------------------------------------------------------------------------- Chinese songs
def test_titles_and_credits_are_removed_and_counted():
    sections, counts = clean("长路\n某歌手\n\n作词：甲\n作曲：乙\n编曲 : 丙\n\n走过了长路\n还有山和雾\n混音师：丁\n录音室：戊")
    assert sections == [["走过了长路", "还有山和雾"]]
    assert (counts["credit_lines"], counts["lines"]) == (7, 9)
    assert lines("长路 - 某歌手\n词：甲 曲：乙\n走过了长路") == [["走过了长路"]]


def test_lyrics_above_credits_are_kept():
    song = [f"{line}在心里" for line in "一二三四五"]
    assert lines("\n".join([*song, "作词：甲", "作曲：乙"])) == [song]
    assert lines("[Verse]\none fish\nProduced by Somebody\ntwo fish") == [["one fish", "two fish"]]
    assert lines("主歌：\n走过了长路\n作词：甲\n还有山和雾") == [["走过了长路", "还有山和雾"]]


def test_marks_of_the_singers_of_a_duet_are_removed():
    sung = ["走过了长路", "还有山和雾", "一起到日暮", "回家"]
    assert lines(f"男：{sung[0]}\n女: {sung[1]}\n（合）{sung[2]}\n(女声){sung[3]}") == [sung]
    assert lines("男孩：你好\n女人如花") == [["男孩：你好", "女人如花"]]


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
