"""Figures as a person reads them on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

from paddle_ft.rundir import RunDir


def summary(run: Path, samples: int = 3) -> str:
    """Final figures, sample predictions and where the report lies, for the terminal."""
    results = RunDir(run).results()
    lines = [""]
    if results.get("sample"):
        lines += ["sample run: text generated for trying, small model from scratch; the figures say that all works, no more", ""]
    for split, metrics in results.get("metrics", {}).items():
        lines += split_table(split, metrics, results)
        last = run / f"predictions-{split}.jsonl"
    if results.get("metrics"):
        with open(last, encoding="utf-8") as file:
            rows = [json.loads(line) for _, line in zip(range(samples), file, strict=False)]
        lines += ["predictions:"]
        for row in rows:
            lines += [""] + [f"  {name:<10} {value}" for name, value in row.items()]
    lines += ["", f"model    {run / 'best'}", f"report   {run / 'report.html'}"]
    return "\n".join(lines)


def split_table(split: str, metrics: dict, results: dict) -> list[str]:
    """One split's figures: trained, before training, baseline side by side."""
    names = [n for n, v in metrics.items() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    before = results.get("before_training", {}).get(split, {})
    baseline = results.get("baseline", {})
    columns = {"trained": metrics, "before": before, baseline.get("name", "baseline"): baseline.get(split, {})}
    columns |= {name: scores.get(split, {}) for name, scores in results.get("other_baselines", {}).items()}
    columns = {title: values for title, values in columns.items() if values}
    lines = [f"{split:<24}" + "".join(f"{title:>12}" for title in columns)]
    for name in names:
        cells = []
        for values in columns.values():
            value = values.get(name)
            cells.append(_cell(value))
        interval = metrics.get(f"{name}_ci")
        note = f"   trained: 95 % [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
        lines.append(f"  {name:<22}" + "".join(cells) + note)
    return [*lines, ""]


def _cell(value) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:>12,}"
    return f"{value:>12.2f}" if isinstance(value, float) else f"{'-':>12}"
