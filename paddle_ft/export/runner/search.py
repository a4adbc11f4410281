"""Choose tokens by greedy search or beam search, in NumPy.

The results are those of transformers' `generate` and of paddle_ft's own search, whose order of operations this follows. Shapes: i
items, g beams of an item, r = i * g rows, n tokens so far, v vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MIN_SCORE = np.float32(-1e9)  # added to the scores of beams that must not be chosen


class Constraints:
    """Repetition penalty, banned n-grams, minimum length and forced tokens.

    Args:
        options: "generation" of export.json.
        max_length: tokens of a sequence, with those that the decoder starts with.
    """

    def __init__(self, options: dict[str, Any], max_length: int):
        self.penalty, self.ngram = options["repetition_penalty"], options["no_repeat_ngram_size"]
        self.eos = options["eos_token_id"]
        self.min_length = options["min_length"] if self.eos is not None else 0
        self.forced = {1: options["forced_bos_token_id"], max_length - 1: options["forced_eos_token_id"]}

    def apply(self, scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Return the scores [r, v] of the token that follows ids [r, n], with all constraints applied."""
        length = ids.shape[1]
        scores = scores.copy()
        if self.forced.get(length) is not None:
            scores[:] = -np.inf
            scores[:, self.forced[length]] = 0.0
            return scores
        if self.penalty != 1.0:
            present = np.take_along_axis(scores, ids, axis=1)
            present = np.where(present < 0, present * np.float32(self.penalty), present / np.float32(self.penalty))
            np.put_along_axis(scores, ids, present, axis=1)
        if self.ngram and length >= self.ngram:
            windows = np.lib.stride_tricks.sliding_window_view(ids, self.ngram, axis=1)
            ending = ids[:, None, length - self.ngram + 1 :]
            rows, starts = np.nonzero((windows[:, :, :-1] == ending).all(axis=2))
            scores[rows, windows[rows, starts, -1]] = -np.inf
        if length < self.min_length:
            scores[:, self.eos] = -np.inf
        return scores


def greedy_search(decoder: Any, max_length: int, options: dict[str, Any]) -> list[list[int]]:
    """Return the likeliest continuation, token by token, of each item.

    Args:
        decoder: a started decoder (decoders.py).
        max_length: tokens of a sequence, with those that the decoder starts with.
        options: "generation" of export.json.
    """
    constraints, eos = Constraints(options, max_length), options["eos_token_id"]
    ids, running = decoder.first_ids, np.arange(len(decoder.first_ids))
    results = [[int(token) for token in row] for row in ids]
    logits = decoder.logits
    while True:
        tokens = constraints.apply(logits, ids).argmax(axis=1)
        for row, token in zip(running, tokens, strict=True):
            results[row].append(int(token))
        ids = np.concatenate([ids, tokens[:, None]], axis=1)
        live = np.flatnonzero(tokens != eos) if eos is not None else np.arange(len(tokens))
        if ids.shape[1] >= max_length or not len(live):
            return results
        if len(live) < len(tokens):
            running, ids = running[live], ids[live]
            decoder.keep(live)
        logits = decoder.step(ids[:, -1:])[:, 0]


def beam_search(decoder: Any, max_length: int, options: dict[str, Any]) -> list[list[int]]:
    """Return the best sequence of each item. The arguments are those of greedy_search."""
    beams = Beams(decoder.first_ids, max_length, options)
    constraints = Constraints(options, max_length)
    items = np.arange(len(decoder.first_ids))
    results: list[list[int]] = [[] for _ in decoder.first_ids]
    decoder.spread(beams.beams)
    logits = np.repeat(decoder.logits[:, None], beams.beams, axis=1)
    while True:
        rows = logits.reshape([-1, logits.shape[-1]])
        scores = constraints.apply(log_softmax(rows), beams.ids[:, :, : beams.length].reshape([len(rows), -1]))
        scores = scores.reshape(logits.shape) + beams.scores[:, :, None]
        parents = beams.advance(*best_continuations(scores, 2 * beams.beams))
        done = beams.items_done
        for item in np.flatnonzero(done):
            results[items[item]] = beams.result(item)
        if done.all():
            return results
        if done.any():
            left = np.flatnonzero(~done)
            items, parents = items[left], parents[left]
            beams.keep(left)
            decoder.keep(left)
        decoder.reorder(parents)
        logits = decoder.step(beams.ids[:, :, beams.length - 1])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log_softmax over the last axis."""
    highest = logits.max(axis=-1, keepdims=True)
    return logits - (highest + np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True)))


def best_continuations(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return score, beam and token [i, count] of the best continuations of each item by scores [i, g, v], best first."""
    items, _, vocabulary = scores.shape
    flat = scores.reshape([items, -1])
    count = min(count, flat.shape[1])
    chosen = np.argpartition(-flat, count - 1, axis=1)[:, :count]
    chosen = np.sort(chosen, axis=1)
    values = np.take_along_axis(flat, chosen, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    chosen, values = (np.take_along_axis(array, order, axis=1) for array in (chosen, values))
    return values, chosen // vocabulary, chosen % vocabulary


class Beams:
    """The running and the finished beams of every item."""

    def __init__(self, first_ids: np.ndarray, max_length: int, options: dict[str, Any]):
        items, self.prompt = first_ids.shape
        self.beams, self.max_length, self.eos = options["num_beams"], max_length, options["eos_token_id"]
        self.length_penalty, self.early_stopping = options["length_penalty"], options["early_stopping"]
        self.length = self.prompt
        self.ids = np.zeros([items, self.beams, max_length], dtype=np.int64)
        self.ids[:, :, : self.prompt] = first_ids[:, None]
        self.scores = np.full([items, self.beams], MIN_SCORE)
        self.scores[:, 0] = 0.0  # all beams of an item start equal, so only the first may be extended
        self.finished_ids = self.ids.copy()
        self.finished_lengths = np.full([items, self.beams], self.prompt)
        self.finished_scores = np.full([items, self.beams], MIN_SCORE)
        self.finished = np.zeros([items, self.beams], dtype=bool)
        self.improvable = np.ones([items, 1], dtype=bool)

    @property
    def closed(self) -> np.ndarray:
        """Whether each item [i, 1] accepts no more finished beams."""
        full = self.finished.all(axis=1, keepdims=True) & (self.early_stopping is True)
        return ~self.improvable | full

    @property
    def items_done(self) -> np.ndarray:
        """Whether the result of each item [i] is final."""
        return self.closed[:, 0] | (self.length >= self.max_length)

    def advance(self, scores: np.ndarray, beam: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Choose the next beams among the best continuations [i, 2 * g], and return the beam [i, g] that each continues."""
        ends = (token == self.eos) | (self.length + 1 >= self.max_length)
        running = scores + ends * MIN_SCORE
        order = np.argsort(-running, axis=1, kind="stable")[:, : self.beams]
        self._collect_finished(scores, beam, token, ends)
        parents = gather(beam, order)
        self.ids = gather(self.ids, parents)
        self.ids[:, :, self.length] = gather(token, order)
        self.scores = gather(running, order)
        self.length += 1
        self._update_improvable()
        return parents

    def _collect_finished(self, scores: np.ndarray, beam: np.ndarray, token: np.ndarray, ends: np.ndarray) -> None:
        """Add those of the g best continuations that end at this token, and keep the g best of all finished beams."""
        just_finished = ends & (np.arange(ends.shape[1]) < self.beams)
        scores = scores / np.float32((self.length + 1 - self.prompt) ** self.length_penalty)
        scores = scores + self.closed * MIN_SCORE + ~just_finished * MIN_SCORE
        scores = np.concatenate([self.finished_scores, scores], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.beams]
        extended = gather(self.ids, beam)
        extended[:, :, self.length] = token
        lengths = np.full(beam.shape, self.length + 1)
        self.finished_ids = gather(np.concatenate([self.finished_ids, extended], axis=1), order)
        self.finished_lengths = gather(np.concatenate([self.finished_lengths, lengths], axis=1), order)
        self.finished_scores = gather(scores, order)
        self.finished = gather(np.concatenate([self.finished, just_finished], axis=1), order)

    def _update_improvable(self) -> None:
        """Update whether the best running beam can still beat the worst finished one."""
        to_end = self.early_stopping == "never" and self.length_penalty > 0.0
        length = (self.max_length if to_end else self.length) - self.prompt
        possible = self.scores[:, :1] / np.float32(length**self.length_penalty)
        worst = np.where(self.finished, self.finished_scores.min(axis=1, keepdims=True), MIN_SCORE)
        self.improvable = self.improvable & (possible > worst).any(axis=1, keepdims=True)

    def keep(self, items: np.ndarray) -> None:
        """Keep only these items, numbered among the current ones."""
        for name in ("ids", "scores", "finished_ids", "finished_lengths", "finished_scores", "finished", "improvable"):
            setattr(self, name, getattr(self, name)[items])

    def result(self, item: int) -> list[int]:
        """Return the best finished sequence of an item."""
        return [int(token) for token in self.finished_ids[item, 0, : self.finished_lengths[item, 0]]]


def gather(array: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return array[i, indices[i, k]] for an array of shape [i, g] or [i, g, n]."""
    return np.take_along_axis(array, indices if array.ndim == 2 else indices[:, :, None], axis=1)
