"""Tell the songs of one text apart, for example of a file with all songs of an artist.

Songs are told apart only by what cannot stand within a song: remains of web pages, tags, times that start again, or a line that is
a border. Without these a text is one song, so that no part of a song gets into another split than the rest.
"""

from __future__ import annotations

import re
from itertools import pairwise

from paddle_ft.data.songs import timed
from paddle_ft.data.songs.credits import is_credit, names_writer
from paddle_ft.data.songs.remains import CONTRIBUTORS, EMBED, remove_remains

WAYS = {
    "page": "remains of Genius pages such as 44Embed or Title Lyrics[",
    "number": "headers such as [Song 2: Title]",
    "rule": "lines such as ===== or <|endoftext|>",
    "tag": "tags such as [ti:Title]",
    "time": "times that start again",
    "credits": "credits such as 作词 and 作曲",
}
"""Way in which songs are told apart -> what it is, for messages."""

# ---------------------------------------------------------------------------------------------------- lines at a border
_TITLE = r"[^\n]{1,200}?\bLyrics(?=\s?\[|[(\"“A-Z]|$)"  # the rest of a line that begins with the title of a page
_GLUED = re.compile(  # the end of a page in the middle of a line
    rf"((?<=\S){EMBED}(?:You might also like)?)(?={CONTRIBUTORS}|{_TITLE})|((?<=\d){EMBED})(?=[A-Z\[(\"“])(?!You might also like)",
    re.MULTILINE,
)
_GLUED_START = re.compile(rf"(?<=[^\s\d])(?={CONTRIBUTORS}[^a-z\s][^\n]{{0,300}}?\bLyrics)")
_MARK = re.compile(r"<\|(?:start|end)oftext\|>")
_PAGE_START = re.compile(rf"^(?:{CONTRIBUTORS}.*\bLyrics|.{{1,150}}?\bLyrics\s?\[)")
_PAGE_END = re.compile(rf"(?:(?<=\S)|^\d*){EMBED}(?:You might also like)?$")
_NUMBER = re.compile(r"^\[Song \d+: .*\]$")  # lyricsgenius writes it between the songs of an artist or album that it saves as text
_RULE = re.compile(r"^(?:={3,}|<\|(?:start|end)oftext\|>)$")

RESTART, LATE = 30, 60  # seconds: a time below RESTART after one above LATE begins another song,
TRANSLATED_SHARE = 0.8  # unless the song before has this share of its times: then it is that song's translation
MIN_LINES = 4  # fewer lines between two blocks of credits belong to the second block
MAX_HEAD = 3  # lines with title and singer that may stand before credits


def split_songs(text: str) -> tuple[list[str], set[str]]:
    """Split a text into its songs.

    Returns:
        The text of each song, at least one, and the ways of WAYS in which they were told apart.
    """
    text = _MARK.sub(r"\n\g<0>\n", _GLUED.sub(r"\g<0>\n", text.replace("\ufeff", "")))
    lines = [line.strip() for line in _GLUED_START.sub("\n", text).splitlines()]
    borders = _find_marks(lines) or _find_restarts(lines) or _find_credits(lines)
    ends = [*sorted(borders), len(lines)]
    songs = [[line for line in lines[start:end] if _mark(line) in (None, "tag")] for start, end in pairwise([0, *ends])]
    texts = ["\n".join(song) for song in songs if any(song)] or [text]
    return texts, set(borders.values()) if len(texts) > 1 else set()


def _find_marks(lines: list[str]) -> dict[int, str]:
    """Return number of the first line of a song -> way, for all songs but the first, by lines that mark a border."""
    borders: dict[int, str] = {}
    is_empty, is_ended = True, False  # whether the song has no lines of lyrics so far, and whether its page has ended
    for number, line in enumerate(lines):
        if not line:
            continue
        way = "page" if is_ended or _starts_page(lines, number) else _mark(line)
        if way and not is_empty:
            borders[number] = way
            is_empty = True
        is_empty = is_empty and (timed.is_tag(line) or _mark(line) is not None or not remove_remains(line, at_start=False)[0])
        is_ended = _PAGE_END.search(line) is not None
    return borders


def _starts_page(lines: list[str], number: int) -> bool:
    """Return whether a line begins with the title of a page. A title alone must stand between a blank line and a section header."""
    if _PAGE_START.match(lines[number]):
        return True
    if not re.search(r"\bLyrics$", lines[number]) or (number and lines[number - 1]):
        return False
    following = next((lines[i] for i in range(number + 1, len(lines)) if lines[i]), "")
    return following.startswith("[")


def _mark(line: str) -> str | None:
    if _NUMBER.match(line):
        return "number"
    if _RULE.match(line):
        return "rule"
    return "tag" if timed.is_title_tag(line) else None


def _find_restarts(lines: list[str]) -> dict[int, str]:
    """Return number of line -> "time" for the lines whose time begins another song."""
    borders: dict[int, str] = {}
    times: list[set[float]] = [set()]  # of each song
    for number, line in enumerate(lines):
        own = timed.line_times(line)
        is_restart = bool(own) and max(own) < RESTART and max(times[-1], default=0) > LATE
        if is_restart and not _is_translation(lines, number, times[-1]):
            borders[number] = "time"
            times.append(set())
        times[-1].update(own)
    return borders


def _is_translation(lines: list[str], number: int, times: set[float]) -> bool:
    """Return whether the song that begins with a line has the times of the song before it."""
    own: list[float] = []
    for line_times in (timed.line_times(lines[i]) for i in range(number, len(lines))):
        if line_times and max(line_times) < RESTART and max(own, default=0) > LATE:
            break
        own += line_times
    return bool(own) and sum(time in times for time in own) >= TRANSLATED_SHARE * len(own)


def _find_credits(lines: list[str]) -> dict[int, str]:
    """Return number of line -> "credits" for the songs after the first that begin with their writers' names.

    If the first song has its title and singer above its credits, as many lines above the credits belong to each other song.
    """
    starts: list[int] = []  # the first lines of the blocks of credits that name a writer
    block, lyrics = None, MIN_LINES  # the first line of this block of credits, and the lines of lyrics since the last writer
    for number, line in enumerate(lines):
        if is_credit(line):
            block = number if block is None else block
            if names_writer(line):
                if lyrics >= MIN_LINES:
                    starts.append(block)
                lyrics = 0
        elif line:
            block, lyrics = None, lyrics + 1
    if len(starts) < 2:
        return {}
    head = sum(bool(line) for line in lines[: starts[0]])
    return {_move_up(lines, start, head if head <= MAX_HEAD else 0): "credits" for start in starts[1:]}


def _move_up(lines: list[str], number: int, count: int) -> int:
    """Return the number of the line that is `count` lines above, without counting blank ones."""
    while count and number:
        number -= 1
        count -= bool(lines[number])
    return number
