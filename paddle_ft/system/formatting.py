"""Helpers for messages and tables: durations, numbers, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a float or an int of up to 64 bits. True and False do not count as numbers."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64)


def did_you_mean(word: str, names: list[str]) -> str:
    """Return " Did you mean NAME?" for the most similar name, or "" if no name is similar."""
    matches = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean {matches[0]}?" if matches else ""


def join_some(names: Iterable[str], limit: int = 6) -> str:
    """Return names as a list for a sentence, at most `limit` of them: "a, b, c and 7 more"."""
    names = list(names)
    if len(names) <= limit + 1:  # "and 1 more" would be as long as the name
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"


def counted(number: int, many: str, one: str = "") -> str:
    """Return a number with its noun: "1 song", "1,200 songs".

    Args:
        number: the number.
        many: the noun in the plural; more words may follow.
        one: the same for 1. Default: `many` without the s at the end of its first word that has one: "section header removed".
    """
    return f"{number:,} {many if number != 1 else one or re.sub(r's(?= |$)', '', many, count=1)}"


def shorten(text: str, limit: int = 60) -> str:
    """Return a text of up to `limit` characters, which ends with an ellipsis if it was longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def format_size(size: int) -> str:
    """Return a number of bytes as "199 B", "52.5 kB" or "1.3 GB"."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.95 or unit == "GB":
            break
        value /= 1000
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def format_duration(seconds: float) -> str:
    """Return a duration in seconds as text: "8.3 s", "5 min 7 s" or "2 h 3 min"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
