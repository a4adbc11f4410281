"""Read the songs in a JSON file that is one object: what the package lyricsgenius saves, and answers of NetEase's player.

a song          {"title": ..., "artist": ..., "lyrics": ...}
an artist       {"name": ..., "songs": [song, ...]}; version 1 of the package names the artist in "artist"
an album        {"name": ..., "tracks": [{"number": 1, "song": song}, ...]}
NetEase         {"lrc": {"lyric": "[00:00.00]..."}, "tlyric": {...}}; the translation in tlyric is not read
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paddle_ft.data.values import to_text

Song = dict[str, object]
"""A song by the names lyrics, title, artist and album. What the file does not say is missing."""


def find_songs(value: object) -> list[Song] | None:
    """Return the songs of a JSON value, or None if it is none of the objects above. Songs without lyrics have None as lyrics."""
    if not isinstance(value, dict):
        return None
    songs = list(_songs(value, artist=None, album=None))
    return songs if any("lyrics" in song for song in songs) else None


def _songs(value: dict[str, Any], artist: str | None, album: str | None) -> Iterator[Song]:
    name = _name(value.get("name"))
    if isinstance(value.get("songs"), list):
        for song in _objects(value["songs"]):
            yield from _songs(song, artist=name or _name(value.get("artist")) or artist, album=album)
    elif isinstance(value.get("tracks"), list):
        for track in _objects(value["tracks"]):
            song = track.get("song", track)
            if isinstance(song, dict):
                yield from _songs(song, artist=_name(value.get("artist")) or artist, album=name or album)
    elif "lyrics" in value or isinstance(value.get("lrc"), dict):
        yield _song(value, artist, album)


def _song(value: dict[str, Any], artist: str | None, album: str | None) -> Song:
    lyrics = value["lyrics"] if "lyrics" in value else value["lrc"].get("lyric")
    names = {
        "title": _name(value.get("title")) or _name(value.get("name")),
        "artist": _name(value.get("artist")) or _name(value.get("primary_artist")) or artist,
        "album": _name(value.get("album")) or album,
    }
    return {"lyrics": None if _is_missing(lyrics) else lyrics, **{key: text for key, text in names.items() if text}}


def _objects(values: list) -> Iterator[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict))


def _is_missing(lyrics: object) -> bool:
    """Return whether a song has no lyrics: a missing value (values.py), an empty text, or an empty list."""
    return not lyrics or (not isinstance(lyrics, (list, dict)) and not (to_text(lyrics) or "").strip())


def _name(value: object) -> str | None:
    """Return a name, also that of an object with a name, or None. A number, as in the title 1989, is a name too."""
    if isinstance(value, dict):
        value = value.get("name")
    text = None if isinstance(value, (list, dict)) else to_text(value)
    return text if text and text.strip() else None
