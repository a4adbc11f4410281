"""Test how songs become pairs of lines. Each case fails without the rule that it tests."""

import numpy as np
import pytest

from paddle_ft.data.songs.text import clean
from paddle_ft.system.errors import UserError
from paddle_ft.tasks.lyrics.pairs import (
    PairBuilder,
    Song,
    describe_counts,
    explain_no_pairs,
    join_source,
    line_pairs,
    prefix_token,
    split_songs,
    split_source,
)


def sections_of(text):
    return clean(text)[0]


def test_no_pair_crosses_a_section():
    text = "[Verse 1]\nred fish\nblue fish\n[Chorus]\nold fish\nnew fish\n[Verse 2]\nlong fish\n[Chorus]\nshort fish"
    assert list(line_pairs(sections_of(text), 1)) == [(["red fish"], "blue fish"), (["old fish"], "new fish")]


def test_the_context_is_up_to_k_lines_of_the_same_section():
    assert list(line_pairs([list("abcd"), list("xy")], 2)) == [
        (["a"], "b"), (["a", "b"], "c"), (["b", "c"], "d"), (["x"], "y"),
    ]  # fmt: skip


def song(text, prefix=""):
    return Song(*clean(text), prefix)


def test_no_pair_crosses_a_song_or_is_repeated():
    chorus = "[Chorus]\nold fish\nnew fish\n"
    songs = [song(f"[Verse]\nred fish\nblue fish\n{chorus}{chorus}"), song("new fish\nfat fish\n\nOld fish,\nnew fish!")]
    builder = PairBuilder(1)
    rows, counts = builder.build(songs, "")
    assert rows == [
        {"source": "red fish", "target": "blue fish"},
        {"source": "old fish", "target": "new fish"},
        {"source": "new fish", "target": "fat fish"},
    ]
    assert counts == {
        "songs": 2, "repeated_songs": 0, "empty_songs": 0, "lines": 13, "section_headers": 3, "leftovers": 0, "credit_lines": 0,
        "adlib_lines": 0, "wordless_lines": 0, "repeated_lines": 0, "sections": 5, "pairs_found": 5, "repeated_pairs": 2,
    }  # fmt: skip
    assert builder.lines == ["red fish", "blue fish", "Old fish,", "new fish!", "fat fish"]


def test_a_repeated_song_counts_once():
    rows, counts = PairBuilder(1).build([song("red fish\nblue fish"), song("Red fish,\nblue fish.")], "")
    assert (len(rows), counts["repeated_songs"], counts["pairs_found"]) == (1, 1, 1)


def test_splits_of_one_source_share_no_pair():
    builder = PairBuilder(1)
    builder.build([song("red fish\nblue fish")], "train")
    rows, counts = builder.build([song("red fish\nblue fish\nold fish")], "test")
    assert rows == [{"source": "blue fish", "target": "old fish"}]
    assert counts["repeated_pairs"] == 1


def test_the_terminal_is_told_what_was_done():
    builder = PairBuilder(1)
    rows, counts = builder.build([song("作词：甲\nred fish\nblue fish"), song("(Yeah)"), song("Red fish\nblue fish!")], "")
    assert describe_counts(counts, len(rows)) == (
        "3 songs, 4 lines, 1 repeated songs removed, 1 songs without lyrics, 1 credits removed,"
        " 1 ad-lib lines removed, 1 sections: 1 pairs, 0 of them repeated and removed, 1 left"
    )


def test_the_error_explains_why_there_are_no_pairs():
    builder = PairBuilder(1)
    builder.build([song("red fish\nblue fish")], "train")

    def reason(text):
        return explain_no_pairs(builder.build([song(text)], "")[1])

    repeated = "repeated: each is already in this split or in an earlier one."
    assert reason("Red fish\nblue fish!").startswith(f"its 1 songs are all {repeated}")
    assert reason("red fish\nblue fish\n\nold fish").startswith(f"all pairs of its 1 songs are {repeated}")
    assert reason("old fish").startswith("its 1 songs have no two lines that follow each other")


def test_a_source_with_several_lines_and_a_genre():
    rows, _ = PairBuilder(2).build([song("red fish\nblue fish\nold fish", prefix_token("Hip  Hop"))], "")
    assert rows[1] == {"source": "<style:hip-hop>red fish<line>blue fish", "target": "old fish"}


def test_songs_are_split_whole_and_always_in_the_same_way():
    songs, alone = list(range(30)), list(range(30))
    parts = split_songs(songs, (0.1, 0.2), alone)
    assert {split: len(part) for split, part in parts.items()} == {"train": 21, "validation": 3, "test": 6}
    assert sorted(item for part in parts.values() for item in part) == songs
    assert split_songs(songs, (0.1, 0.2), alone) == parts
    assert [len(part) for part in split_songs(songs[:3], (0.1, 0.1), alone[:3]).values()] == [1, 1, 1]
    two = split_songs(songs[:2], (0, 0.1), [0, 1])
    assert len(two["test"]) == 1 and two["validation"] == []
    order = np.random.default_rng(2022).permutation(30)  # not the first songs of a file, which are often by one artist
    assert parts["validation"] == sorted(order[:3])
    assert parts["test"] == sorted(order[3:9])
    with pytest.raises(UserError, match=r"^data: 2 songs cannot be split into train, validation and test\."):
        split_songs(songs[:2], (0.1, 0.1), [0, 1])


def test_songs_of_a_group_stay_together():
    groups = [i // 3 for i in range(30)]
    parts = split_songs(list(range(30)), (0.1, 0.2), groups)
    assert {split: len(part) for split, part in parts.items()} == {"train": 21, "validation": 3, "test": 6}
    groups_of = {split: {groups[i] for i in part} for split, part in parts.items()}
    assert sum(map(len, groups_of.values())) == 10
    with pytest.raises(UserError, match=r"^data: 2 different songs cannot be split"):
        split_songs(list(range(6)), (0.1, 0.1), [0, 0, 0, 1, 1, 1])


def test_split_source_is_the_inverse_of_join_source():
    assert join_source(["a", "b"], "<style:rap>") == "<style:rap>a<line>b"
    assert split_source("<style:rap>a<line>b") == ("<style:rap>", ["a", "b"])
    assert split_source("a > b") == ("", ["a > b"])
