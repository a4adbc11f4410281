"""Tables of texts, as Markdown and for the terminal; the template parts.html has them as HTML."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass


class Link(str):
    """A cell of a table that leads to another file. `href` is its address, relative to the page."""

    href: str

    def __new__(cls, text: str, href: str) -> Link:
        link = super().__new__(cls, text)
        link.href = href
        return link


@dataclass
class Table:
    """A table of texts.

    Attributes:
        columns: the headings; that of the first column may be "".
        rows: the cells of each row.
        numbers: whether all columns but the first are numbers, which are aligned on the right.
        title: its heading; "": none.
    """

    columns: Sequence[str]
    rows: list[list[str]]
    numbers: bool = True
    title: str = ""


def markdown_table(header: Sequence[str], rows: list[list[str]], numbers: bool = True) -> str:
    """Return a Markdown table.

    Args:
        header: the headings.
        rows: the cells of each row.
        numbers: whether all columns but the first are numbers, which are aligned on the right.
    """
    lines = [list(header), ["---", *["---:" if numbers else "---"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in lines)


def text_table(table: Table) -> list[str]:
    """Return the lines of a table for the terminal. A Chinese character is as wide as two others."""
    lines = [list(table.columns), *table.rows]
    widths = [max(display_width(line[i]) for line in lines) for i in range(len(table.columns))]
    shown = []
    for line in lines:
        cells = []
        for i, (cell, width) in enumerate(zip(line, widths, strict=True)):
            space = " " * (width - display_width(cell))
            cells.append(space + cell if table.numbers and i else cell + space)
        shown.append("  " + "  ".join(cells).rstrip())
    return shown


def _escape(cell: str) -> str:
    text = " ".join(cell.replace("|", chr(92) + "|").split())
    return f"[{text}]({cell.href})" if isinstance(cell, Link) else text


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes. A Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
