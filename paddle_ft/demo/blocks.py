"""What an answer consists of, and its HTML. Every text from a user or a model is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from paddle_ft.demo.labels import Label


@dataclass(frozen=True)
class Text:
    """A text, some of whose parts may be marked.

    Attributes:
        title: its heading.
        text: the text.
        spans: (start, end) of each marked part, in order and without overlap.
        large: whether this is the main result, in larger letters.
    """

    title: Label
    text: str
    spans: tuple[tuple[int, int], ...] = ()
    large: bool = False

    def html(self, language: str) -> str:
        """Return the block as HTML."""
        parts, end = [], 0
        for start, stop in self.spans:
            parts.append(f"{escape(self.text[end:start])}<mark>{escape(self.text[start:stop])}</mark>")
            end = stop
        body = "".join(parts) + escape(self.text[end:])
        return f'{_heading(self.title, language)}<div class="ft-text{" ft-large" if self.large else ""}">{body}</div>'


@dataclass(frozen=True)
class Bars:
    """Probabilities as bars.

    Attributes:
        title: the heading.
        values: (name, probability from 0 to 1) of each bar.
    """

    title: Label
    values: tuple[tuple[str, float], ...]

    def html(self, language: str) -> str:
        """Return the block as HTML."""
        rows = [
            f'<div class="ft-bar"><span class="ft-name">{escape(name)}</span><span class="ft-track">'
            f'<span class="ft-fill" style="width:{100 * value:.1f}%"></span></span>'
            f'<span class="ft-value">{100 * value:.1f} %</span></div>'
            for name, value in self.values
        ]
        return f'{_heading(self.title, language)}<div class="ft-bars">{"".join(rows)}</div>'


@dataclass(frozen=True)
class Columns:
    """Blocks beside each other, or below each other on a narrow screen.

    Attributes:
        blocks: the blocks, from left to right.
    """

    blocks: tuple[Block, ...]

    def html(self, language: str) -> str:
        """Return the block as HTML."""
        cells = "".join(f"<div>{block.html(language)}</div>" for block in self.blocks)
        return f'<div class="ft-columns">{cells}</div>'


@dataclass(frozen=True)
class Verse:
    """A line of a song with notes about it.

    Attributes:
        line: the line.
        notes: short remarks, such as "rhymes". Each is a text and whether it is good news.
        source: a remark in small letters below the line, or None.
    """

    line: str
    notes: tuple[tuple[Label, bool], ...] = ()
    source: Label | None = None

    def html(self, language: str) -> str:
        """Return the block as HTML."""
        notes = "".join(
            f'<span class="ft-note{" ft-good" if good else ""}">{escape(note.text(language))}</span>' for note, good in self.notes
        )
        source = f'<div class="ft-source">{escape(self.source.text(language))}</div>' if self.source else ""
        return f'<div class="ft-verse"><div><span class="ft-line">{escape(self.line)}</span>{notes}</div>{source}</div>'


@dataclass(frozen=True)
class Facts:
    """Names and values, one row each.

    Attributes:
        rows: (name, value).
    """

    rows: tuple[tuple[Label, str], ...]

    def html(self, language: str) -> str:
        """Return the block as HTML."""
        rows = [f"<tr><th>{escape(name.text(language))}</th><td>{escape(value)}</td></tr>" for name, value in self.rows]
        return f'<table class="ft-facts">{"".join(rows)}</table>'


@dataclass(frozen=True)
class Note:
    """A sentence about the answer in small letters.

    Attributes:
        text: the sentence.
    """

    text: Label

    def html(self, language: str) -> str:
        """Return the block as HTML."""
        return f'<p class="ft-remark">{escape(self.text.text(language))}</p>'


@dataclass(frozen=True)
class Problem:
    """A message about wrong input.

    Attributes:
        text: what is wrong and what to do.
    """

    text: Label

    def html(self, language: str) -> str:
        """Return the block as HTML."""
        return f'<p class="ft-problem" role="alert">{escape(self.text.text(language))}</p>'


Block = Text | Bars | Columns | Verse | Facts | Note | Problem


def render(blocks: Sequence[Block], language: str) -> str:
    """Return the blocks of an answer as HTML, below each other."""
    return f'<div class="ft-answer">{"".join(block.html(language) for block in blocks)}</div>'


def _heading(title: Label, language: str) -> str:
    text = title.text(language)
    return f'<div class="ft-title">{escape(text)}</div>' if text else ""
