"""Helpers for messages and tables: durations, numbers, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is an int or a float. True and False do not count as numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def did_you_mean(word: str, names: list[str]) -> str:
    """Return " Did you mean NAME?" for the most similar name, or "" if no name is similar."""
    matches = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f" Did you mean {matches[0]}?" if matches else ""


def format_duration(seconds: float) -> str:
    """Return a duration in seconds as text: "8.3 s", "5 min 7 s" or "2 h 3 min"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
