"""Test how songs become pairs of lines. Each case fails without the rule that it tests."""

import numpy as np
import pytest

from paddle_ft.config.schema import DataSection
from paddle_ft.data.rows import Rows
from paddle_ft.data.songs.text import clean
from paddle_ft.system.errors import UserError
from paddle_ft.tasks import find_task
from paddle_ft.tasks.lyrics.pairs import explain_no_pairs, join_source, line_pairs, prefix_token, split_songs, split_source
from paddle_ft.tasks.lyrics.prepare import prepare_songs


def sections_of(text):
    return clean(text)[0]


def test_no_pair_crosses_a_section():
    text = "[Verse 1]\nred fish\nblue fish\n[Chorus]\nold fish\nnew fish\n[Verse 2]\nlong fish\n[Chorus]\nshort fish"
    assert list(line_pairs(sections_of(text), 1)) == [(["red fish"], "blue fish"), (["old fish"], "new fish")]


def test_the_context_is_up_to_k_lines_of_the_same_section():
    assert list(line_pairs([list("abcd"), list("xy")], 2)) == [
        (["a"], "b"), (["a", "b"], "c"), (["b", "c"], "d"), (["x"], "y"),
    ]  # fmt: skip


def song(text):
    return {"lyrics": text}


def pair(songs, alone=True, context_lines=1, **splits):
    """Return the rows of train, and the counts of cleaning and pairing."""
    options = find_task("lyrics").Options(name="lyrics", context_lines=context_lines, prefix=any("genre" in row for row in songs))
    rows = {"train": Rows(songs), **{split: Rows(own) for split, own in splits.items()}}
    return prepare_songs(rows, options, DataSection(train="unused"), alone=alone)


def test_no_pair_crosses_a_song_or_is_repeated():
    chorus = "[Chorus]\nold fish\nnew fish\n"
    prepared = pair([song(f"[Verse]\nred fish\nblue fish\n{chorus}{chorus}"), song("new fish\nfat fish\n\nOld fish,\nnew fish!")])
    assert prepared.rows["train"].rows == [
        {"source": "red fish", "target": "blue fish"},
        {"source": "old fish", "target": "new fish"},
        {"source": "new fish", "target": "fat fish"},
    ]
    assert prepared.rows["train"].info == {
        "songs": 2, "repeated_songs": 0, "empty_songs": 0, "lines": 13, "section_headers": 3, "leftovers": 0, "credit_lines": 0,
        "adlib_lines": 0, "wordless_lines": 0, "repeated_lines": 0, "sections": 5, "pairs_found": 5, "repeated_pairs": 2,
    }  # fmt: skip
    assert list(prepared.training_lines) == ["red fish", "blue fish", "Old fish,", "new fish!", "fat fish"]


def test_a_repeated_song_counts_once():
    rows = pair([song("red fish\nblue fish"), song("Red fish,\nblue fish.")]).rows["train"]
    assert (len(rows), rows.info["repeated_songs"], rows.info["pairs_found"]) == (1, 1, 1)


def test_splits_of_one_source_share_no_pair_and_splits_of_the_user_may():
    chorus = ["", "red fish", "blue fish"]
    songs = [song("\n".join([f"{name} the {number} fish" for name in ("one", "two")] + chorus)) for number in range(20)]
    rows = pair(songs, alone=False).rows
    assert {split: (len(loaded), loaded.info["repeated_pairs"]) for split, loaded in rows.items()} == {
        "train": (17, 15), "validation": (2, 2), "test": (2, 2),
    }  # fmt: skip
    rows = pair(songs[:3], alone=False, validation=songs[3:5]).rows
    assert {split: len(loaded) for split, loaded in rows.items()} == {"train": 4, "validation": 3}


def test_the_terminal_is_told_what_was_done(capsys):
    pair([song("作词：甲\nred fish\nblue fish"), song("(Yeah)"), song("Red fish\nblue fish!")])
    assert capsys.readouterr().err.splitlines()[-1] == (
        "train: 3 songs, 4 lines, 1 repeated song removed, 1 song without lyrics, 1 credit removed,"
        " 1 ad-lib line removed, 1 section: 1 pair, 0 of them repeated and removed, 1 left"
    )


def test_the_error_explains_why_there_are_no_pairs():
    counts = {"songs": 1, "repeated_songs": 0, "pairs_found": 0}
    repeated = "repeated: each is already in this split or in an earlier one."
    assert explain_no_pairs({**counts, "repeated_songs": 1}).startswith(f"its only song is {repeated}")
    assert explain_no_pairs({**counts, "pairs_found": 1}).startswith(f"all pairs of its only song are {repeated}")
    with pytest.raises(UserError, match=r"^data\.train: its only song has no two lines that follow each other"):
        pair([song("old fish")])


def test_a_source_with_several_lines_and_a_genre():
    prepared = pair([{"lyrics": "red fish\nblue fish\nold fish", "genre": "Hip  Hop"}], context_lines=2)
    assert prepared.rows["train"].rows[1] == {"source": "<style:hip-hop>red fish<line>blue fish", "target": "old fish"}
    assert prepared.styles == [prefix_token("Hip Hop")]


def test_songs_are_split_whole_and_always_in_the_same_way():
    alone = np.arange(30)
    parts = split_songs(alone, (0.1, 0.2))
    assert {split: len(part) for split, part in parts.items()} == {"train": 21, "validation": 3, "test": 6}
    assert sorted(item for part in parts.values() for item in part) == list(range(30))
    assert [len(part) for part in split_songs(alone[:3], (0.1, 0.1)).values()] == [1, 1, 1]
    two = split_songs(alone[:2], (0, 0.1))
    assert len(two["test"]) == 1 and len(two["validation"]) == 0
    order = np.random.default_rng(2022).permutation(30)  # not the first songs of a file, which are often by one artist
    assert parts["validation"].tolist() == sorted(order[:3])
    assert parts["test"].tolist() == sorted(order[3:9])
    with pytest.raises(UserError, match=r"^data: 2 songs cannot be split into train, validation and test\."):
        split_songs(alone[:2], (0.1, 0.1))


def test_songs_of_a_group_stay_together():
    groups = np.arange(30) // 3
    parts = split_songs(groups, (0.1, 0.2))
    assert {split: len(part) for split, part in parts.items()} == {"train": 21, "validation": 3, "test": 6}
    assert sum(len(set(groups[part])) for part in parts.values()) == 10
    with pytest.raises(UserError, match=r"^data: 2 different songs cannot be split"):
        split_songs(np.repeat([0, 1], 3), (0.1, 0.1))


def test_split_source_is_the_inverse_of_join_source():
    assert join_source(["a", "b"], "<style:rap>") == "<style:rap>a<line>b"
    assert split_source("<style:rap>a<line>b") == ("<style:rap>", ["a", "b"])
    assert split_source("a > b") == ("", ["a > b"])
