"""Write docs/results.md from the entries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docs.results.entry import Entry, Figure, Measured

PAGE = Path(__file__).parent.parent / "results.md"
NOTE = "<!-- made by `make results` from docs/results/entries; change those -->"
TITLE = "# Results on real data"
OVERVIEW = """## The recipes as they stand

An empty cell means that nobody has run the recipe as it stands, because neither a GPU nor a model hub was at hand; the command
measures it. The stand-ins are smaller models or less data. They cannot be compared with the tutorial's figure, which is
"validation / test" where it has two parts."""


def number(value: float, digits: int) -> str:
    """Return a figure with so many significant digits; from 1,000 on, all before the point and none after it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def figure_text(values: dict[str, Any], name: str = "value", ends: str = "interval") -> str:
    """Return a value with its interval: 88.07 [85.9, 90.1]. Both ends have the same number of decimals."""
    text = number(values[name], 4)
    if ends not in values:
        return text
    low_and_high = [number(end, 3) for end in values[ends]]
    decimals = max(len(end.partition(".")[2]) for end in low_and_high)
    return f"{text} [{', '.join(f'{end:,.{decimals}f}' for end in values[ends])}]"


def figures_table(figures: list[Figure], measured: Measured | None) -> str:
    """Return the table of an entry's figures. What was not measured is an empty cell."""
    found = {figure.key: measured.figures.get(figure.key, {}) if measured else {} for figure in figures}
    columns = {"value": ("after training", "interval"), "before": ("before training", ""),
               "baseline": ("baseline", "baseline_interval")}  # fmt: skip
    columns = {name: column for name, column in columns.items() if name == "value" or any(name in each for each in found.values())}
    lines = ["| | " + " | ".join(head for head, _ in columns.values()) + " |", "| --- |" + " ---: |" * len(columns)]
    for figure in figures:
        values = found[figure.key]
        cells = [figure_text(values, name, ends) if name in values else "" for name, (_, ends) in columns.items()]
        if "note" in values:
            cells[0] += f" ({values['note']})"
        if cells[-1] and "baseline" in columns and figure.baseline:
            cells[-1] += f" ({figure.baseline})"
        lines.append(f"| {figure.key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def facts(entry: Entry) -> str:
    """Return the line that says what was run, where, when and with what."""
    parts = [entry.model, entry.data]
    if measured := entry.measured:
        if measured.rows:
            parts.append(f"{' / '.join(f'{count:,}' for count in measured.rows.values())} rows ({' / '.join(measured.rows)})")
        if measured.seeds:
            parts.append(f"seed{'s' if len(measured.seeds) > 1 else ''} {', '.join(map(str, measured.seeds))}")
        parts += [measured.machine, measured.date, measured.versions]
    else:
        parts.append("nobody has run it")
    line = "; ".join(part for part in parts if part) + "."
    return line + (f" A stand-in: {entry.stand_in}." if entry.stand_in else "")


def section(entry: Entry) -> str:
    """Return the section of an entry."""
    parts = [f"## {entry.title}"]
    if entry.command:
        parts.append(f"```\n{entry.command.strip()}\n```")
    if entry.kind != "text":
        parts.append(facts(entry))
    if entry.figures:
        parts.append(figures_table(entry.figures, entry.measured))
    if entry.measured and entry.measured.table:
        parts.append(entry.measured.table.strip())
    return "\n\n".join([*parts, *([entry.text.strip()] if entry.text else [])])


def summary(entry: Entry) -> str:
    """Return the figures of an entry for a cell of the overview."""
    found = entry.measured.figures if entry.measured else {}
    return "; ".join(f"{figure.key} {figure_text(found[figure.key])}" for figure in entry.figures if figure.key in found)


def overview(entries: list[Entry]) -> str:
    """Return the table of the recipes: the tutorial's figures, ours, and the stand-ins'."""
    lines = ["| recipe | tutorial's figure | ours | command | stand-ins |", "| --- | --- | --- | --- | --- |"]
    for entry in entries:
        if entry.title or not entry.recipe:
            continue
        stand_ins = [other for other in entries if other.title and other.recipe == entry.recipe and other.stand_in]
        cells = [f"`{entry.recipe}`", entry.tutorial, summary(entry), f"`{entry.command.strip()}`"]
        cells.append("<br>".join(f"{other.model}: {text}" for other in stand_ins if (text := summary(other))))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(entries: list[Entry]) -> str:
    """Return the page."""
    intro, *sections = [entry for entry in entries if entry.title or not entry.recipe]
    parts = [TITLE, NOTE, intro.text.strip(), OVERVIEW, overview(entries), *(section(entry) for entry in sections)]
    return "\n\n".join(parts) + "\n"
