"""Test which songs count as the same."""

import numpy as np

from paddle_ft.data.arrays import ArrayWriter
from paddle_ft.data.row_table import RowWriter
from paddle_ft.tasks.lyrics import duplicates
from paddle_ft.tasks.lyrics.duplicates import describe_overlaps, describe_splits
from paddle_ft.tasks.lyrics.store import TYPES, SongCleaner, join_sections

FISH = [
    "the red fish swam by the light",
    "the blue fish came in the night",
    "an old fish put up a fight",
    "a new fish looked on in fright",
]
BIRDS = ["one bird sat high in a tree", "two birds flew over the sea", "that bird is looking at me", "this bird is happy and free"]


def group_songs(songs):
    cleaner = SongCleaner(1, RowWriter(), ArrayWriter(None, TYPES))
    for sections in songs:
        cleaner.add(join_sections(sections), "")
    return duplicates.group_songs(cleaner.finish(as_table=False)).tolist()


def test_the_same_song_in_other_words_sections_and_case():
    other = [[line.upper() + "!" for line in FISH[:2]], FISH[2:]]
    assert group_songs([[FISH], [BIRDS], other, [BIRDS]]) == [0, 1, 0, 1]
    assert group_songs([[FISH]] * 150 + [[BIRDS]] * 150) == [0] * 150 + [1] * 150


def test_a_song_with_another_line_or_only_its_chorus_is_nearly_the_same():
    remix = [*FISH[:3], "and now there is a new line", "and here is another line", "and one more line for you"]
    assert group_songs([[FISH, BIRDS], [FISH], [remix]]) == [0, 0, 0]
    assert group_songs([[FISH], [[*FISH[:2], *BIRDS[:2]]]]) == [0, 1]  # half of the lines


def test_short_songs_and_short_lines_need_more():
    assert group_songs([[["a b c", "d e f"]], [["a b c", "d e f", "g h i"]], [["d e f", "a b c"]]]) == [0, 1, 0]
    short = ["I know", "you know", "we know", "they know"]
    assert group_songs([[short + FISH], [short + BIRDS]]) == [0, 1]
    assert group_songs([[short], [short], [], []]) == [0, 0, 1, 2]


def test_a_line_in_very_many_songs_says_nothing_but_the_same_short_songs_are_the_same(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_SONGS", 5)
    common = ["in very many songs there is", "a line that says nothing at all"]
    songs = [[[*common, f"the song has number {number}", f"and it ends at {number}"]] for number in range(8)]
    assert group_songs(songs) == [*range(8)]
    assert group_songs([*songs, [[common[0], "rare it is indeed"]], [["rare it is indeed", common[0]]]]) == [*range(8), 8, 8]


def test_any_number_of_lines_that_are_looked_at_at_once_gives_the_same_groups(monkeypatch):
    draw = np.random.default_rng(0)
    songs = [[[f"this is line number {i}" for i in draw.integers(0, 60, draw.integers(1, 9))]] for _ in range(120)]
    expected = group_songs(songs)
    assert 5 < max(expected) < 118
    monkeypatch.setattr(duplicates, "COMPARED", 1)
    monkeypatch.setattr("paddle_ft.data.hashes.SORTED", 7)
    assert group_songs(songs) == expected


def test_groups_are_joined_over_several_songs():
    first, second = [*FISH, *BIRDS[:1]], [*FISH[1:], *BIRDS[:2]]
    assert group_songs([[first], [BIRDS[:2] + ["x y z"] * 5], [second]]) == [0, 1, 0]


def test_decisions_about_splits_and_overlaps():
    songs = {"validation": 1, "test": 0, "train": 3}
    assert describe_splits(songs, np.array([0, 1, 2, 3])) == [
        "data.validation and data.test are not set, so the songs are split at random: 3 for train, 1 for validation"
    ]
    assert describe_splits(songs, np.array([0, 0, 0, 1]))[1:] == [
        "train: 3 songs are the same as another one or nearly so, and are together in one split"
    ]
    splits = {"train": 3, "validation": 2, "test": 1}
    assert describe_overlaps(splits, np.array([0, 1, 2, 3, 1, 4])) == [
        "validation: 1 of 2 songs is in train too, or nearly so; it stays, so its scores are partly those of lines that were learnt"
    ]
