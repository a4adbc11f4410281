"""Read lyrics with times (.lrc), as players of music use them: "[00:12.34]line", with tags such as [ti:title] at the start.

A line may have several times, when it is sung several times. NetEase and QQ Music also write translations, as a second line with
the same time.
"""

from __future__ import annotations

import re

from paddle_ft.data.songs.credits import is_credit

_TIME = re.compile(r"\[(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
_TIMES = re.compile(rf"^(?:{_TIME.pattern}\s*)+")
_WORD_TIME = re.compile(rf"<\d+[:,][\d:.,]+>|{_TIME.pattern}")  # the time of a single word
_TAG = re.compile(
    r"^\[(?:ti|ar|al|au|by|offset|re|ve|la|length|lang|language|hash|total|sign|qq|id|kana|tool|key|encoding|duration)\s*[:：].*\]$",
    re.IGNORECASE,
)
_TITLE_TAG = re.compile(r"^\[ti\s*[:：].*\]$", re.IGNORECASE)
MIN_TIMES = 3  # a text with fewer times is not read as timed lyrics
TRANSLATED_SHARE = 0.3  # from this share of doubled times on, the second line of a time is a translation


def is_tag(line: str) -> bool:
    """Return whether a line is a tag about the song, such as [ar:singer]."""
    return _TAG.match(line) is not None


def is_title_tag(line: str) -> bool:
    """Return whether a line is the tag with the title, with which the lyrics of a song start."""
    return _TITLE_TAG.match(line) is not None


def line_times(line: str) -> list[float]:
    """Return the times at the start of a line, in seconds."""
    match = _TIMES.match(line)
    if not match:
        return []
    return [60 * int(minutes) + int(seconds) + float(f"0.{part or 0}") for minutes, seconds, part in _TIME.findall(match[0])]


def is_timed(text: str) -> bool:
    """Return whether a text is lyrics with times: at least half of its lines begin with a time or are tags."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    timed = sum(_TIMES.match(line) is not None for line in lines)
    return timed >= min(MIN_TIMES, len(lines)) > 0 and 2 * (timed + sum(map(is_tag, lines))) >= len(lines)


def separate_lines(text: str) -> str:
    """Put each time on a line of its own in lyrics that are a single line, as web pages write them for their player."""
    if "\n" in text.strip() or len(_TIME.findall(text)) < MIN_TIMES:
        return text
    return re.sub(rf"(?<=[^\]\s])\s*(?={_TIME.pattern})", "\n", text)


def to_plain(text: str) -> tuple[str, int]:
    """Return the lines of timed lyrics in the order in which they are sung, and how many translations were left out.

    A line without a time stays behind the line before it. A time without text becomes a blank line, which ends a section.
    """
    entries: list[tuple[float, str]] = []
    latest = 0.0
    for line in map(str.strip, text.splitlines()):
        if is_tag(line):
            continue
        times = line_times(line) or [latest]
        latest = times[0]
        words = " ".join(_WORD_TIME.sub("", _TIMES.sub("", line)).split())
        entries += [(time, words) for time in times]
    entries.sort(key=lambda entry: entry[0])
    seen: set[float] = set()
    lines, translations = [], 0
    has_translations = _doubled_share(entries) >= TRANSLATED_SHARE
    for time, words in entries:
        if has_translations and words and time in seen and not is_credit(words):
            translations += 1
            continue
        lines.append(words)
        if words:
            seen.add(time)
    return "\n".join(lines), translations


def _doubled_share(entries: list[tuple[float, str]]) -> float:
    """Return the share of times that have more than one line with text."""
    times = [time for time, words in entries if words and not is_credit(words)]
    return 1 - len(set(times)) / len(times) if times else 0.0
