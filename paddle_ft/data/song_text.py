"""The text of a song to its sections of lines: page leftovers, section headers, ad-libs and repeated lines go.

Songs come as people have them: plain text, or as scraped from Genius, whose page furniture sticks to the text ("HUMBLE.
Lyrics[Intro]", "You might also like[Verse 2]", "in the night123Embed").
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from paddle_ft.data.text import CJK_CHARACTERS, CharacterWordTokenizer, regex_class

# ---------------------------------------------------------------------------------------------------- leftovers of Genius
# The number of contributors, translations and the title, on the song's first line, with what follows glued on.
_TITLE = re.compile(r'^.*?\bLyrics(?=$|[\[("“A-Z])(?:.*Read More)?')
_PROMOTION = re.compile(r"(?:See .{1,80}? ?Live)?(?:Get tickets as low as \$[\d.,]+)?You might also like(?=\s*$|\s*\[|[(\"'“A-Z])")
# The number cannot be told from figures that end the last line: they go with it.
_TAIL = re.compile(r"(?:\d[\d.,]*[KM]?|(?<!\s))Embed(?:Share URLCopyEmbedCopy)?$")

# ---------------------------------------------------------------------------------------------------- section headers
_NAME = (
    r"(?:(?:pre|post)[-\s]?)?(?:verse|chorus|hook|bridge|intro|outro|refrain|interlude)|rap(?=\s*(?:[:：]|$))"
    r"|主歌|副歌|前奏|间奏|尾奏|尾声|过渡|桥段|导歌|说唱"
)
_NUMBER = r"\s*(?:\d+|[ivx]+|[一二三四五])|\s+(?:one|two|three|four|five|six)"
_TIMES = r"\s*[\[(（]?\s*(?:x\s*\d+|\d+\s*x)\s*[\])）]?"
_BRACKETS_ALONE = re.compile(r"^(?:[\[【][^\]】]*[\]】]\s*)+$")
_BRACKETED = re.compile(r"^[\[【]([^\]】]*)[\]】]\s*(.*)$")
_NAMED = re.compile(rf"^(?:{_NAME})(?![a-z])", re.IGNORECASE)
_IN_PARENTHESES = re.compile(rf"^\((?:{_NAME})(?![a-z])[^()]*\)$", re.IGNORECASE)  # (Hook: somebody)
_BARE = re.compile(  # Chorus, Verse 2, Hook (Somebody), Chorus x2; or with a colon or a dash, and what follows
    rf"^(?:repeat\s+)?(?:{_NAME})(?:{_NUMBER})?(?:{_TIMES}|\s*[\[(（][^\])）]*[\])）])*"
    r"\s*(?:\.?$|(?P<colon>[:：])\s*|(?:(?<=\d)-|(?<=\s)[-–—](?=\s|$))\s*)(?P<rest>.*)$",
    re.IGNORECASE,
)
_JOINING = {"and", "feat", "featuring", "ft", "with", "x", "of", "the", "da", "de", "la"}  # in the names of those who sing
_HAN_RUN = re.compile(rf"[{regex_class(CJK_CHARACTERS)}]{{5,}}")

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
    """What makes two lines the same: their words, without case and punctuation."""
    return " ".join(_tokenize(line))


def is_adlib(line: str) -> bool:
    """True where a line has nothing but calls ("Yeah, yeah", "Skrrt!"), or stands wholly in parentheses, as ad-libs and
    backing vocals do."""
    words = _tokenize(_ASIDE.sub(" ", line))
    return all(_DRAWN_OUT.sub(r"\1", word) in _ADLIBS for word in words)


def split_header(line: str) -> tuple[bool, str]:
    """(whether the line begins a section, the lyrics that follow on the same line).

    Anything alone in square brackets begins one ([Verse 1: somebody], [Part II], [Somebody]); brackets with lyrics behind
    them only if they name a section. Without brackets a section's name begins one if at most its number, how often it is
    sung and who sings it follow (Verse One, Chorus x2, Hook (Somebody), Intro: Somebody), or a colon and lyrics.
    """
    if _BRACKETS_ALONE.match(line) or _IN_PARENTHESES.match(line):
        return True, ""
    bracketed = _BRACKETED.match(line)
    if bracketed and _NAMED.match(bracketed[1].strip()):
        return True, bracketed[2]
    bare = _BARE.match(line)
    if bare and _is_credit(bare["rest"]):
        return True, ""
    return (True, bare["rest"]) if bare and bare["colon"] else (False, line)


def _is_credit(text: str) -> bool:
    """Whether what follows a section's name says who sings it, or how often: a few words, and capital letters begin them."""
    text = re.sub(f"{_TIMES}$", "", text, flags=re.IGNORECASE)
    words = re.findall(r"[^\W_]+(?:['’.-][^\W_]+)*", text)
    if len(words) > 6 or "I" in words or text.endswith(("!", "?", ",")) or _HAN_RUN.search(text):
        return False
    return all(not word[0].islower() or word in _JOINING for word in words)


def clean(text: str) -> tuple[list[list[str]], Counter]:
    """The sections of a song, each a list of its lines, and how many lines each step took out (see lyrics.COUNTS).

    A section ends at a header, at a blank line (of a double-spaced song: at two) and where a song ends. Leftovers and ad-libs
    vanish without ending it, so that the lines around them follow each other.
    """
    counts: Counter = Counter()
    sections: list[list[str]] = [[]]
    beginning = True  # before the first line that holds anything
    lines = text.replace("\ufeff", "").replace("\u200b", "").splitlines()
    for line in _single_spaced([" ".join(raw.split()) for raw in lines]):
        if not line:
            sections.append([])
            continue
        counts["lines"] += 1
        bare = _PROMOTION.sub("", line)
        if beginning:
            bare = _TITLE.sub("", bare)
        beginning = False
        untailed = _TAIL.sub("", bare)
        ended, bare = untailed != bare, untailed.strip()
        if bare != line:
            counts["leftovers"] += 1
        is_header, bare = split_header(bare) if bare else (False, bare)
        if is_header:
            counts["section_headers"] += 1
            sections.append([])
        if bare:
            _append(sections[-1], bare, counts)
        if ended:  # files that hold several songs one after the other
            sections.append([])
            beginning = True
    sections = [section for section in sections if section]
    counts["sections"] = len(sections)
    return sections, counts


def _single_spaced(lines: list[str]) -> list[str]:
    """The lines; where a blank one follows every line (those that end in a header apart), without it. Songs of less than four
    lines do not show whether they are double-spaced."""
    full = [place for place, line in enumerate(lines) if line]
    headers = [place for place in full if lines[place][-1] in "]】" or split_header(lines[place]) == (True, "")]
    gaps = [after - place > 1 for place, after in pairwise(full) if place not in headers]
    if len(gaps) < 3 or not all(gaps):
        return lines
    return [line for place, line in enumerate(lines) if line or place == 0 or not lines[place - 1]]


def _append(section: list[str], line: str, counts: Counter) -> None:
    if not _tokenize(line):
        counts["wordless_lines"] += 1
    elif is_adlib(line):
        counts["adlib_lines"] += 1
    elif section and key(section[-1]) == key(line):
        counts["repeated_lines"] += 1
    else:
        section.append(line)
