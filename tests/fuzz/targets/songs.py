"""Fuzz the songs: text files and JSON with remains of web pages, times, credits and odd line ends, up to the pairs of lines."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from paddle_ft.config.load import load_config
from paddle_ft.data.songs.borders import split_songs
from paddle_ft.data.songs.cells import find_line_ends
from paddle_ft.data.songs.text import clean
from paddle_ft.tasks import find_task
from paddle_ft.tasks.shared.rows import load_rows
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Files, Target

PAGES = (
    "Paper Moon Lyrics[Verse 1]\nI count the coins upon the table\nI told my mother I was able\nYou might also like[Chorus]\n"
    "gold and silver\ndown the river44EmbedNext Title Lyrics[Verse 1: Nobody]\nlate at night I write the pages\nno one pays me"
    "123EmbedYou might also like\n12 ContributorsTranslationsEspañolThe Third One Lyrics[Intro]\nslowly we walk\nquietly we talkSee"
    " Nobody LiveGet tickets as low as $50You might also like[Outro]\nout of the door\nback to the shoreEmbed\n"
)
TIMED = (
    "[ti:长路]\n[ar:某歌手]\n[00:00.000] 作词 : 甲\n[00:01.000] 作曲 : 乙\n[00:12.340]走过了长路\n[00:16.1]还有山和雾\n[01:20]\n"
    "[01:25.00][02:01.00]回头看见你\n[00:12.340]a long road\n[00:16.1]mountain and fog\n[00:03.00]又一首\n[00:09.00]歌\n"
)
PLAIN = (
    "晴天\n某歌手\n作词：甲\n编曲：乙/丙\n\n一二三在心里\n四五六在心里\n男：七八九\n女：在心里\n混音工程师：丁\n"
    "=====\n雨天\n词：甲\n曲：乙\n一首歌\n又一首\n"
)
CELLS = "one line / the next line / and another<br>red fish\\nblue fish | old fish\tnew fish  long fish"
SEEDS = [text.encode() for text in (PAGES, TIMED, PLAIN, CELLS)]
JSON_SEEDS = [
    json.dumps(value).encode()
    for value in (
        {"title": "One", "artist": "Nobody", "lyrics": PAGES},
        {"name": "Nobody", "songs": [{"title": "One", "lyrics": PLAIN}, {"title": "Two", "lyrics": ""}, {"lyrics": CELLS}]},
        {"name": "First", "tracks": [{"number": 1, "song": {"title": "One", "lyrics": PLAIN}}]},
        {"lrc": {"version": 9, "lyric": TIMED}, "tlyric": {"lyric": ""}},
    )
]
WORDS = (
    b"Embed", b"44Embed", b" Lyrics[", b" Lyrics", b"12 Contributors", b"You might also like", b"See X Live", b"(", b")", b"\x0c",
    b"Get tickets as low as $5", b"[Song 2: X]", b"=====\n", b"<|endoftext|>", b"[ti:x]\n", b"[00:01.00]", b"[99:59.999]", b"[0:0]",
    b"[Chorus]", b"Read More", b"See See See ", b"<br>", b" / ", b"|", b"\\n", b"\x1e", "（".encode(), "女：".encode(),
    "作词：".encode(), "词曲".encode() * 9,
)  # fmt: skip
LONG = {  # texts whose time grows with the square of their length if a pattern begins anew at each place
    "spaces": " " * 100_000, "contributors": "x12 ContributorsX" * 6_000, "notices": "未经许可" * 25_000,
    "embed": "a1EmbedX " * 10_000,
}  # fmt: skip


def read(folder: Path) -> None:
    """Turn the songs in the folder into pairs. Songs are told apart without losing a line, and cleaning invents none."""
    config = load_config("bart_lyrics", [f"data.train={folder}", "task.validation_share=0", "task.test_share=0"])
    task = find_task("lyrics")(config)
    rows = load_rows(config, task)["train"].rows
    assert rows and all(row["source"].strip() and row["target"].strip() for row in rows)


def split(folder: Path) -> None:
    """Find the lines of a text, split it into songs and clean them. No text is lost or invented between the songs."""
    text = (folder / "song.txt").read_bytes().decode("utf-8", "replace")
    text = find_line_ends([text], is_chinese="中" in text).break_lines(text)
    songs, ways = split_songs(text)
    assert songs and (len(songs) == 1 or ways)
    given = [letter for letter in text if letter.isalnum()]
    kept = [letter for song in songs for letter in song if letter.isalnum()]
    assert len(kept) <= len(given) and (ways or len(kept) >= len(given) - 20 * text.count("oftext"))
    for song in songs:
        for section in clean(song)[0]:
            assert section and all(line == " ".join(line.split()) and line for line in section)


def _as_file(text: str) -> Files:
    return {"song.txt": f"a{text}b".encode()}


TARGETS = (
    Target(
        "songs_text",
        split,
        st.fixed_dictionaries({"song.txt": mutated(SEEDS, WORDS)}),
        examples={name: partial(_as_file, text) for name, text in LONG.items()},
    ),
    Target(
        "songs_files",
        read,
        st.one_of(
            st.fixed_dictionaries({"a.txt": mutated(SEEDS, WORDS)}, optional={"b.lrc": mutated(SEEDS, WORDS)}),
            st.fixed_dictionaries({"a.json": mutated(JSON_SEEDS, WORDS)}),
            st.fixed_dictionaries({"a.csv": mutated([b"lyrics,title\n" + CELLS.encode() + b",a\n"], WORDS)}),
        ),
    ),
)
