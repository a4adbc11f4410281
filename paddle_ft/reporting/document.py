"""Pages about several runs: written once as a Document, and shown in the terminal, as Markdown and as a page like report.html."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from paddle_ft.reporting.layout import Table, display_width, markdown_table, text_table
from paddle_ft.reporting.page import render
from paddle_ft.reporting.pictures import to_picture
from paddle_ft.system.files import to_json, write_atomically

WIDTH = 120  # characters of a line of text in the terminal


@dataclass
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        texts: paragraphs.
        tables: its tables.
        plots: name -> figure; they are only in the HTML page.
        groups: (title, cards): groups of rows of predictions, as page.prediction_card returns them.
    """

    title: str
    texts: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: dict[str, Figure] = field(default_factory=dict)
    groups: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)


@dataclass
class Document:
    """A page.

    Attributes:
        title: its heading.
        facts: short texts under the heading.
        warnings: what is missing or limits what the page can say.
        sections: its parts. Those without content are not shown.
    """

    title: str
    facts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


def to_html(document: Document) -> str:
    """Return a page as a single, self-contained HTML file that looks like report.html."""
    sections = [
        {
            "title": section.title,
            "texts": section.texts,
            "tables": section.tables,
            "plots": [(name, to_picture(figure)) for name, figure in section.plots.items()],
            "groups": _filled(section),
        }
        for section in _shown(document, plots=True)
    ]
    written = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return render(
        "document.html", title=document.title, facts=[*document.facts, written], warnings=document.warnings, sections=sections
    )


def to_markdown(document: Document) -> str:
    """Return a page as Markdown, without its plots."""
    blocks = [f"# {document.title}", *([" · ".join(document.facts)] if document.facts else [])]
    blocks += [f"> {warning}" for warning in document.warnings]
    for section in _shown(document):
        blocks += [f"## {section.title}", *section.texts]
        for table in section.tables:
            blocks += [*([f"### {table.title}"] if table.title else []), markdown_table(table.columns, table.rows, table.numbers)]
        for title, cards in _filled(section):
            blocks.append(f"### {title}")
            for card in cards:
                fields = [f"- **{name}** {' '.join(text.split()) or '(empty)'}" for name, text in card["fields"]]
                blocks.append("\n".join([*([f"{card['headline']}\n"] if card["headline"] else []), *fields]))
    return "\n\n".join(blocks).replace("<", "&lt;") + "\n"  # Markdown takes HTML as it is, and texts of the data may have some


def to_text(document: Document) -> str:
    """Return a page as text for the terminal, without its plots."""
    lines = [document.title, *([" · ".join(document.facts)] if document.facts else [])]
    for warning in document.warnings:
        lines += textwrap.wrap(f"warning: {warning}", WIDTH)
    for section in _shown(document):
        lines += ["", section.title]
        for text in section.texts:
            lines += textwrap.wrap(text, WIDTH)
        for table in section.tables:
            lines += ["", *([table.title] if table.title else []), *text_table(table)]
        for title, cards in _filled(section):
            lines += ["", title]
            for card in cards:
                lines += ["", *([f"  {card['headline']}"] if card["headline"] else [])]
                width = max([8, *(display_width(name) for name, _ in card["fields"])])
                lines += [
                    f"  {name}{' ' * (width - display_width(name))}  {' '.join(text.split()) or '(empty)'}"
                    for name, text in card["fields"]
                ]
    return "\n".join(line.rstrip() for line in lines)


def _shown(document: Document, plots: bool = False) -> list[Section]:
    """Return the sections with content; `plots`: whether plots count."""
    return [
        section for section in document.sections
        if section.texts or section.tables or _filled(section) or (plots and section.plots)
    ]  # fmt: skip


def _filled(section: Section) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the groups that have rows."""
    return [group for group in section.groups if group[1]]


def write_document(folder: Path, name: str, document: Document, content: dict[str, Any]) -> str:
    """Write the page of many runs into their folder: report.html, NAME.md, and results.json. Return the page as text.

    Args:
        folder: the folder.
        name: the name of the Markdown file, without .md.
        document: the page.
        content: what results.json has.
    """
    write_atomically(folder / "results.json", to_json(content, indent=2) + "\n")
    write_atomically(folder / f"{name}.md", to_markdown(document))
    write_atomically(folder / "report.html", to_html(document))
    return to_text(document)
