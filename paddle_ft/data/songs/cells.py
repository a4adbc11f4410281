r"""Find the lines of songs that are a single line, as in the cells of a table: "one line / the next", "one line\nthe next".

Tables write the ends of lines in several ways. <br> and a literal \n cannot be lyrics, so they are line ends wherever they stand.
The others can be lyrics, so they count only in texts without another line end, and only if at least half of such texts have them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MIN_ENDS = 3  # line ends of a kind in a text that is taken to have this kind
MAX_CHARACTERS = 160  # of a text that may be a single line of a song


@dataclass(frozen=True)
class LineEnd:
    """A way of writing the end of a line.

    Attributes:
        name: what it is, for messages.
        pattern: the end, with the space around it.
        only_chinese: whether it counts in Chinese texts only.
    """

    name: str
    pattern: re.Pattern[str]
    only_chinese: bool = False


# The space before an end is taken from its first character on, so that a pattern looks at a long run of spaces only once.
CERTAIN = (
    LineEnd("<br>", re.compile(r"(?:(?<![ \t])[ \t]+)?<br\s*/?>[ \t]*\n?", re.IGNORECASE)),
    LineEnd(r"a literal \n", re.compile(r"(?:(?<![ \t])[ \t]+)?(?:\\r)?\\n[ \t]*")),
)
POSSIBLE = (
    LineEnd("a slash", re.compile(r"(?<!\s)\s+(?://?\s+)+")),
    LineEnd("a bar", re.compile(r"(?:(?<!\s)\s+)?\|+\s*")),
    LineEnd("a tab", re.compile(r"\t+")),
    LineEnd("several spaces", re.compile(r"[ \u3000]{2,}")),
    LineEnd("a slash", re.compile(r"(?:(?<!\s)\s+)?/\s*"), only_chinese=True),
    LineEnd("a space", re.compile(r"[ \u3000]+"), only_chinese=True),
    LineEnd("a comma or full stop", re.compile(r"[，。；！？、,;!?]+\s*"), only_chinese=True),
)


@dataclass(frozen=True)
class LineEnds:
    """How the ends of lines are written in some texts.

    Attributes:
        counts: name of a kind of line end -> number of texts that have it.
        possible: the kind of POSSIBLE that ends lines in texts that are a single line otherwise, or None.
    """

    counts: dict[str, int]
    possible: LineEnd | None

    def break_lines(self, text: str) -> str:
        """Return a text with a line break at each line end."""
        text = _break_certain(text)
        if self.possible is None or not _is_single(text) or not self.possible.pattern.search(text.strip()):
            return text
        return self.possible.pattern.sub(_line_break, text.strip())


def find_line_ends(texts: Iterable[str], is_chinese: bool) -> LineEnds:
    """Find out how the ends of lines are written.

    Args:
        texts: the songs of a table or of files.
        is_chinese: whether they are Chinese, in which / without space around it, a space and punctuation may end a line.
    """
    counts: Counter[str] = Counter()
    singles, having = 0, Counter[LineEnd]()  # texts that are a single line, and those of them that have a kind of line end
    likely = Counter[LineEnd]()  # and those that have it MIN_ENDS times
    kinds = [end for end in POSSIBLE if is_chinese or not end.only_chinese]
    for text in texts:
        broken = _break_certain(text, counts)
        if not _is_single(broken):
            continue
        singles += 1
        for end in kinds:
            number = len(end.pattern.findall(broken.strip()))
            having[end] += number > 0
            likely[end] += number >= MIN_ENDS
    possible = next((end for end in kinds if singles and 2 * likely[end] >= singles), None)
    found = {end.name: counts[end.name] for end in CERTAIN if counts[end.name]}
    return LineEnds(found if possible is None else {**found, possible.name: having[possible]}, possible)


def _break_certain(text: str, counts: Counter[str] | None = None) -> str:
    """Return a text with a line break at the line ends of CERTAIN. The text is counted in `counts` for each kind that it has."""
    for end in CERTAIN:
        if end.pattern.search(text):
            text = end.pattern.sub("\n", text)
            if counts is not None:
                counts[end.name] += 1
    return text


def _is_single(text: str) -> bool:
    return len(text.strip().splitlines()) == 1


def _line_break(match: re.Match[str]) -> str:
    """Return a line break, or the blank line that ends a section for a doubled // or ||."""
    return "\n\n" if match[0].strip() in ("//", "||") else "\n"


def are_single_lines(rows: Iterable[dict[str, str]]) -> bool:
    """Return whether rows are single lines of songs with the titles of the songs, and some of them belong to one song."""
    belong, last = False, None
    for row in rows:
        if "title" not in row or _is_longer_than_a_line(row["lyrics"]):
            return False
        belong = belong or (last is not None and _is_same_song(last, row))
        last = row
    return belong


def join_single_lines(rows: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield a row for each song of rows that are single lines. Rows in succession that differ in their lyrics only are a song."""
    song: dict[str, str] = {}
    lines: list[str] = []
    for row in rows:
        if lines and not _is_same_song(song, row):
            yield {**song, "lyrics": "\n".join(lines)}
            lines = []
        song = song if lines else row
        lines.append(row["lyrics"])
    if lines:
        yield {**song, "lyrics": "\n".join(lines)}


def _is_same_song(row: dict[str, str], other: dict[str, str]) -> bool:
    return {**row, "lyrics": ""} == {**other, "lyrics": ""}


def _is_longer_than_a_line(text: str) -> bool:
    return len(text.strip().splitlines()) > 1 or len(text) > MAX_CHARACTERS
