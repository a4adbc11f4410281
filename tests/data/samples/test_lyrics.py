"""Test that the sample songs rhyme and need cleaning, and that no line is in two splits."""

import pytest

from paddle_ft.data.samples import lyrics
from paddle_ft.data.songs.text import clean, key
from paddle_ft.metrics.rhyme import rhymes

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def sections():
    return {split: [clean(row["lyrics"])[0] for row in lyrics.rows(split)] for split in SPLITS}


def test_all_lines_of_a_section_rhyme(sections):
    for songs in sections.values():
        for song in songs:
            for section in song:
                assert len(section) == 4
                assert all(rhymes(line, earlier) for number, line in enumerate(section) for earlier in section[:number])


def test_no_line_is_in_two_splits(sections):
    lines = {split: {key(line) for song in songs for section in song for line in section} for split, songs in sections.items()}
    assert not lines["train"] & lines["test"]
    assert not lines["train"] & lines["validation"]
    assert not lines["validation"] & lines["test"]


def test_the_songs_need_cleaning():
    texts = [row["lyrics"] for row in lyrics.rows("train")]
    for leftover in ("[Chorus]", " Lyrics[Verse 1]", "You might also like[", "Embed", "(Yeah, yeah)"):
        assert any(leftover in text for text in texts)


def test_the_seed_fixes_the_songs():
    assert lyrics.rows("test") == lyrics.rows("test")
    assert lyrics.rows("test") != lyrics.rows("test", seed=1)
    assert {row["genre"] for row in lyrics.rows("test")} == {"rap", "country"}
    assert {split: len(lyrics.rows(split)) for split in SPLITS} == lyrics.SIZES
