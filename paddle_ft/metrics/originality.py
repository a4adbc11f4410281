"""Measure how much of a generated line is copied from the training lines: highest BLEU, exact copies, longest copied n-gram."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from paddle_ft.data.arrays import ArrayWriter, in_parts
from paddle_ft.metrics.ngram_index import Match, NgramIndex
from paddle_ft.metrics.text import CharacterWordTokenizer
from paddle_ft.system.progress import Progress, print_info

LINES_OF_PART = 200_000  # lines whose n-grams are indexed at once
LINES_AT_ONCE = 20_000  # lines that are split into words at once
TYPES = {"tokens": "int32", "lengths": "int32"}


@dataclass(frozen=True)
class Origin:
    """Where a generated line comes from.

    Attributes:
        bleu: highest sentence BLEU against any training line (0-100).
        line: index of that training line, or None if no training line has a word in common.
        copied: number of words in the longest n-gram that also occurs in a training line.
        exact: whether the whole line occurs as a training line.
    """

    bleu: float
    line: int | None
    copied: int
    exact: bool


class OriginalityIndex:
    """Training lines, in which lines are looked up. Words are the tokens of BLEU and ROUGE, without case and punctuation.

    The n-grams of many lines are indexed part by part whenever texts are looked up, and only those of the texts, so that they take
    little memory.

    Attributes:
        lines: the training lines.
    """

    def __init__(self, lines: Sequence[str]):
        self.lines = lines
        self._tokenize = CharacterWordTokenizer().tokenize
        self._vocabulary: dict[str, int] = {}
        with tempfile.TemporaryDirectory(prefix="paddle_ft-") as folder:  # open files stay readable when it is removed
            is_large = len(lines) > LINES_OF_PART
            arrays = self._count_words(ArrayWriter(Path(folder) if is_large else None, TYPES, _warn))
        self._tokens, self._lengths = arrays["tokens"], arrays["lengths"]
        self._whole = None if is_large else NgramIndex(self._tokens, self._lengths, len(self._vocabulary))

    def _count_words(self, writer: ArrayWriter) -> dict[str, Any]:
        """Return the words of all lines as numbers, and the number of words of each line."""
        numbers = self._vocabulary
        with Progress(len(self.lines), "index training lines", unit="line") as progress:
            for start in range(0, len(self.lines), LINES_AT_ONCE):
                words = [self._tokenize(line) for line in self.lines[start : start + LINES_AT_ONCE]]
                tokens = [numbers.setdefault(word, len(numbers)) for line in words for word in line]
                writer.append(tokens=np.array(tokens, dtype=np.int32), lengths=np.array([len(line) for line in words]))
                progress.update(len(words))
        return writer.load()

    # -------------------------------------------------------------------------------- looking up
    def origin(self, text: str) -> Origin:
        """Return where a text comes from. A text without words is original: its BLEU is 0 and nothing is copied."""
        return self.origins([text])[0]

    def origins(self, texts: Sequence[str]) -> list[Origin]:
        """Return where each of some texts comes from."""
        words = [[self._vocabulary.get(word) for word in self._tokenize(text)] for text in texts]
        if self._whole is not None:
            return [_to_origin(self._whole.match(numbers)) for numbers in words]
        found = [Match() for _ in words]
        with Progress(len(self.lines), "look up training lines", unit="line") as progress:
            known = np.array(sorted({number for numbers in words for number in numbers if number is not None}), dtype=np.int64)
            first = start = 0
            for lengths in in_parts(self._lengths, size=LINES_OF_PART):
                end = start + int(lengths.sum(dtype=np.int64))
                part = NgramIndex(self._tokens[start:end], lengths, len(self._vocabulary), known)
                found = [_better(match, part.match(numbers), first) for match, numbers in zip(found, words, strict=True)]
                first, start = first + len(lengths), end
                progress.update(len(lengths))
        return [_to_origin(match) for match in found]


def _better(match: Match, other: Match, first: int) -> Match:
    """Return what a text has in common with some lines, and with the lines after them, which begin with number `first`."""
    copied = max(match.copied, other.copied)
    if match.exact or ((match.bleu, match.bound) >= (other.bleu, other.bound) and not other.exact):
        return replace(match, copied=copied)
    return replace(other, copied=copied, line=None if other.line is None else first + other.line)


def _to_origin(match: Match) -> Origin:
    return Origin(round(100 * match.bleu, 4), match.line, match.copied, match.exact)


def _warn(error: Exception) -> None:
    print_info(f"The words of the training lines are held in memory: {tempfile.gettempdir()}: {error}. Make room there.")


def originality(texts: Sequence[str], index: OriginalityIndex) -> tuple[dict[str, float], list[Origin]]:
    """Measure how original generated lines are.

    Args:
        texts: the generated lines.
        index: the index of the training lines.

    Returns:
        The metrics, and the origin of each line. The metrics are
        "max_bleu": the highest sentence BLEU-4 against a training line (0-100), as a mean over the lines. Lines of fewer than 4
            words use n-grams up to their own length. Precisions without a match are smoothed as in nltk's method1.
        "exact_copies": percentage of lines that are training lines.
        "longest_copy": number of words in the longest n-gram copied from a training line, as a mean over the lines.
        "longest_copy_max": the same, as the maximum over the lines.

    Raises:
        ValueError: there are no texts.
    """
    if not len(texts):
        raise ValueError("there are no generated lines to compare with the training lines")
    origins = index.origins(texts)
    metrics = {
        "max_bleu": round(float(np.mean([origin.bleu for origin in origins])), 4),
        "exact_copies": round(100 * float(np.mean([origin.exact for origin in origins])), 4),
        "longest_copy": round(float(np.mean([origin.copied for origin in origins])), 4),
        "longest_copy_max": max(origin.copied for origin in origins),
    }
    return metrics, origins
