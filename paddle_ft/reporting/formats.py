"""Figures as a reader wants them."""

from __future__ import annotations

import math

from paddle_ft.reporting.records import SCORE_NAMES, is_number

DASH = "–"
LOWER_IS_BETTER = ("loss", "perplexity", "ece")


def number(value: object, decimals: int = 2) -> str:
    """12,345 for whole numbers, else `decimals` places; very large and small ones as 1.2e+09; a dash for none."""
    if not is_number(value):
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e7 or 0 < abs(value) < 10**-decimals / 2:
        return f"{value:.1e}"
    return f"{value:,.{decimals}f}"


def score(name: str, value: object) -> str:
    """Losses with three places, other scores with two; counts beside the scores as whole numbers."""
    if isinstance(value, int) and name not in SCORE_NAMES:
        return number(value)
    places = 3 if name == "loss" else 2
    return f"{value:,.{places}f}" if is_number(value) and abs(value) < 1e7 else number(value, places)


def interval(ends: object) -> str:
    """ "[40.1, 42.3] (95 %)", empty where there is none."""
    if not (isinstance(ends, list) and len(ends) == 2 and all(map(is_number, ends))):
        return ""
    return f"[{ends[0]:,.1f}, {ends[1]:,.1f}] (95 %)"


def duration(seconds: object) -> str:
    """ "8.3 s", "5 min 7 s", "2 h 3 min" """
    if not is_number(seconds) or not math.isfinite(seconds):
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def memory(megabytes: object) -> str:
    if not is_number(megabytes):
        return DASH
    return f"{megabytes / 1024:,.1f} GB" if megabytes >= 1024 else f"{megabytes:,.0f} MB"


def fact(name: str, value: object) -> tuple[str, str]:
    """A name of results.json and its value as label and text, the unit taken from the name's end."""
    units = {"_seconds": duration, "_mb": memory}
    for ending, form in units.items():
        if name.endswith(ending) or name == ending[1:]:
            label = name.removesuffix(ending) if name.endswith(ending) else "time"
            return label.replace("_", " "), form(value)
    label = name.replace("_per_second", " per second").replace("_", " ")
    if name.endswith("share") and is_number(value):
        return label, f"{100 * value:.1f} %"
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    if is_number(value):
        return label, number(value, 1)
    if isinstance(value, list):
        return label, ", ".join(str(item) for item in value) or DASH
    return label, DASH if value is None else str(value)
