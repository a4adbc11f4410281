"""Measure how much of a generated line is copied from the training lines: highest BLEU, exact copies, longest copied n-gram.

An index from n-grams to their places in the training lines is built once. A generated line is compared only with lines that share
an n-gram with it, and of those only with the ones whose BLEU can still be the highest.
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
EPSILON = 0.1  # what a precision without matches counts instead, as in nltk's method1


@dataclass(frozen=True)
class Origin:
    """Where a generated line comes from.

    Attributes:
        bleu: highest sentence BLEU against a training line (0-100).
        line: index of that training line, None where no word is shared.
        copied: number of words of the longest n-gram that is in a training line.
        exact: whether the whole line is a training line.
    """

    bleu: float
    line: int | None
    copied: int
    exact: bool


class OriginalityIndex:
    """The n-grams of training lines. Words are those of BLEU and ROUGE, without case and punctuation.

    Attributes:
        lines: the training lines.
        lengths: [lines], words of each.
        vocabulary: word -> number.
        tokens: [t], the words of all lines as numbers.
        line_of: [t], the line that a word belongs to.
        exact: words of a line -> its index.
        grams: order n -> [u], the different n-grams, sorted. Each is coded as (number of its first n-1 words) * vocabulary size
            + last word.
        places: order n -> [p], the places in `tokens` where n-grams begin, gram by gram.
        bounds: order n -> [u + 1]; those of gram g are places[n][bounds[n][g] : bounds[n][g + 1]].
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
        self.grams, self.places, self.bounds = {}, {}, {}
        begins = np.arange(len(self.tokens))
        number_at = np.zeros(len(self.tokens), dtype=np.int64)  # number of the (n-1)-gram that begins at a place
        for order in range(1, MAX_ORDER + 1):
            if order > 1:
                within = begins + order - 1 < len(self.tokens)
                begins = begins[within]
                begins = begins[self.line_of[begins] == self.line_of[begins + order - 1]]
            codes = number_at[begins] * max(1, len(self.vocabulary)) + self.tokens[begins + order - 1]
            self.grams[order], numbers, counts = np.unique(codes, return_inverse=True, return_counts=True)
            self.places[order] = begins[np.argsort(numbers, kind="stable")]
            self.bounds[order] = np.concatenate([[0], np.cumsum(counts)])
            number_at[begins] = numbers

    def _words(self, line: str, progress: Progress) -> list[str]:
        progress.update()
        return self._tokenize(line)

    # -------------------------------------------------------------------------------- looking up
    def origin(self, text: str) -> Origin:
        """Return where a text comes from. A text without words is original: BLEU 0, nothing copied."""
        words = self._tokenize(text)
        if not words:
            return Origin(0.0, None, 0, False)
        places = self._find(words)
        number = self.exact.get(tuple(words))
        if number is not None:
            return Origin(100.0, number, len(words), True)
        bleu, line = self._highest_bleu(words, places)
        return Origin(round(100 * bleu, 4), line, self._longest(words, places), False)

    def _find(self, words: list[str]) -> dict[int, list[np.ndarray | None]]:
        """Return order -> for each n-gram of the text: its places in the index, or None."""
        numbers = [self.vocabulary.get(word) for word in words]
        current: list[int | None] = [0] * len(words)
        by_order: dict[int, list[np.ndarray | None]] = {}
        for order in range(1, min(MAX_ORDER, len(words)) + 1):
            following, places = [], []
            for start in range(len(words) - order + 1):
                gram = self._gram(order, current[start], numbers[start + order - 1])
                following.append(gram)
                bounds = self.bounds[order]
                places.append(None if gram is None else self.places[order][bounds[gram] : bounds[gram + 1]])
            current, by_order[order] = following, places
        return by_order

    def _gram(self, order: int, before: int | None, token: int | None) -> int | None:
        """Return the number of the n-gram that is the (n-1)-gram `before` and the word `token`; None where there is none."""
        if before is None or token is None:
            return None
        code = before * len(self.vocabulary) + token
        grams = self.grams[order]
        place = int(np.searchsorted(grams, code))
        return place if place < len(grams) and grams[place] == code else None

    # -------------------------------------------------------------------------------- BLEU
    def _highest_bleu(self, words: list[str], places: dict) -> tuple[float, int | None]:
        """Return the highest sentence BLEU (0-1) and its line.

        Lines that share only single words are compared last, and only if one of them could still be the highest.
        """
        best, best_line = 0.0, None
        orders = max(places)
        for lowest in (2, 1) if orders > 1 else (1,):
            matches = {order: self._matches(words, places[order], order) for order in range(lowest, orders + 1)}
            lines = np.unique(np.concatenate([lines for lines, _ in matches.values()]))
            if not len(lines):
                continue
            precisions = np.empty([orders, len(lines)])
            for order in range(1, orders + 1):
                total = len(words) - order + 1
                if order < lowest:
                    precisions[order - 1] = 1.0  # an upper bound: every single word matched
                else:
                    counts = np.zeros(len(lines))
                    shared, number = matches[order]
                    counts[np.searchsorted(lines, shared)] = number
                    precisions[order - 1] = np.maximum(counts, EPSILON) / total
            bounds = self._penalty(lines, len(words)) * np.exp(np.log(precisions).mean(axis=0))
            for place in np.argsort(-bounds, kind="stable"):
                if bounds[place] <= best:
                    break
                value = bounds[place]
                if lowest > 1:
                    value *= (self._shared_words(words, lines[place]) / len(words)) ** (1 / orders)
                if value > best:
                    best, best_line = float(value), int(lines[place])
            if lowest > 1 and best >= self._bound_without_pairs(len(words), orders):
                break
        return best, best_line

    def _matches(self, words: list[str], places: list[np.ndarray | None], order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the lines that share an n-gram with the text, each once, and their clipped numbers of matches.

        Clipped: an n-gram counts at most as often as it is in the line.
        """
        wanted = Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))
        lines, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for start, where in enumerate(places):
            often = wanted.pop(tuple(words[start : start + order]), 0)  # so that each different n-gram counts once
            if where is not None and often:
                line, count = np.unique(self.line_of[where], return_counts=True)
                lines.append(line)
                counts.append(np.minimum(count, often))
        every, inverse = np.unique(np.concatenate(lines), return_inverse=True)
        return every, np.bincount(inverse, weights=np.concatenate(counts), minlength=len(every))

    def _shared_words(self, words: list[str], line: int) -> int:
        """Return the clipped number of single words that the text shares with a line."""
        shared = Counter(words) & Counter(self._tokenize(self.lines[line]))
        return sum(shared.values())

    def _penalty(self, lines: np.ndarray, length: int) -> np.ndarray:
        """Return the brevity penalty of a text of `length` words against each of the lines."""
        return np.exp(np.minimum(0.0, 1 - self.lengths[lines] / length))

    @staticmethod
    def _bound_without_pairs(length: int, orders: int) -> float:
        """Return the highest BLEU of a line that shares single words with a text of `length` words, but no two in a row."""
        missed = sum(math.log(EPSILON / (length - order + 1)) for order in range(2, orders + 1))
        return math.exp(missed / orders)

    # -------------------------------------------------------------------------------- longest copy
    def _longest(self, words: list[str], places: dict) -> int:
        """Return the number of words of the longest n-gram, of any length, that is in a training line."""
        known = [order for order, of_grams in places.items() if any(where is not None for where in of_grams)]
        if not known or known[-1] < MAX_ORDER:
            return known[-1] if known else 0
        numbers = [self.vocabulary.get(word, -1) for word in words]
        longest = MAX_ORDER
        for start, where in enumerate(places[MAX_ORDER]):
            length = MAX_ORDER
            while where is not None and len(where):
                longest = max(longest, length)
                if start + length == len(words):
                    break
                where = where[where + length < len(self.tokens)]
                after = where + length
                where = where[(self.line_of[after] == self.line_of[where]) & (self.tokens[after] == numbers[start + length])]
                length += 1
        return longest


def originality(texts: Sequence[str], index: OriginalityIndex) -> tuple[dict[str, float], list[Origin]]:
    """Return figures over generated lines, and the origin of each line.

    Returns:
        The figures and the origins. The figures are "max_bleu", the mean of the highest sentence BLEU-4 against the training
        lines (0-100; lines of fewer words use n-grams up to their own length; precisions without a match as in nltk's method1),
        "exact_copies", in percent of the lines, "longest_copy", the mean number of words of the longest n-gram copied from a
        training line, and "longest_copy_max", the most of all lines.

    Raises:
        ValueError: there are no texts.
    """
    if not len(texts):
        raise ValueError("no lines to look for in the training lines")
    origins = [index.origin(text) for text in texts]
    figures = {
        "max_bleu": round(float(np.mean([origin.bleu for origin in origins])), 4),
        "exact_copies": round(100 * float(np.mean([origin.exact for origin in origins])), 4),
        "longest_copy": round(float(np.mean([origin.copied for origin in origins])), 4),
        "longest_copy_max": max(origin.copied for origin in origins),
    }
    return figures, origins
