"""Split the text of a song into sections of lines.

Remains of web pages, credits, section headers, ad-libs and repeated lines are removed.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from paddle_ft.data.songs.credits import TIMES, has_names_only, is_credit, names_writer
from paddle_ft.data.songs.remains import remove_remains, separate_lines
from paddle_ft.data.text import CharacterWordTokenizer

# ---------------------------------------------------------------------------------------------------- section headers
_NAME = (
    r"(?:(?:pre|post)[-\s]?)?(?:verse|chorus|hook|bridge|intro|outro|refrain|interlude)|rap(?=\s*(?:[:：]|$))"
    r"|主歌|副歌|前奏|间奏|尾奏|尾声|过渡|桥段|导歌|说唱"
)
_NUMBER = r"\s*(?:\d+|[ivx]+|[一二三四五])|\s+(?:one|two|three|four|five|six)"
_BRACKETS_ALONE = re.compile(r"^(?:[\[【][^\]】]*[\]】]\s*)+$")
_BRACKETED = re.compile(r"^[\[【]([^\]】]*)[\]】]\s*(.*)$")
_NAMED = re.compile(rf"^(?:{_NAME})(?![a-z])", re.IGNORECASE)
_IN_PARENTHESES = re.compile(rf"^\((?:{_NAME})(?![a-z])[^()]*\)$", re.IGNORECASE)  # (Hook: Singer)
_BARE = re.compile(  # Chorus, Verse 2, Hook (Singer), Chorus x2; or the same with a colon or a dash and more text
    rf"^(?:repeat\s+)?(?:{_NAME})(?:{_NUMBER})?(?:{TIMES}|\s*[\[(（][^\])）]*[\])）])*"
    r"\s*(?:\.?$|(?P<colon>[:：])\s*|(?:(?<=\d)-|(?<=\s)[-–—](?=\s|$))\s*)(?P<rest>.*)$",
    re.IGNORECASE,
)
_SINGER = re.compile(r"^[(（]?(?:男|女|合|齐|众|全|男女)(?:声|聲)?(?:[)）]\s*[:：]?|\s*[:：])\s*")  # who sings the line of a duet
MAX_HEAD, MAX_TITLE = 3, 40  # lines with title and singer above the credits, and the characters of such a line

# ---------------------------------------------------------------------------------------------------- ad-libs
_ASIDE = re.compile(r"\([^()]*\)|（[^（）]*）")
_CALLS = (
    "yeah yea ye yeh yuh yah yup uh uhuh huh ay aye ey hey yo oh o uhoh woah whoa wo woh wow skrt skr brt br gr la na nah m mhm hm"
    " ah ha haha hah ugh eh ok okay ya hu ho bah pow 啊 哦 噢 耶 呀 嘿 喔 嗯 哎 唉 啦 哈 呦 哟 诶 欸"
)
_ADLIBS = set(_CALLS.split())
_DRAWN_OUT = re.compile(r"(.)\1+")

_tokenize = CharacterWordTokenizer().tokenize


def key(line: str) -> str:
    """Return the words of a line without case and punctuation. Two lines with the same key count as equal."""
    return " ".join(_tokenize(line))


def is_adlib(line: str) -> bool:
    """Return whether a line is an ad-lib or a backing vocal.

    This is a line that has only calls ("Yeah, yeah", "Skrrt!"), or one that is entirely in parentheses.
    """
    words = _tokenize(_ASIDE.sub(" ", line))
    return all(_DRAWN_OUT.sub(r"\1", word) in _ADLIBS for word in words)


def split_header(line: str) -> tuple[bool, str]:
    """Return whether a line is a section header, and the lyrics that follow the header on the same line.

    A line that consists of square brackets is always a header: [Verse 1: Singer], [Part II], [Singer]. Brackets followed by lyrics
    are a header only if they name a section. Without brackets, the name of a section may be followed by its number, by how often
    it is sung and by who sings it (Verse One, Chorus x2, Hook (Singer), Intro: Singer), or by a colon and lyrics.
    """
    if _BRACKETS_ALONE.match(line) or _IN_PARENTHESES.match(line):
        return True, ""
    bracketed = _BRACKETED.match(line)
    if bracketed and _NAMED.match(bracketed[1].strip()):
        return True, bracketed[2]
    bare = _BARE.match(line)
    if bare and has_names_only(bare["rest"]):
        return True, ""
    return (True, bare["rest"]) if bare and bare["colon"] else (False, line)


def clean(text: str) -> tuple[list[list[str]], Counter]:
    """Clean the text of one or more songs.

    A section ends at a header, at a blank line (at two blank lines in a double-spaced song) and at the end of a song. Removing page
    remains, credits and ad-libs does not end a section, so the lines around them become neighbours.

    Returns:
        The sections, each a list of lines, and counts: lines, sections, section_headers, leftovers (lines with page remains),
        credit_lines, adlib_lines, wordless_lines, repeated_lines.
    """
    text, separated = separate_lines(text.replace("\ufeff", "").replace("\u200b", ""))
    counts: Counter = Counter(leftovers=separated)
    sections: list[list[str]] = [[]]
    at_start = True  # the next line is the first one of a song
    lines = text.splitlines()
    for line in _without_head(_to_single_spaced([" ".join(raw.split()) for raw in lines]), counts):
        if not line:
            sections.append([])
            continue
        counts["lines"] += 1
        if is_credit(line):
            counts["credit_lines"] += 1
            continue
        bare, is_song_end = remove_remains(line, at_start)
        bare = _SINGER.sub("", bare)
        at_start = at_start and not remove_remains(line, at_start=False)[0]  # an advertisement may stand above the title
        if bare != line:
            counts["leftovers"] += 1
        is_header, bare = split_header(bare) if bare else (False, bare)
        if is_header:
            counts["section_headers"] += 1
            sections.append([])
        if bare:
            _append(sections[-1], bare, counts)
        if is_song_end:  # a file may contain several songs
            sections.append([])
            at_start = True
    sections = [section for section in sections if section]
    counts["sections"] = len(sections)
    return sections, counts


def _without_head(lines: list[str], counts: Counter) -> list[str]:
    """Return the lines of a song without title and singer, if its writers' names stand below them. They are counted as credits."""
    filled = [number for number, line in enumerate(lines) if line]
    head = next((filled[:i] for i, number in enumerate(filled[: MAX_HEAD + 1]) if names_writer(lines[number])), [])
    if not head or any(len(lines[number]) > MAX_TITLE or split_header(lines[number])[0] for number in head):
        return lines
    counts["lines"] += len(head)
    counts["credit_lines"] += len(head)
    return lines[filled[len(head)] :]


def _to_single_spaced(lines: list[str]) -> list[str]:
    """Remove the blank line after every line of a double-spaced song, and return other songs unchanged.

    In a double-spaced song a blank line follows every line except headers. Songs of fewer than four lines are too short to tell.
    """
    filled = [i for i, line in enumerate(lines) if line]
    headers = {i for i in filled if lines[i][-1] in "]】" or split_header(lines[i]) == (True, "")}
    has_gap = [next_i - i > 1 for i, next_i in pairwise(filled) if i not in headers]
    if len(has_gap) < 3 or not all(has_gap):
        return lines
    return [line for i, line in enumerate(lines) if line or i == 0 or not lines[i - 1]]


def _append(section: list[str], line: str, counts: Counter) -> None:
    """Append a line to a section, or count why it is left out."""
    if not _tokenize(line):
        counts["wordless_lines"] += 1
    elif is_adlib(line):
        counts["adlib_lines"] += 1
    elif section and key(section[-1]) == key(line):
        counts["repeated_lines"] += 1
    else:
        section.append(line)
