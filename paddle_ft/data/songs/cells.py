r"""Find the lines of songs that are a single line, as in the cells of a table: "one line / the next", "one line\nthe next".

Tables write the ends of lines in several ways. <br> and a literal \n cannot be lyrics, so they are line ends wherever they stand.
The others can be lyrics, so they count only in texts without another line end, and only if at least half of such texts have them.
"""

from __future__ import annotations

import re
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


def break_lines(texts: list[str], is_chinese: bool) -> tuple[list[str], dict[str, int]]:
    """Return the texts with a line break at each line end, and in how many texts each kind of line end was found, by its name.

    Args:
        texts: the songs of a table or of files.
        is_chinese: whether they are Chinese, in which / without space around it, a space and punctuation may end a line.
    """
    counts: dict[str, int] = {}
    broken = texts
    for end in CERTAIN:
        found = [end.pattern.search(text) is not None for text in broken]
        if any(found):
            counts[end.name] = sum(found)
            broken = [end.pattern.sub("\n", text) if has_it else text for text, has_it in zip(broken, found, strict=True)]
    single = [i for i, text in enumerate(broken) if len(text.strip().splitlines()) == 1]
    end = _most_likely_end([broken[i] for i in single], is_chinese)
    if end:
        broken = list(broken)
        found = [i for i in single if end.pattern.search(broken[i].strip())]
        counts[end.name] = len(found)
        for i in found:
            broken[i] = end.pattern.sub(_line_break, broken[i].strip())
    return broken, counts


def _line_break(match: re.Match[str]) -> str:
    """Return a line break, or the blank line that ends a section for a doubled // or ||."""
    return "\n\n" if match[0].strip() in ("//", "||") else "\n"


def _most_likely_end(texts: list[str], is_chinese: bool) -> LineEnd | None:
    """Return the first kind of line end that at least half of the texts have, or None."""
    for end in POSSIBLE:
        having = sum(len(end.pattern.findall(text.strip())) >= MIN_ENDS for text in texts)
        if texts and 2 * having >= len(texts) and (is_chinese or not end.only_chinese):
            return end
    return None


def join_single_lines(rows: list[dict[str, str]]) -> list[dict[str, str]] | None:
    """Return one row for each song, if the rows are single lines of songs with the titles of the songs; else None.

    Rows that follow each other and differ in nothing but their lyrics become one row.
    """
    if not rows or any("title" not in row or _is_longer_than_a_line(row["lyrics"]) for row in rows):
        return None
    songs: list[dict[str, str]] = []
    for row in rows:
        if songs and {**songs[-1], "lyrics": ""} == {**row, "lyrics": ""}:
            songs[-1]["lyrics"] += f"\n{row['lyrics']}"
        else:
            songs.append(dict(row))
    return songs if len(songs) < len(rows) else None


def _is_longer_than_a_line(text: str) -> bool:
    return len(text.strip().splitlines()) > 1 or len(text) > MAX_CHARACTERS
