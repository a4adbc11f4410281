"""Songs to pairs of lines: cleaning, sections, the line (or lines) before and the line after, and noise on the words.

Songs come as people have them: plain text, or as scraped from Genius, whose page furniture sticks to the text ("HUMBLE.
Lyrics[Intro]", "You might also like[Verse 2]", "in the night123Embed").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from paddle_ft.errors import UserError
from paddle_ft.metrics.rhyme import without_asides
from paddle_ft.metrics.text import CJK, CharacterWordTokenizer
from paddle_ft.progress import Progress

SEPARATOR = "<line>"  # between the lines of a source of several
SPLIT_SEED = 2022
COUNTS = (
    "lines", "section_headers", "leftovers", "adlib_lines", "wordless_lines", "repeated_lines", "sections", "pairs_found",
    "repeated_pairs",
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------- leftovers of Genius
# The number of contributors, translations and the title, on the song's first line, with what follows glued on.
_TITLE = re.compile(r'^.*?\bLyrics(?=$|[\[("“A-Z])(?:.*Read More)?')
_PROMOTION = re.compile(r"(?:See .{1,80}? ?Live)?(?:Get tickets as low as \$[\d.,]+)?You might also like(?=\s*$|\s*\[|[(\"'“A-Z])")
# The number cannot be told from figures that end the last line: they go with it.
_TAIL = re.compile(r"(?:\d[\d.,]*[KM]?|(?<!\s))Embed(?:Share URLCopyEmbedCopy)?$")

# ---------------------------------------------------------------------------------------------------- section headers
_NAME = (
    r"(?:(?:pre|post)[-\s]?)?(?:verse|chorus|hook|bridge|intro|outro|refrain|interlude)"
    r"|主歌|副歌|前奏|间奏|尾奏|尾声|过渡|桥段|导歌|说唱"
)
_BRACKETS_ALONE = re.compile(r"^(?:[\[【][^\]】]*[\]】]\s*)+$")
_BRACKETED = re.compile(r"^[\[【]([^\]】]*)[\]】]\s*(.*)$")
_NAMED = re.compile(rf"^(?:{_NAME})(?![a-z])", re.IGNORECASE)
_BARE = re.compile(
    rf"^(?:{_NAME})\s*(?:\d+|[ivx]+|[一二三四])?\s*(?:\(?\s*x\s*\d+\s*\)?)?\s*[:：.]?$"  # Chorus x2:
    rf"|^\((?:{_NAME})(?![a-z])[^()]*\)$"  # (Hook: somebody)
    rf"|^(?:{_NAME})\s*\d+\s*[:：-][^,.!?]{{0,40}}$",  # Verse 2: somebody
    re.IGNORECASE,
)

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
    them only if they name a section; without brackets or in parentheses a section's name must stand alone.
    """
    if _BRACKETS_ALONE.match(line) or _BARE.match(line):
        return True, ""
    bracketed = _BRACKETED.match(line)
    if bracketed and _NAMED.match(bracketed[1].strip()):
        return True, bracketed[2]
    return False, line


def clean(text: str) -> tuple[list[list[str]], Counter]:
    """The sections of a song, each a list of its lines, and how many lines each step took out (see COUNTS).

    A section ends at a header, at a blank line and where a song ends. Leftovers and ad-libs vanish without ending it, so
    that the lines around them follow each other.
    """
    counts: Counter = Counter()
    sections: list[list[str]] = [[]]
    beginning = True  # before the first line that holds anything
    for raw in text.replace("\ufeff", "").replace("\u200b", "").splitlines():
        line = " ".join(raw.split())
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


def _append(section: list[str], line: str, counts: Counter) -> None:
    if not _tokenize(line):
        counts["wordless_lines"] += 1
    elif is_adlib(line):
        counts["adlib_lines"] += 1
    elif section and key(section[-1]) == key(line):
        counts["repeated_lines"] += 1
    else:
        section.append(line)


def pairs(sections: list[list[str]], context_lines: int) -> Iterator[tuple[list[str], str]]:
    """(the up to `context_lines` lines before, the line) for every line of a section but its first."""
    for section in sections:
        for place in range(1, len(section)):
            yield section[max(0, place - context_lines) : place], section[place]


def unrepeated(found: Iterator[tuple[list[str], str]], seen: set, counts: Counter) -> Iterator[tuple[list[str], str]]:
    """The pairs not in `seen` yet, by their words; puts them there and counts the others."""
    for context, line in found:
        counts["pairs_found"] += 1
        pair = (*map(key, context), key(line))
        if pair in seen:
            counts["repeated_pairs"] += 1
        else:
            seen.add(pair)
            yield context, line


# ---------------------------------------------------------------------------------------------------- noise
# A Chinese character, or letters and digits with the apostrophes and hyphens that belong to them: runnin', y'all, '99.
_WORD = re.compile(rf"[{CJK}]|['’]?[^\W_{CJK}]+(?:['’-][^\W_{CJK}]+)*['’]?")


def _maskable(line: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The words of a line but its last, and the last before asides at its end."""
    end = len(without_asides(line))
    before = [span for span in spans if span[1] <= end]
    return [span for span in spans if span not in (*spans[-1:], *before[-1:])]


def mask_words(lines: list[str], share: float, mask: str, rng: np.random.Generator) -> list[str]:
    """The lines with `share` of all their words replaced by `mask`, one for one.

    The last word of a line, which rhymes, is never replaced, whatever punctuation follows it, nor is the one before an ad-lib
    in parentheses at the line's end; the punctuation around a replaced word stays. Where the share is no whole number of
    words, chance decides between the two nearest, so that the share is right on average.
    """
    words = [[match.span() for match in _WORD.finditer(line)] for line in lines]
    free = [(number, span) for number, line in enumerate(lines) for span in _maskable(line, words[number])]
    count = min(len(free), int(share * sum(map(len, words)) + rng.random()))
    out = list(lines)
    for place in sorted(rng.choice(len(free), count, replace=False) if count else [], reverse=True):
        number, (start, end) = free[place]
        out[number] = out[number][:start] + mask + out[number][end:]
    return out


# ---------------------------------------------------------------------------------------------------- songs to rows
def prefix_token(label: str) -> str:
    """ "Hip Hop" -> "<style:hip-hop>": the token that tells a genre or artist before the source."""
    return f"<style:{'-'.join(label.lower().split())}>"


def join(lines: list[str], prefix: str = "") -> str:
    """A source as the model reads it."""
    return prefix + SEPARATOR.join(lines)


def split_songs(songs: list[dict], shares: tuple[float, float]) -> dict[str, list[dict]]:
    """Train, validation and test by song, at random with a seed of its own, so that runs with other seeds are comparable.

    shares: of validation and test; each gets at least one song where its share is above 0.
    Raises UserError where nothing would be left to train on.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(songs))
    sizes = [max(1, round(share * len(songs))) if share else 0 for share in shares]
    if len(songs) <= sum(sizes):
        raise UserError(
            f"data: {len(songs)} song{'s' * (len(songs) != 1)} cannot be split into train, validation and test. Songs are split"
            " whole, and a .txt file is one song: give more, or name data.validation and data.test."
        )
    parts = np.split(order, np.cumsum(sizes))
    return {split: [songs[i] for i in sorted(part)] for split, part in zip(("validation", "test", "train"), parts, strict=True)}


@dataclass
class Pairing:
    """Turns songs into pairs and remembers what it has seen, for as many splits as must not share a pair.

    `lines`: every line of the cleaned songs of the latest call, each once.
    """

    context_lines: int
    songs: set[int] = field(default_factory=set)
    pairs: set[tuple[str, ...]] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def __call__(self, songs: list[dict], label: str) -> tuple[list[dict[str, str]], dict[str, int]]:
        """Rows {"source", "target"} of songs {"lyrics", "prefix"}, and the counts of what was done (COUNTS and more)."""
        counts: Counter = Counter(songs=len(songs))
        rows, lines = [], {}
        with Progress(len(songs), label, unit="song") as progress:
            for song in songs:
                progress.update()
                text = hash(key(song["lyrics"]))
                if text in self.songs:
                    counts["repeated_songs"] += 1
                    continue
                self.songs.add(text)
                sections, found = clean(song["lyrics"])
                counts.update(found)
                lines.update((key(line), line) for section in sections for line in section)
                for context, target in unrepeated(pairs(sections, self.context_lines), self.pairs, counts):
                    rows.append({"source": join(context, song["prefix"]), "target": target})
        self.lines = list(lines.values())
        return rows, {name: counts[name] for name in ("songs", "repeated_songs", *COUNTS)}
