"""Find the lines that are most like a text, with an index from n-grams to their positions in the lines.

A text is compared only with lines that share an n-gram with it, and among these only with lines whose BLEU can still be the
highest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_ORDER = 4
EPSILON = 0.1  # number of matches that a precision without matches counts, as in nltk's method1

Words = Sequence[int | None]
"""The words of a text as numbers, None for words that are in no line."""


@dataclass(frozen=True)
class Match:
    """How much of a text is in some lines.

    Attributes:
        bleu: highest sentence BLEU against any of the lines (0-1).
        bound: what the line's BLEU could be at most before all of it was known. Among lines with the same BLEU, the one with the
            highest bound is named.
        line: index of that line, or None if no line has a word in common.
        copied: number of words in the longest n-gram that also occurs in a line.
        exact: whether the whole text occurs as a line.
    """

    bleu: float = 0.0
    bound: float = 0.0
    line: int | None = None
    copied: int = 0
    exact: bool = False


class NgramIndex:
    """An index of the n-grams in lines.

    Attributes:
        tokens: [t], the words of all lines as numbers.
        lengths: [lines], number of words of each line.
        starts: [lines], where a line begins in `tokens`.
        line_of: [t], index of the line that a word belongs to.
        ngrams: order n -> [u], sorted codes of the different n-grams. The code of an n-gram is
            (number of its first n - 1 words) * (size of the vocabulary) + (number of its last word).
        positions: order n -> [p], the positions in `tokens` where n-grams start, grouped by n-gram.
        bounds: order n -> [u + 1]; n-gram number g starts at positions[n][bounds[n][g] : bounds[n][g + 1]].
    """

    def __init__(self, tokens: np.ndarray, lengths: np.ndarray, size: int, words: np.ndarray | None = None):
        """Build the index.

        Args:
            tokens: [t], the words of all lines as numbers from 0.
            lengths: [lines], number of words of each line.
            size: number of different words.
            words: the words of the texts that will be looked up, as numbers. Other n-grams are left out. Default: all words.
        """
        self.tokens, self.lengths = tokens.astype(np.int64), lengths.astype(np.int64)
        self._size = max(1, size)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.line_of = np.repeat(np.arange(len(lengths)), self.lengths)
        is_wanted = np.full(self._size, words is None)
        if words is not None:
            is_wanted[words] = True
        wanted = is_wanted[self.tokens]
        self.ngrams, self.positions, self.bounds = {}, {}, {}
        starts = np.flatnonzero(wanted)
        prefix_numbers = np.zeros(len(self.tokens), dtype=np.int64)  # number of the (n-1)-gram that starts at a position
        for order in range(1, MAX_ORDER + 1):
            if order > 1:
                starts = starts[starts + order - 1 < len(self.tokens)]
                starts = starts[self.line_of[starts] == self.line_of[starts + order - 1]]  # n-grams end within their line
                starts = starts[wanted[starts + order - 1]]
            codes = prefix_numbers[starts] * self._size + self.tokens[starts + order - 1]
            self.ngrams[order], numbers, counts = np.unique(codes, return_inverse=True, return_counts=True)
            self.positions[order] = starts[np.argsort(numbers, kind="stable")]
            self.bounds[order] = np.concatenate([[0], np.cumsum(counts)])
            prefix_numbers[starts] = numbers

    def match(self, words: Words) -> Match:
        """Return how much of a text is in the lines."""
        if not words:
            return Match()
        positions = self._find_ngrams(words)
        line = self._find_exact(words, positions)
        if line is not None:
            return Match(1.0, 1.0, line, len(words), True)
        return Match(*self._highest_bleu(words, positions), self._longest_copy(words, positions))

    def _find_exact(self, words: Words, positions: dict[int, list[np.ndarray | None]]) -> int | None:
        """Return the index of the first line that is the text, or None."""
        order = max(positions)
        starts = positions[order][0]
        if starts is None:
            return None
        lines = self.line_of[starts]
        starts = starts[(self.starts[lines] == starts) & (self.lengths[lines] == len(words))]
        for number in range(order, len(words)):
            starts = starts[self.tokens[starts + number] == _number(words[number])]
        return int(self.line_of[starts].min()) if len(starts) else None

    def _find_ngrams(self, words: Words) -> dict[int, list[np.ndarray | None]]:
        """Return order n -> the positions in `tokens` of each n-gram of the text, or None for an unknown n-gram."""
        prefixes: list[int | None] = [0] * len(words)
        by_order: dict[int, list[np.ndarray | None]] = {}
        for order in range(1, min(MAX_ORDER, len(words)) + 1):
            numbers, positions = [], []
            for start in range(len(words) - order + 1):
                number = self._ngram_number(order, prefixes[start], words[start + order - 1])
                numbers.append(number)
                bounds = self.bounds[order]
                positions.append(None if number is None else self.positions[order][bounds[number] : bounds[number + 1]])
            prefixes, by_order[order] = numbers, positions
        return by_order

    def _ngram_number(self, order: int, prefix: int | None, token: int | None) -> int | None:
        """Return the number of the n-gram that consists of the (n-1)-gram `prefix` and the word `token`, or None."""
        if prefix is None or token is None:
            return None
        code = prefix * self._size + token
        ngrams = self.ngrams[order]
        number = int(np.searchsorted(ngrams, code))
        return number if number < len(ngrams) and ngrams[number] == code else None

    # -------------------------------------------------------------------------------- BLEU
    def _highest_bleu(self, words: Words, positions: dict) -> tuple[float, float, int | None]:
        """Return the highest sentence BLEU (0-1) against a line, the bound by which the line was found, and its index.

        Lines that share at least two consecutive words are compared first. Those that share only single words are compared only if
        their BLEU can still be the highest.
        """
        best, best_bound, best_line = 0.0, 0.0, None
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
                    best, best_bound, best_line = float(value), float(bounds[i]), int(lines[i])
            if lowest > 1 and best >= self._bound_without_pairs(len(words), orders):
                break
        return best, best_bound, best_line

    def _matches(self, words: Words, positions: list[np.ndarray | None], order: int) -> tuple[np.ndarray, np.ndarray]:
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

    def _shared_words(self, words: Words, line: int) -> int:
        """Return how many words the text shares with a line, clipped as in `_matches`."""
        start = self.starts[line]
        shared = Counter(words) & Counter(self.tokens[start : start + self.lengths[line]].tolist())
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
    def _longest_copy(self, words: Words, positions: dict) -> int:
        """Return the number of words in the longest n-gram, of any length, that occurs in a training line."""
        copied_orders = [order for order, of_ngrams in positions.items() if any(item is not None for item in of_ngrams)]
        if not copied_orders or copied_orders[-1] < MAX_ORDER:
            return copied_orders[-1] if copied_orders else 0
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
                candidates = candidates[is_same_line & (self.tokens[ends] == _number(words[start + length]))]
                length += 1
        return longest


def _number(word: int | None) -> int:
    return -1 if word is None else word
