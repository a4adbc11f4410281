"""Format values for people, so that every message and table writes them the same way."""

from __future__ import annotations


def format_duration(seconds: float) -> str:
    """Return a duration in seconds as text: "8.3 s", "5 min 7 s" or "2 h 3 min"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
