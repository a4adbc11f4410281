"""The tables of same_work.py: over the seeds, and of --exact.

python benchmarks/same_work.py --table
"""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

from works import WORKS, Work

OURS, PEER = "paddle_ft", "transformers"
# two-sided 95 % quantiles of Student's t by degrees of freedom
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
EXACT_HEADER = """| work | steps | first loss | last: paddle_ft | last: transformers | largest relative difference of a step |
| --- | ---: | ---: | ---: | ---: | ---: |"""


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by Student's t."""
    mean = statistics.fmean(values)
    half = T95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return mean - half, mean + half


def compare(work: Work, folder: Path) -> dict[str, Any] | None:
    """Return the comparison of a work from the stored figures, or None if fewer than two seeds have both tools.

    Returns:
        "seeds"; "runs" (the figures of the first seed by tool); and "metrics": metric -> tool -> the values of the seeds.
    """
    pairs = {}
    for seed in sorted(path for path in (folder / work.name).glob("*") if path.is_dir()):
        files = {tool: seed / f"{tool}.json" for tool in (OURS, PEER)}
        if all(path.exists() for path in files.values()):
            pairs[int(seed.name)] = {tool: json.loads(path.read_text(encoding="utf-8")) for tool, path in files.items()}
    if len(pairs) < 2:
        return None
    metrics = {
        name: {tool: [pair[tool]["metrics"][name] for pair in pairs.values()] for tool in (OURS, PEER)} for name in work.metrics
    }
    return {"seeds": list(pairs), "runs": next(iter(pairs.values())), "metrics": metrics}


def table(folder: Path) -> str:
    """Return the Markdown table of all works that have results, and what they were made with."""
    lines = [
        "| work | metric | paddle_ft: mean ± deviation (seeds) | transformers: mean ± deviation (seeds) | difference [95 %]"
        " | intervals of the means |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    notes, used = [], {}
    for work in WORKS.values():
        found = compare(work, folder)
        if found is None:
            continue
        for name, values in found["metrics"].items():
            lines.append(f"| {work.title} | {name} | {row_of(values, decimals=4 if name == 'loss' else 2)} |")
        run = found["runs"][OURS]
        rows = "blocks" if work.kind == "masked_lm" else "rows"
        notes.append(f"{work.title}: {run['train_rows']:,} {rows}, {run['steps']:,} steps,"
                     f" {run['validation_rows']:,} for validation, seeds {', '.join(map(str, found['seeds']))},"
                     f" {run['date']}, {run['threads']} threads, fp32.")  # fmt: skip
        used |= {tool: figures["versions"] for tool, figures in found["runs"].items()}
    if not notes:
        return f"{folder} has no work with two seeds of both tools."
    made_with = "; ".join(f"{tool}: {text}" for tool, text in used.items())
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), f"- {made_with}."])


def row_of(values: dict[str, list[float]], decimals: int) -> str:
    """Return the cells of a metric: both tools, the difference and whether the intervals overlap.

    Args:
        values: tool -> the values of the seeds.
        decimals: of each number. A loss needs more than a percentage, or its differences look like 0.
    """

    def shown(value: float, sign: str = "") -> str:
        return f"{value:{sign}.{decimals}f}"

    cells = [
        f"{shown(statistics.fmean(own))} ± {shown(statistics.stdev(own))} ({', '.join(map(shown, own))})" for own in values.values()
    ]
    differences = [ours - peer for ours, peer in zip(values[OURS], values[PEER], strict=True)]
    low, high = interval(differences)
    cells.append(f"{shown(statistics.fmean(differences), '+')} [{shown(low, '+')}, {shown(high, '+')}]")
    (first, second) = (interval(own) for own in values.values())
    cells.append("overlap" if max(first[0], second[0]) <= min(first[1], second[1]) else "do not overlap")
    return " | ".join(cells)


def exact_row(work: Work, losses: dict[str, list[float]]) -> str:
    """Return the row of a work in the table of --exact."""
    pairs = list(zip(losses[OURS], losses[PEER], strict=True))
    largest = max(abs(ours - peer) / peer for ours, peer in pairs)
    return f"| {work.title} | {len(pairs)} | {pairs[0][1]:.5f} | {pairs[-1][0]:.5f} | {pairs[-1][1]:.5f} | {largest:.1e} |"
