"""Format the numbers and facts of a run as text for tables and the report."""

from __future__ import annotations

import math

from paddle_ft.data.splits import names_files
from paddle_ft.metrics.registry import find_metric
from paddle_ft.system.formatting import counted, format_duration, is_number

DASH = "–"


def format_number(value: object, decimals: int = 2) -> str:
    """Return a number as text: "12,345", "12.35" or, if very large or small, "1.2e+09".

    Args:
        value: a number. Anything else becomes a dash.
        decimals: decimal places. They are not used for whole numbers.
    """
    if not is_number(value):
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e7 or 0 < abs(value) < 10**-decimals / 2:
        return f"{value:.1e}"
    return f"{value:,.{decimals}f}"


def has_generated_texts(config: dict) -> bool:
    """Return whether a sample run was trained on generated text, and not on other data that the user has named."""
    data = config.get("data") or {}
    return str(data.get("source", "sample:")).startswith("sample:") and not names_files(data.get("train"))


def sample_texts(config: dict) -> str:
    """Return what a sample run was trained on: "generated text", or "your data" if the user has named other data."""
    return "generated text" if has_generated_texts(config) else "your data"


def format_score(key: str, value: object) -> str:
    """Return the value of the metric `key` with the decimal places that the registry asks for, or a dash if it is no number."""
    decimals = find_metric(key).decimals
    if decimals is None:
        if isinstance(value, int):
            return format_number(value)
        decimals = 2
    return f"{value:,.{decimals}f}" if is_number(value) and abs(value) < 1e7 else format_number(value, decimals)


def format_interval(ends: object) -> str:
    """Return "[40.1, 42.3] (95 %)" for a confidence interval, or "" if `ends` is not an interval."""
    if not (isinstance(ends, list) and len(ends) == 2 and all(map(is_number, ends))):
        return ""
    return f"[{ends[0]:,.1f}, {ends[1]:,.1f}] (95 %)"


def format_memory(megabytes: object) -> str:
    """Return "900 MB" or "1.5 GB", or a dash if the value is not a number."""
    if not is_number(megabytes):
        return DASH
    return f"{megabytes / 1024:,.1f} GB" if megabytes >= 1024 else f"{megabytes:,.0f} MB"


def format_seconds(seconds: object) -> str:
    """Return a duration as text, or a dash if the value is not a finite number."""
    return format_duration(seconds) if is_number(seconds) and math.isfinite(seconds) else DASH


def format_fact(key: str, value: object) -> tuple[str, str]:
    """Return (label, text) for an entry of results.json. The end of the key (_seconds, _mb, share) is the unit of the value."""
    units = {"_seconds": format_seconds, "_mb": format_memory}
    for suffix, format_value in units.items():
        if key.endswith(suffix) or key == suffix[1:]:
            label = key.removesuffix(suffix) if key.endswith(suffix) else "time"
            return label.replace("_", " "), format_value(value)
    label = key.replace("_per_second", " per second").replace("_", " ")
    if key.endswith("share") and is_number(value):
        return label, f"{100 * value:.1f} %"
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    if is_number(value):
        return label, format_number(value, 1)
    if isinstance(value, list):
        return label, ", ".join(str(item) for item in value) or DASH
    return label, DASH if value is None else str(value)


def format_p(p: float) -> str:
    """Return the p of a test: "0.042" or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def of_rows(metrics: dict) -> str:
    """Return what a column's title says of scores that are not those of all rows of a split."""
    return f" ({counted(metrics['rows'], 'rows')})" if metrics.get("rows") else ""
