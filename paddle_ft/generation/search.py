"""Greedy search, sampling and beam search. What a step computes is known by the adapter alone.

Beam search is that of transformers 4.57 (`GenerationMixin._beam_search`), whose sequences of float32 operations on
scores are kept; the bookkeeping runs on the host, with one transfer from the device a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_ft.generation.adapter import Adapter, State
from paddle_ft.generation.constraints import Constraints
from paddle_ft.generation.options import GenerationOptions

LOW = np.float32(-1e9)  # the score of what must not be chosen
DROP_SHARE = 0.25  # finished items leave the batch once they are this share of it


def follow(
    adapter: Adapter,
    state: State,
    first: np.ndarray,
    group: int,
    max_length: int,
    constraints: Constraints,
    choose: Callable,
    eos: int | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Extend every row token by token.

    Args:
        first: [r, p], the ids that the decoder starts from; `group` neighbours belong to one item.
        choose: (scores [r', vocabulary], rows [r']) -> token ids [r'] on the host, where rows says which of the r rows
            these are.

    Yields:
        (rows, tokens) of each step, for the rows not finished before it.
    """
    ids = np.concatenate([first, np.zeros([len(first), max_length - first.shape[1]], first.dtype)], axis=1)
    active = np.arange(len(first))  # rows that the state computes
    running = np.ones(len(first), dtype=bool)
    for length in range(first.shape[1], max_length):
        scores = constraints.apply(adapter.step(ids[active, length - 1], state), ids[active, :length])
        tokens = choose(scores, active)
        ids[active, length] = tokens
        live = running[active]
        yield active[live], tokens[live]
        if eos is None:
            continue
        running[active[tokens == eos]] = False
        keep = running[active].reshape(-1, group).any(axis=1)
        if not keep.any():
            return
        if (~keep).mean() >= DROP_SHARE:
            state.keep(np.flatnonzero(keep))
            active = active.reshape(-1, group)[keep].reshape(-1)


def likeliest(scores, rows: np.ndarray) -> np.ndarray:
    """Choose the likeliest token, as greedy search does."""
    return paddle.argmax(scores, axis=-1).numpy()


@paddle.no_grad()
def log_softmax(logits):
    """Return log_softmax over the last axis, as x - max(x) + log(max(softmax(x))).

    softmax and max have fast CPU kernels: for 32 x 50,265 logits this takes 4 ms, paddle.logsumexp 27 ms and F.log_softmax
    4,900 ms.
    """
    highest = paddle.max(F.softmax(logits), axis=-1, keepdim=True)
    return logits - (paddle.max(logits, axis=-1, keepdim=True) - paddle.log(highest))


@paddle.no_grad()
def best_continuations(scores, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the `count` best (score, beam, token) of each item, best first, in one transfer from the device.

    Args:
        scores: [i, g, vocabulary].

    Returns:
        Three arrays [i, count].
    """
    items, beams, vocabulary = scores.shape
    values, tokens = paddle.topk(scores.reshape([items * beams, vocabulary]), min(count, vocabulary))
    width = beams * values.shape[1]
    values, places = paddle.topk(values.reshape([items, width]), count)
    tokens = paddle.take_along_axis(tokens.reshape([items, width]), places, axis=1)
    packed = paddle.stack([values.astype("float64"), places.astype("float64"), tokens.astype("float64")]).numpy()
    beam = packed[1].astype("int64") // (width // beams)
    return packed[0].astype("float32"), beam, packed[2].astype("int64")


class Beams:
    """The running and the finished beams of every item, on the host. Shapes: i items, g beams, n tokens."""

    def __init__(self, first: np.ndarray, beams: int, max_length: int, options: GenerationOptions, eos: int | None):
        items, self.prompt = first.shape
        self.beams, self.max_length, self.eos = beams, max_length, eos
        self.penalty, self.early = options.length_penalty, options.early_stopping
        self.length = self.prompt
        self.ids = np.zeros([items, beams, max_length], dtype="int64")
        self.ids[:, :, : self.prompt] = first[:, None]
        self.scores = np.full([items, beams], LOW)
        self.scores[:, 0] = 0.0  # all beams start alike: only the first counts
        self.done_ids = self.ids.copy()
        self.done_lengths = np.full([items, beams], self.prompt)
        self.done_scores = np.full([items, beams], LOW)
        self.done = np.zeros([items, beams], dtype=bool)
        self.improvable = np.ones([items, 1], dtype=bool)

    @property
    def settled(self) -> np.ndarray:
        """[i, 1]: items that take no finished beam any more."""
        full = self.done.all(axis=1, keepdims=True) & (self.early is True)
        return ~self.improvable | full

    @property
    def over(self) -> np.ndarray:
        """[i]: items whose result cannot change any more."""
        return self.settled[:, 0] | (self.length >= self.max_length)

    def advance(self, scores: np.ndarray, beam: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Choose the next beams among the best continuations of each item.

        Args:
            scores, beam, token: [i, 2 g] each.

        Returns:
            The parents [i, g] of the new beams.
        """
        ends = (token == self.eos) | (self.length + 1 >= self.max_length)
        running = scores + ends * LOW
        order = best_first(running)[:, : self.beams]
        self._finish(scores, beam, token, ends)
        parents = take_beams(beam, order)
        self.ids = take_beams(self.ids, parents)
        self.ids[:, :, self.length] = take_beams(token, order)
        self.scores = take_beams(running, order)
        self.length += 1
        self._check_improvable()
        return parents

    def _finish(self, scores, beam, token, ends) -> None:
        """Keep the g best among the finished beams and those of the g best continuations that end here."""
        just_done = ends & (np.arange(ends.shape[1]) < self.beams)
        scores = scores / np.float32((self.length + 1 - self.prompt) ** self.penalty)
        scores = scores + self.settled * LOW + ~just_done * LOW
        scores = np.concatenate([self.done_scores, scores], axis=1)
        order = best_first(scores)[:, : self.beams]
        grown = take_beams(self.ids, beam)
        grown[:, :, self.length] = token
        lengths = np.full(beam.shape, self.length + 1)
        self.done_ids = take_beams(np.concatenate([self.done_ids, grown], axis=1), order)
        self.done_lengths = take_beams(np.concatenate([self.done_lengths, lengths], axis=1), order)
        self.done_scores = take_beams(scores, order)
        self.done = take_beams(np.concatenate([self.done, just_done], axis=1), order)

    def _check_improvable(self) -> None:
        """Note whether the best running beam may still beat the worst finished one: a guess unless early_stopping is "never"."""
        to_end = self.early == "never" and self.penalty > 0.0
        length = (self.max_length if to_end else self.length) - self.prompt
        possible = self.scores[:, :1] / np.float32(length**self.penalty)
        worst = np.where(self.done, self.done_scores.min(axis=1, keepdims=True), LOW)
        self.improvable = self.improvable & (possible > worst).any(axis=1, keepdims=True)

    def keep(self, items: np.ndarray) -> None:
        """Drop all items but these."""
        for name in ("ids", "scores", "done_ids", "done_lengths", "done_scores", "done", "improvable"):
            setattr(self, name, getattr(self, name)[items])

    def results(self, item: int, count: int) -> list[list[int]]:
        """Return the best finished sequences of an item."""
        return [self.done_ids[item, b, : self.done_lengths[item, b]].tolist() for b in range(count)]


def best_first(scores: np.ndarray) -> np.ndarray:
    """Return the order of each row's scores, best first, equal ones as they stand."""
    return np.argsort(-scores, axis=1, kind="stable")


def take_beams(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return array[i, places[i, k]] of an array [i, g] or [i, g, n]."""
    return np.take_along_axis(array, places if array.ndim == 2 else places[:, :, None], axis=1)


def beam_search(
    adapter: Adapter, state: State, first: np.ndarray, max_length: int, options: GenerationOptions, eos: int | None
) -> list[list[list[int]]]:
    """Return the num_return_sequences best sequences for each row of first [i, p], best first, with start token or prompt."""
    beams = Beams(first, options.num_beams, max_length, options, eos)
    constraints = Constraints(options, eos, max_length)
    active = np.arange(len(first))
    results: list = [None] * len(first)
    while True:
        tokens = beams.ids[:, :, beams.length - 1].reshape(-1)
        scores = log_softmax(adapter.step(tokens, state))
        scores = constraints.apply(scores, beams.ids[:, :, : beams.length].reshape([len(tokens), -1]))
        scores = scores.reshape([len(active), options.num_beams, -1]) + paddle.to_tensor(beams.scores[:, :, None])
        parents = beams.advance(*best_continuations(scores, 2 * options.num_beams))
        over = beams.over
        if over.mean() >= DROP_SHARE or over.all():
            for item in np.flatnonzero(over):
                results[active[item]] = beams.results(item, options.num_return_sequences)
            if over.all():
                return results
            left = np.flatnonzero(~over)
            active, parents = active[left], parents[left]
            beams.keep(left)
            state.keep(left)
        state.reorder(parents)
