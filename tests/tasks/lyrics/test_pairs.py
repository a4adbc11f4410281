"""Pairing and noise: each rule on a case that fails without it."""

import numpy as np
import pytest

from paddle_ft.data.song_text import clean
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.lyrics.pairs import Pairing, join, mask_words, pairs, parts, prefix_token, split_songs, why_none


def lines(text):
    return clean(text)[0]


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


def test_the_reason_why_there_are_no_pairs():
    pairing = Pairing(1)
    pairing([song("red fish\nblue fish")], "train")

    def reason(text):
        return why_none(pairing([song(text)], "")[1])

    assert reason("Red fish\nblue fish!").startswith("its 1 songs are all repeated: each stands twice, here or in a split before")
    assert reason("red fish\nblue fish\n\nold fish").startswith("all pairs of its 1 songs are repeated: each stands twice")
    assert reason("old fish").startswith("its 1 songs have no two lines that follow each other")


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
    order = np.random.default_rng(2022).permutation(30)  # not the first songs: those of a file are often by one artist
    assert [one["lyrics"] for one in parts["validation"]] == [str(i) for i in sorted(order[:3])]
    assert [one["lyrics"] for one in parts["test"]] == [str(i) for i in sorted(order[3:9])]
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


@pytest.mark.parametrize(
    "last", ["n***a", "f**k", "f***", "24/7", "A$AP", "AC/DC", "sh!t", "Ke$ha", "a.m", "****", "O'Shea", "twenty-four/seven"]
)
def test_a_last_word_with_signs_in_it_is_one_word(last):
    for end in ("", "!", " (yeah)", "...\""):
        assert masked([f"what a stupid {last}{end}"], 0.99, 0) == [f"<mask> <mask> <mask> {last}{end}"]
        assert masked([f"what a stupid {last}{end}"], 0.9, 1)[0].endswith(f"{last}{end}")


def test_words_with_signs_in_them_are_masked_whole_and_without_the_punctuation_around_them():
    line = "“f**k!” he said, (24/7) it's AC/DC night"
    assert masked([line], 0.99, 0) == ["“<mask>!” <mask> <mask>, (<mask>) <mask> <mask> night"]
    assert masked(["看A$AP，f***你"], 0.99, 0) == ["<mask><mask>，<mask>你"]


def test_a_word_with_signs_in_it_counts_once():
    counts = [masked(["n***a a/b c-d e$f g*h i j k"], 0.25, seed)[0].count("<mask>") for seed in range(50)]
    assert set(counts) == {2}


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


def test_join_and_its_parts():
    assert join(["a", "b"], "<style:rap>") == "<style:rap>a<line>b"
    assert parts("<style:rap>a<line>b") == ("<style:rap>", ["a", "b"])
    assert parts("a > b") == ("", ["a > b"])
