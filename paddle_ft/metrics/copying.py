"""Find what a text has copied from its source: the longest runs of words that occur in both."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from paddle_ft.metrics.text import word_spans

SHORTEST = 2  # words of a run; a single word in common says little


class Copies(NamedTuple):
    """The copied parts of a text.

    Attributes:
        in_text: (start, end) of each copied part, in characters of the text.
        in_source: (start, end) of the same parts in the source, in order, joined where they overlap.
        share: share of the text's words that are in copied parts, 0-1.
    """

    in_text: list[tuple[int, int]]
    in_source: list[tuple[int, int]]
    share: float


def find_copies(text: str, source: str) -> Copies:
    """Return the parts of a text that are copied from its source.

    From left to right, the longest run of words that the source has too is taken, without regard to case and to punctuation
    between the words. In Chinese each character is a word. Source: the extractive fragments of Grusky et al. (2018), Newsroom: A
    Dataset of 1.3 Million Summaries; here runs of a single word are left out.

    Args:
        text: for example a summary.
        source: what it was made from.
    """
    text_spans, source_spans = word_spans(text), word_spans(source)
    text_words = [text[start:end].lower() for start, end in text_spans]
    source_words = [source[start:end].lower() for start, end in source_spans]
    places = defaultdict(list)
    for place, word in enumerate(source_words):
        places[word].append(place)
    in_text, in_source, copied, start = [], [], 0, 0
    while start < len(text_words):
        length, place = max(
            ((_common_length(text_words, start, source_words, place), -place) for place in places[text_words[start]]),
            default=(0, 0),
        )
        if length >= SHORTEST:
            in_text.append((text_spans[start][0], text_spans[start + length - 1][1]))
            in_source.append((source_spans[-place][0], source_spans[-place + length - 1][1]))
            copied += length
        start += max(1, length)
    return Copies(in_text, _join(in_source), copied / max(1, len(text_words)))


def _common_length(text: list[str], start: int, source: list[str], place: int) -> int:
    """Return how many words of `text` from `start` on are those of `source` from `place` on."""
    length = 0
    while start + length < len(text) and place + length < len(source) and text[start + length] == source[place + length]:
        length += 1
    return length


def _join(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans sorted, with those that overlap joined into one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
