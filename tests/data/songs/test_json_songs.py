"""Test which songs are found in JSON objects. The objects have the keys that lyricsgenius and NetEase write, and others."""

import pytest

from paddle_ft.data.songs.json_songs import find_songs

SONG = {
    "annotation_count": 3, "id": 1, "title": "One", "full_title": "One by Nobody", "primary_artist": {"id": 2, "name": "Nobody"},
    "album": {"name": "First", "id": 3}, "stats": {"hot": False}, "artist": "Nobody", "lyrics": "red fish\nblue fish",
}  # fmt: skip
FOUND = {"lyrics": "red fish\nblue fish", "title": "One", "artist": "Nobody", "album": "First"}


def test_a_song_an_artist_and_an_album():
    assert find_songs(SONG) == [FOUND]
    assert find_songs({"api_path": "/artists/2", "name": "Nobody", "songs": [SONG, {**SONG, "title": "Two"}]}) == [
        FOUND, {**FOUND, "title": "Two"},
    ]  # fmt: skip
    album = {
        "name": "First",
        "artist": {"name": "Nobody"},
        "tracks": [{"id": 1, "number": 1, "song": {"title": "One", "lyrics": "a\nb"}}],
    }
    assert find_songs(album) == [{**FOUND, "lyrics": "a\nb"}]


def test_the_form_of_version_1():
    value = {"songs": [{"title": "One", "album": "First", "year": "1999", "lyrics": "a\nb", "image": ""}], "artist": "Nobody"}
    assert find_songs(value) == [{**FOUND, "lyrics": "a\nb"}]


def test_the_answer_of_netease():
    value = {
        "sgc": False,
        "lrc": {"version": 9, "lyric": "[00:12.00]一"},
        "tlyric": {"version": 0, "lyric": "[00:12.00]one"},
        "code": 200,
    }
    assert find_songs(value) == [{"lyrics": "[00:12.00]一"}]


def test_songs_without_lyrics_have_none():
    missing = ["", None, float("nan"), " \n", []]
    songs = [SONG, *({**SONG, "lyrics": value} for value in missing)]
    assert [song["lyrics"] for song in find_songs({"name": "Nobody", "songs": songs})] == [FOUND["lyrics"], *[None] * 5]
    assert find_songs({**SONG, "lyrics": ["a", "b"]}) == [{**FOUND, "lyrics": ["a", "b"]}]  # its row is a bad one


def test_names_that_are_numbers_or_missing():
    assert find_songs({**SONG, "title": 1989, "artist": 2.0, "album": {"name": 25}}) == [
        {**FOUND, "title": "1989", "artist": "2", "album": "25"}
    ]
    missing = {"title": float("nan"), "artist": None, "primary_artist": {"name": []}, "album": " "}
    assert find_songs({**SONG, **missing}) == [{"lyrics": FOUND["lyrics"]}]


@pytest.mark.parametrize(
    "value", [[SONG], {"songs": []}, {"songs": "none"}, {"data": [SONG]}, {"title": "One"}, {"songs": [1, "a"]}, 3]
)
def test_other_values_have_no_songs(value):
    assert find_songs(value) is None
