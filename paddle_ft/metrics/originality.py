"""Measure how much of a generated line is copied from the training lines: highest BLEU, exact copies, longest copied n-gram.

An index from n-grams to their positions in the training lines is built once. A generated line is compared only with lines that
share an n-gram with it, and among these only with lines whose BLEU can still be the highest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paddle_ft.metrics.text import CharacterWordTokenizer
from paddle_ft.system.progress import Progress

MAX_ORDER = 4
EPSILON = 0.1  # number of matches that a precision without matches counts, as in nltk's method1


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
    """An index of the n-grams in training lines. Words are the tokens of BLEU and ROUGE, without case and punctuation.

    Attributes:
        lines: the training lines.
        lengths: [lines], number of words of each line.
        vocabulary: word -> number.
        tokens: [t], the words of all lines as numbers.
        line_of: [t], index of the line that a word belongs to.
        exact: words of a line -> index of the line.
        ngrams: order n -> [u], sorted codes of the different n-grams. The code of an n-gram is
            (number of its first n - 1 words) * (size of the vocabulary) + (number of its last word).
        positions: order n -> [p], the positions in `tokens` where n-grams start, grouped by n-gram.
        bounds: order n -> [u + 1]; n-gram number g starts at positions[n][bounds[n][g] : bounds[n][g + 1]].
    """

    def __init__(self, lines: Sequence[str]):
        self.lines = list(lines)
        self._tokenize = CharacterWordTokenizer().tokenize
        with Progress(len(self.lines), "index training lines", unit="line") as progress:
            words = [self._words(line, progress) for line in self.lines]
        self.lengths = np.array([len(line) for line in words], dtype=np.int64)
        self.vocabulary: dict[str, int] = {}
        numbers = [self.vocabulary.setdefault(word, len(self.vocabulary)) for line in words for word in line]
        self.tokens = np.array(numbers, dtype=np.int64)
        self.line_of = np.repeat(np.arange(len(words)), self.lengths)
        self.exact: dict[tuple[str, ...], int] = {}
        for number, line in enumerate(words):
            self.exact.setdefault(tuple(line), number)
        self.ngrams, self.positions, self.bounds = {}, {}, {}
        starts = np.arange(len(self.tokens))
        prefix_numbers = np.zeros(len(self.tokens), dtype=np.int64)  # number of the (n-1)-gram that starts at a position
        for order in range(1, MAX_ORDER + 1):
            if order > 1:
                starts = starts[starts + order - 1 < len(self.tokens)]
                starts = starts[self.line_of[starts] == self.line_of[starts + order - 1]]  # n-grams end within their line
            codes = prefix_numbers[starts] * max(1, len(self.vocabulary)) + self.tokens[starts + order - 1]
            self.ngrams[order], numbers, counts = np.unique(codes, return_inverse=True, return_counts=True)
            self.positions[order] = starts[np.argsort(numbers, kind="stable")]
            self.bounds[order] = np.concatenate([[0], np.cumsum(counts)])
            prefix_numbers[starts] = numbers

    def _words(self, line: str, progress: Progress) -> list[str]:
        progress.update()
        return self._tokenize(line)

    # -------------------------------------------------------------------------------- looking up
    def origin(self, text: str) -> Origin:
        """Return where a text comes from. A text without words is original: its BLEU is 0 and nothing is copied."""
        words = self._tokenize(text)
        if not words:
            return Origin(0.0, None, 0, False)
        positions = self._find_ngrams(words)
        number = self.exact.get(tuple(words))
        if number is not None:
            return Origin(100.0, number, len(words), True)
        bleu, line = self._highest_bleu(words, positions)
        return Origin(round(100 * bleu, 4), line, self._longest_copy(words, positions), False)

    def _find_ngrams(self, words: list[str]) -> dict[int, list[np.ndarray | None]]:
        """Return order n -> the positions in `tokens` of each n-gram of the text, or None for an unknown n-gram."""
        word_numbers = [self.vocabulary.get(word) for word in words]
        prefixes: list[int | None] = [0] * len(words)
        by_order: dict[int, list[np.ndarray | None]] = {}
        for order in range(1, min(MAX_ORDER, len(words)) + 1):
            numbers, positions = [], []
            for start in range(len(words) - order + 1):
                number = self._ngram_number(order, prefixes[start], word_numbers[start + order - 1])
                numbers.append(number)
                bounds = self.bounds[order]
                positions.append(None if number is None else self.positions[order][bounds[number] : bounds[number + 1]])
            prefixes, by_order[order] = numbers, positions
        return by_order

    def _ngram_number(self, order: int, prefix: int | None, token: int | None) -> int | None:
        """Return the number of the n-gram that consists of the (n-1)-gram `prefix` and the word `token`, or None."""
        if prefix is None or token is None:
            return None
        code = prefix * len(self.vocabulary) + token
        ngrams = self.ngrams[order]
        number = int(np.searchsorted(ngrams, code))
        return number if number < len(ngrams) and ngrams[number] == code else None

    # -------------------------------------------------------------------------------- BLEU
    def _highest_bleu(self, words: list[str], positions: dict) -> tuple[float, int | None]:
        """Return the highest sentence BLEU (0-1) against a training line, and the index of that line.

        Lines that share at least two consecutive words are compared first. Those that share only single words are compared only if
        their BLEU can still be the highest.
        """
        best, best_line = 0.0, None
        orders = max(positions)
        for lowest in (2, 1) if orders > 1 else (1,):
            matches = {order: self._matches(words, positions[order], order) for order in range(lowest, orders + 1)}
            lines = np.unique(np.concatenate([lines for lines, _ in matches.values()]))
            if not len(lines):
                continue
            precisions = np.empty([orders, len(lines)])
            for order in range(1, orders + 1):
                total = len(words) - order + 1
                if order < lowest:
                    precisions[order - 1] = 1.0  # an upper bound, as if all single words matched
                else:
                    counts = np.zeros(len(lines))
                    shared, number = matches[order]
                    counts[np.searchsorted(lines, shared)] = number
                    precisions[order - 1] = np.maximum(counts, EPSILON) / total
            bounds = self._penalty(lines, len(words)) * np.exp(np.log(precisions).mean(axis=0))
            for i in np.argsort(-bounds, kind="stable"):
                if bounds[i] <= best:
                    break
                value = bounds[i]
                if lowest > 1:
                    value *= (self._shared_words(words, lines[i]) / len(words)) ** (1 / orders)
                if value > best:
                    best, best_line = float(value), int(lines[i])
            if lowest > 1 and best >= self._bound_without_pairs(len(words), orders):
                break
        return best, best_line

    def _matches(self, words: list[str], positions: list[np.ndarray | None], order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the lines that share an n-gram with the text, and the number of matches of each.

        The number is clipped as in BLEU: an n-gram counts at most as often as it occurs in the line.
        """
        text_counts = Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))
        lines, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for start, ngram_positions in enumerate(positions):
            text_count = text_counts.pop(tuple(words[start : start + order]), 0)  # popped, so repetitions are not counted again
            if ngram_positions is not None and text_count:
                line, line_count = np.unique(self.line_of[ngram_positions], return_counts=True)
                lines.append(line)
                counts.append(np.minimum(line_count, text_count))
        distinct_lines, inverse = np.unique(np.concatenate(lines), return_inverse=True)
        return distinct_lines, np.bincount(inverse, weights=np.concatenate(counts), minlength=len(distinct_lines))

    def _shared_words(self, words: list[str], line: int) -> int:
        """Return how many words the text shares with a line, clipped as in `_matches`."""
        shared = Counter(words) & Counter(self._tokenize(self.lines[line]))
        return sum(shared.values())

    def _penalty(self, lines: np.ndarray, length: int) -> np.ndarray:
        """Return the brevity penalty of a text of `length` words against each of the lines."""
        return np.exp(np.minimum(0.0, 1 - self.lengths[lines] / length))

    @staticmethod
    def _bound_without_pairs(length: int, orders: int) -> float:
        """Return an upper bound for the BLEU of a line that shares single words, but no two in a row, with a text."""
        missed = sum(math.log(EPSILON / (length - order + 1)) for order in range(2, orders + 1))
        return math.exp(missed / orders)

    # -------------------------------------------------------------------------------- longest copy
    def _longest_copy(self, words: list[str], positions: dict) -> int:
        """Return the number of words in the longest n-gram, of any length, that occurs in a training line."""
        copied_orders = [order for order, of_ngrams in positions.items() if any(item is not None for item in of_ngrams)]
        if not copied_orders or copied_orders[-1] < MAX_ORDER:
            return copied_orders[-1] if copied_orders else 0
        numbers = [self.vocabulary.get(word, -1) for word in words]
        longest = MAX_ORDER
        for start, candidates in enumerate(positions[MAX_ORDER]):
            length = MAX_ORDER
            while candidates is not None and len(candidates):  # training positions where `length` words are the same
                longest = max(longest, length)
                if start + length == len(words):
                    break
                candidates = candidates[candidates + length < len(self.tokens)]
                ends = candidates + length
                is_same_line = self.line_of[ends] == self.line_of[candidates]
                candidates = candidates[is_same_line & (self.tokens[ends] == numbers[start + length])]
                length += 1
        return longest


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
    origins = [index.origin(text) for text in texts]
    metrics = {
        "max_bleu": round(float(np.mean([origin.bleu for origin in origins])), 4),
        "exact_copies": round(100 * float(np.mean([origin.exact for origin in origins])), 4),
        "longest_copy": round(float(np.mean([origin.copied for origin in origins])), 4),
        "longest_copy_max": max(origin.copied for origin in origins),
    }
    return metrics, origins
