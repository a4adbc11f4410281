"""Text functions for scores: find words, detect the language, and check that predictions and references match."""

from __future__ import annotations

import re
from collections.abc import Sequence

from paddle_ft.data.text import CJK_CHARACTERS, WIDE_PUNCTUATION, CharacterWordTokenizer, regex_class

TOKENIZER_NAME = "chinese-characters+words"

_CJK = regex_class(CJK_CHARACTERS)
_CHARACTER = re.compile(f"[{_CJK}]")
# A chunk is one CJK character, or a run of other characters between spaces, full-width punctuation and CJK characters.
_CHUNK = re.compile(f"[{_CJK}]|[^\\s{_CJK}{regex_class(WIDE_PUNCTUATION)}]+")
# The word inside a chunk. Signs that hide letters (f***, @#$!) count as letters. An apostrophe belongs to its word (runnin', '99).
_WORD = re.compile(r"['’]?(?:[^\W_]|[*#$@])(?:.*(?:[^\W_]|[*#$@]))?['’]?")


def word_spans(line: str) -> list[tuple[int, int]]:
    """Return (start, end) of each word of a line. In Chinese, Japanese and Korean, each character is a word.

    Other words are separated by spaces. Punctuation around them is left out: n***a, 24/7, A$AP and don't are one word each.
    """
    spans = []
    for chunk in _CHUNK.finditer(line):
        if word := _WORD.search(chunk[0]):
            spans.append((chunk.start() + word.start(), chunk.start() + word.end()))
    return spans


def detect_language(texts: Sequence[str]) -> str:
    """Return "zh" if at least half of the tokens of the first 1,000 texts are CJK characters, else "en"."""
    tokenize = CharacterWordTokenizer().tokenize
    characters = words = 0
    for text in texts[:1000]:
        for token in tokenize(text):
            if _CHARACTER.match(token):
                characters += 1
            else:
                words += 1
    return "zh" if characters and characters >= words else "en"


def resolve_language(language: str, texts: Sequence[str]) -> str:
    """Return `language`, or the language of the texts if it is "auto". Raise ValueError unless it is zh, en or auto."""
    if language == "auto":
        return detect_language(texts)
    if language not in ("zh", "en"):
        raise ValueError(f"language is {language!r}: expected zh, en or auto")
    return language


def check_pairs(predictions: Sequence[str], references: Sequence[str]) -> None:
    """Raise ValueError if there are no predictions, or if their number differs from that of the references."""
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions but {len(references)} references: they must pair up")
    if not len(references):
        raise ValueError("nothing to score: there are no predictions")
