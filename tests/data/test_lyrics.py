"""Cleaning, pairing and noise: each rule on a case that fails without it."""

import numpy as np
import pytest

from paddle_ft.data.lyrics import (
    Pairing,
    clean,
    is_adlib,
    join,
    key,
    mask_words,
    pairs,
    prefix_token,
    split_header,
    split_songs,
)  # fmt: skip
from paddle_ft.errors import UserError


def lines(text):
    return clean(text)[0]


# ---------------------------------------------------------------------------------------------------- sections
@pytest.mark.parametrize(
    "header",
    ["[Verse 1: Somebody]", "[Chorus]", "[Hook]", "[Bridge]", "[Pre-Chorus: A & B]", "[Part II]", "[Somebody]", "【副歌】",
     "(Hook: Somebody)", "(Chorus)", "Chorus:", "Verse 2", "verse 2: Somebody", "Pre-Chorus", "Chorus x2", "[Chorus] [x2]",
     "主歌1：", "副歌"],
)  # fmt: skip
def test_a_header_ends_a_section_and_is_no_line(header):
    assert lines(f"one fish\ntwo fish\n{header}\nred fish\nblue fish") == [["one fish", "two fish"], ["red fish", "blue fish"]]


@pytest.mark.parametrize(
    "line",
    ["Bridge over troubled water", "Hook me up with your brother", "[?] is what I say", "I [mumbled] this", "(Hey) look at me",
     "Chorus girls, dancing", "versed in the trade", "Hooks and lines"],
)  # fmt: skip
def test_lines_that_look_like_headers_are_kept(line):
    assert split_header(line) == (False, line)


def test_lyrics_behind_a_header_on_the_same_line_are_kept():
    assert lines("one fish\n[Verse 2] red fish\nblue fish") == [["one fish"], ["red fish", "blue fish"]]


def test_a_blank_line_ends_a_section():
    assert lines("one fish\n \t\ntwo fish") == [["one fish"], ["two fish"]]


def test_windows_line_ends_and_odd_spaces():
    assert lines("\ufeffone\u2005 fish\r\ntwo\u200b fish\r\n") == [["one fish", "two fish"]]


# ---------------------------------------------------------------------------------------------------- leftovers
@pytest.mark.parametrize(
    "title",
    ["Humble Pie Lyrics", "Humble Pie Lyrics[Intro]", "123 ContributorsTranslationsEspañolPortuguêsHumble Pie Lyrics[Intro: A]",
     "12 ContributorsLyrics of Mine Lyrics“Humble Pie” is a song about a pie … Read More [Intro]"],
)  # fmt: skip
def test_the_title_goes(title):
    assert lines(f"{title}\none fish\ntwo fish") == [["one fish", "two fish"]]


def test_a_first_line_glued_to_the_title_is_kept():
    assert lines("Humble Pie LyricsOne fish\ntwo fish") == [["One fish", "two fish"]]


def test_only_a_title_is_taken_for_one():
    text = ["I write these lyrics", "Nobody reads my Lyrics"]
    assert lines("\n".join(text)) == [text]


@pytest.mark.parametrize("tail", ["Embed", "5Embed", "123Embed", "1.2KEmbed", "42EmbedShare URLCopyEmbedCopy"])
def test_the_tail_goes(tail):
    assert lines(f"one fish\ntwo fish{tail}") == [["one fish", "two fish"]]
    assert lines(f"one fish\ntwo fish\n{tail}") == [["one fish", "two fish"]]


def test_a_word_of_the_song_is_no_tail():
    text = ["words that I Embed", "in my mind they embed"]
    assert lines("\n".join(text)) == [text]


def test_after_a_tail_another_song_begins():
    assert lines("One Lyrics\none fish\ntwo fish7Embed\nTwo Lyrics\nred fish\nblue fish9Embed") == [
        ["one fish", "two fish"],
        ["red fish", "blue fish"],
    ]


def test_promotion_goes_without_ending_the_section():
    assert lines("one fish\nYou might also like\ntwo fish") == [["one fish", "two fish"]]
    assert lines("one fish\nSee Somebody LiveGet tickets as low as $57You might also likeTwo fish") == [["one fish", "Two fish"]]
    assert lines("one fish\nYou might also like[Chorus]\ntwo fish") == [["one fish"], ["two fish"]]
    assert lines("You might also like my brother\nhe likes you") == [["You might also like my brother", "he likes you"]]


# ---------------------------------------------------------------------------------------------------- lines
@pytest.mark.parametrize(
    "line", ["(Yeah, yeah)", "Yeah, yeah, yeah", "Uh", "Skrrt, skrrt!", "Oooh (what you say)", "(Turn it up) (go)", "啦啦啦"]
)
def test_adlibs_go_without_ending_the_section(line):
    assert lines(f"one fish\n{line}\ntwo fish") == [["one fish", "two fish"]]


def test_lines_with_words_beside_the_adlibs_stay():
    assert not is_adlib("Yeah, I know")
    assert not is_adlib("I know (yeah)")


def test_lines_without_words_go():
    assert lines("one fish\n...\n♪♪\ntwo fish") == [["one fish", "two fish"]]


def test_a_line_that_repeats_the_one_before_goes():
    assert lines("One fish\none fish!\nONE FISH\ntwo fish\none fish") == [["One fish", "two fish", "one fish"]]


def test_every_step_is_counted():
    text = "My Song Lyrics[Verse 1]\nred fish\n(Yeah)\nRed fish!\n...\nblue fish\n\n[Chorus]\nold fish\nnew fish12Embed"
    assert clean(text)[1] == {
        "lines": 9, "section_headers": 2, "leftovers": 2, "adlib_lines": 1, "wordless_lines": 1, "repeated_lines": 1, "sections": 2,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------- pairs
def test_pairs_cross_no_section():
    text = "[Verse 1]\nred fish\nblue fish\n[Chorus]\nold fish\nnew fish\n[Verse 2]\nlong fish\n[Chorus]\nshort fish"
    assert list(pairs(lines(text), 1)) == [(["red fish"], "blue fish"), (["old fish"], "new fish")]


def test_context_is_up_to_k_lines_of_the_same_section():
    assert list(pairs([list("abcd"), list("xy")], 2)) == [
        (["a"], "b"), (["a", "b"], "c"), (["b", "c"], "d"), (["x"], "y"),
    ]  # fmt: skip


def song(text, prefix=""):
    return {"lyrics": text, "prefix": prefix}


def test_pairs_cross_no_song_and_come_once():
    chorus = "[Chorus]\nold fish\nnew fish\n"
    songs = [song(f"[Verse]\nred fish\nblue fish\n{chorus}{chorus}"), song("new fish\nfat fish\n\nOld fish,\nnew fish!")]
    pairing = Pairing(1)
    rows, counts = pairing(songs, "")
    assert rows == [
        {"source": "red fish", "target": "blue fish"},
        {"source": "old fish", "target": "new fish"},
        {"source": "new fish", "target": "fat fish"},
    ]
    assert counts == {
        "songs": 2, "repeated_songs": 0, "lines": 13, "section_headers": 3, "leftovers": 0, "adlib_lines": 0, "wordless_lines": 0,
        "repeated_lines": 0, "sections": 5, "pairs_found": 5, "repeated_pairs": 2,
    }  # fmt: skip
    assert pairing.lines == ["red fish", "blue fish", "Old fish,", "new fish!", "fat fish"]


def test_a_song_that_stands_there_twice_counts_once():
    rows, counts = Pairing(1)([song("red fish\nblue fish"), song("Red fish,\nblue fish.")], "")
    assert (len(rows), counts["repeated_songs"], counts["pairs_found"]) == (1, 1, 1)


def test_splits_of_one_source_share_no_pair():
    pairing = Pairing(1)
    pairing([song("red fish\nblue fish")], "train")
    rows, counts = pairing([song("red fish\nblue fish\nold fish")], "test")
    assert rows == [{"source": "blue fish", "target": "old fish"}]
    assert counts["repeated_pairs"] == 1


def test_sources_of_several_lines_and_of_a_genre():
    rows, _ = Pairing(2)([song("red fish\nblue fish\nold fish", prefix_token("Hip  Hop"))], "")
    assert rows[1] == {"source": "<style:hip-hop>red fish<line>blue fish", "target": "old fish"}


def test_songs_are_split_whole_and_always_alike():
    songs = [song(str(i)) for i in range(30)]
    parts = split_songs(songs, (0.1, 0.2))
    assert {split: len(part) for split, part in parts.items()} == {"train": 21, "validation": 3, "test": 6}
    assert sorted(int(one["lyrics"]) for part in parts.values() for one in part) == list(range(30))
    assert split_songs(songs, (0.1, 0.2)) == parts
    assert [len(part) for part in split_songs(songs[:3], (0.1, 0.1)).values()] == [1, 1, 1]
    assert "test" in split_songs(songs[:2], (0, 0.1)) and split_songs(songs[:2], (0, 0.1))["validation"] == []
    with pytest.raises(UserError, match=r"^data: 2 songs cannot be split into train, validation and test\."):
        split_songs(songs[:2], (0.1, 0.1))


# ---------------------------------------------------------------------------------------------------- noise
def masked(text, share, seed):
    return mask_words(text, share, "<mask>", np.random.default_rng(seed))


@pytest.mark.parametrize(
    "line", ["I came to the party, dancin' all night", "I came to the party, dancin' all night!?", "night", "我爱夜晚的星空。",
             "we call it rock ’n’ roll...", "I came to the party (dancin' all night) …"],
)  # fmt: skip
def test_the_last_word_is_never_masked(line):
    last = line.rstrip("!?.… )。").split()[-1][-1:] if line.startswith("我") else line.rstrip("!?.… )").split()[-1]
    for seed in range(100):
        assert last in masked([line], 0.9, seed)[0]


def test_an_adlib_at_the_end_does_not_hide_the_last_word():
    assert masked(["I came in the night (yeah)"], 0.99, 0) == ["<mask> <mask> <mask> <mask> night (yeah)"]
    assert masked(["I came (all night)"], 0.99, 0) == ["<mask> came (<mask> night)"]


def test_all_but_the_last_word_can_be_masked():
    text = "I came to the party, dancin' all night!"
    assert masked([text], 0.99, 0) == ["<mask> <mask> <mask> <mask> <mask>, <mask> <mask> night!"]
    assert masked(["我爱星空。"], 0.99, 0) == ["<mask><mask><mask>空。"]
    assert masked(["say y'all don't re-do it"], 0.99, 0) == ["<mask> <mask> <mask> <mask> it"]


def test_every_line_of_a_context_keeps_its_last_word():
    assert masked(["red fish", "blue fish", "fish"], 0.9, 0) == ["<mask> fish", "<mask> fish", "fish"]


@pytest.mark.parametrize("words", [5, 8, 10, 13])
def test_a_quarter_of_all_words_is_masked(words):
    line = [" ".join(f"w{i}" for i in range(words))]
    counts = [masked(line, 0.25, seed)[0].count("<mask>") for seed in range(2000)]
    assert set(counts) <= {int(words / 4), -(-words // 4)}
    assert sum(counts) / 2000 == pytest.approx(words / 4, abs=0.05)


def test_all_words_but_the_last_are_masked_equally_often():
    found = np.zeros(8)
    for seed in range(4000):
        found += [word == "<mask>" for word in masked(["a b c d e f g h"], 0.25, seed)[0].split()]
    assert found[-1] == 0
    np.testing.assert_allclose(found[:-1] / 4000, 2 / 7, atol=0.04)


def test_noise_follows_from_the_generator_alone():
    text = ["one two three four five six seven eight"]
    assert masked(text, 0.25, 1) == masked(text, 0.25, 1)
    assert len({masked(text, 0.25, seed)[0] for seed in range(50)}) > 10


def test_key_and_join():
    assert key("Don't STOP, believin’!") == key("don t stop believin")
    assert join(["a", "b"], "<style:rap>") == "<style:rap>a<line>b"
