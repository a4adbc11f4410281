"""Run greedy search, sampling and beam search over an adapter's steps.

Beam search follows transformers 4.57 (`GenerationMixin._beam_search`) with the same order of float32 operations on the scores. The
bookkeeping runs in NumPy on the host, with one transfer from the device for each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_ft.generation.adapter import Adapter, State
from paddle_ft.generation.constraints import Constraints
from paddle_ft.generation.options import GenerationOptions

MIN_SCORE = np.float32(-1e9)  # added to the scores of beams that must not be chosen
DROP_SHARE = 0.25  # finished items are removed from the batch when they are at least this share of it


def decode_steps(
    adapter: Adapter,
    state: State,
    first_ids: np.ndarray,
    group: int,
    max_length: int,
    constraints: Constraints,
    choose: Callable,
    eos: int | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Extend every row token by token.

    Args:
        adapter: computes the logits.
        state: what adapter.prepare returned.
        first_ids: [r, p], the ids that the decoder starts with. Each item has `group` consecutive rows.
        group: rows of an item.
        max_length: tokens of a row, first_ids included.
        constraints: applied to the scores before `choose`.
        choose: (scores [n, v], rows [n]) -> token ids [n] as a NumPy array. `rows` has the numbers of these rows among the r.
        eos: the token that ends a row; None ends rows at max_length only.

    Yields:
        (rows, tokens) of each step, for the rows that were not finished before it.
    """
    ids = np.concatenate([first_ids, np.zeros([len(first_ids), max_length - first_ids.shape[1]], first_ids.dtype)], axis=1)
    active = np.arange(len(first_ids))  # rows that are still in the batch
    running = np.ones(len(first_ids), dtype=bool)
    for length in range(first_ids.shape[1], max_length):
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


def choose_greedy(scores, rows: np.ndarray) -> np.ndarray:
    """Choose the most likely token of each row. This is the `choose` argument of decode_steps for greedy search."""
    return paddle.argmax(scores, axis=-1).numpy()


@paddle.no_grad()
def log_softmax(logits):
    """Return log_softmax over the last axis, computed as x - (max(x) - log(max(softmax(x)))).

    Paddle's softmax and max have fast CPU kernels: for 32 x 50,265 logits this takes 4 ms, with paddle.logsumexp 27 ms, with
    F.log_softmax 4,900 ms.
    """
    highest = paddle.max(F.softmax(logits), axis=-1, keepdim=True)
    return logits - (paddle.max(logits, axis=-1, keepdim=True) - paddle.log(highest))


@paddle.no_grad()
def best_continuations(scores, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the `count` best continuations of each item, best first, with one transfer from the device.

    Args:
        scores: [i, g, v].
        count: continuations of an item.

    Returns:
        Three arrays [i, count]: score, beam and token.
    """
    items, beams, vocabulary = scores.shape
    values, tokens = paddle.topk(scores.reshape([items * beams, vocabulary]), min(count, vocabulary))
    width = beams * values.shape[1]
    values, indices = paddle.topk(values.reshape([items, width]), count)
    tokens = paddle.take_along_axis(tokens.reshape([items, width]), indices, axis=1)
    packed = paddle.stack([values.astype("float64"), indices.astype("float64"), tokens.astype("float64")]).numpy()
    beam = packed[1].astype("int64") // (width // beams)
    return packed[0].astype("float32"), beam, packed[2].astype("int64")


class Beams:
    """The running and the finished beams of every item, in NumPy arrays. Shapes: i items, g beams, n tokens."""

    def __init__(self, first_ids: np.ndarray, beams: int, max_length: int, options: GenerationOptions, eos: int | None):
        items, self.prompt = first_ids.shape
        self.beams, self.max_length, self.eos = beams, max_length, eos
        self.length_penalty, self.early_stopping = options.length_penalty, options.early_stopping
        self.length = self.prompt
        self.ids = np.zeros([items, beams, max_length], dtype="int64")
        self.ids[:, :, : self.prompt] = first_ids[:, None]
        self.scores = np.full([items, beams], MIN_SCORE)
        self.scores[:, 0] = 0.0  # all beams of an item start equal, so only the first may be extended
        self.finished_ids = self.ids.copy()
        self.finished_lengths = np.full([items, beams], self.prompt)
        self.finished_scores = np.full([items, beams], MIN_SCORE)
        self.finished = np.zeros([items, beams], dtype=bool)
        self.improvable = np.ones([items, 1], dtype=bool)

    @property
    def closed(self) -> np.ndarray:
        """Return whether each item [i, 1] accepts no more finished beams."""
        full = self.finished.all(axis=1, keepdims=True) & (self.early_stopping is True)
        return ~self.improvable | full

    @property
    def items_done(self) -> np.ndarray:
        """Return whether the result of each item [i] is final."""
        return self.closed[:, 0] | (self.length >= self.max_length)

    def advance(self, scores: np.ndarray, beam: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Choose the next beams among the best continuations of each item.

        Args:
            scores, beam, token: [i, 2 * g] each, from best_continuations.

        Returns:
            [i, g], the beam that each new beam continues.
        """
        ends = (token == self.eos) | (self.length + 1 >= self.max_length)
        running = scores + ends * MIN_SCORE
        order = argsort_descending(running)[:, : self.beams]
        self._collect_finished(scores, beam, token, ends)
        parents = gather_beams(beam, order)
        self.ids = gather_beams(self.ids, parents)
        self.ids[:, :, self.length] = gather_beams(token, order)
        self.scores = gather_beams(running, order)
        self.length += 1
        self._update_improvable()
        return parents

    def _collect_finished(self, scores, beam, token, ends) -> None:
        """Add those of the g best continuations that end at this token, and keep the g best of all finished beams."""
        just_finished = ends & (np.arange(ends.shape[1]) < self.beams)
        scores = scores / np.float32((self.length + 1 - self.prompt) ** self.length_penalty)
        scores = scores + self.closed * MIN_SCORE + ~just_finished * MIN_SCORE
        scores = np.concatenate([self.finished_scores, scores], axis=1)
        order = argsort_descending(scores)[:, : self.beams]
        extended_ids = gather_beams(self.ids, beam)
        extended_ids[:, :, self.length] = token
        lengths = np.full(beam.shape, self.length + 1)
        self.finished_ids = gather_beams(np.concatenate([self.finished_ids, extended_ids], axis=1), order)
        self.finished_lengths = gather_beams(np.concatenate([self.finished_lengths, lengths], axis=1), order)
        self.finished_scores = gather_beams(scores, order)
        self.finished = gather_beams(np.concatenate([self.finished, just_finished], axis=1), order)

    def _update_improvable(self) -> None:
        """Update whether the best running beam can still beat the worst finished one.

        With early_stopping="never" and a positive length penalty this is a bound at max_length, otherwise an estimate at the
        current length.
        """
        to_end = self.early_stopping == "never" and self.length_penalty > 0.0
        length = (self.max_length if to_end else self.length) - self.prompt
        possible = self.scores[:, :1] / np.float32(length**self.length_penalty)
        worst = np.where(self.finished, self.finished_scores.min(axis=1, keepdims=True), MIN_SCORE)
        self.improvable = self.improvable & (possible > worst).any(axis=1, keepdims=True)

    def keep(self, items: np.ndarray) -> None:
        """Keep only these items, numbered among the current ones."""
        for name in ("ids", "scores", "finished_ids", "finished_lengths", "finished_scores", "finished", "improvable"):
            setattr(self, name, getattr(self, name)[items])

    def results(self, item: int, count: int) -> list[list[int]]:
        """Return the `count` best finished sequences of an item, best first."""
        return [self.finished_ids[item, b, : self.finished_lengths[item, b]].tolist() for b in range(count)]


def argsort_descending(scores: np.ndarray) -> np.ndarray:
    """Return the indices that sort each row from high to low. Equal scores stay in their order."""
    return np.argsort(-scores, axis=1, kind="stable")


def gather_beams(array: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return array[i, indices[i, k]] for an array of shape [i, g] or [i, g, n]."""
    return np.take_along_axis(array, indices if array.ndim == 2 else indices[:, :, None], axis=1)


def beam_search(
    adapter: Adapter,
    state: State,
    first_ids: np.ndarray,
    max_length: int,
    options: GenerationOptions,
    eos: int | None,
    on_step: Callable[[], None] | None = None,
) -> list[list[list[int]]]:
    """Return the num_return_sequences best sequences of each item, best first.

    Args:
        adapter: computes the logits.
        state: what adapter.prepare returned for num_beams rows of each item.
        first_ids: [i, p], the ids that the decoder starts with. They are part of the sequences.
        max_length: tokens of a sequence, first_ids included.
        options: how to search.
        eos: the token that ends a sequence, or None.
        on_step: called after each token. An exception that it raises stops the search.
    """
    beams = Beams(first_ids, options.num_beams, max_length, options, eos)
    constraints = Constraints(options, eos, max_length)
    active = np.arange(len(first_ids))
    results: list = [None] * len(first_ids)
    while True:
        tokens = beams.ids[:, :, beams.length - 1].reshape(-1)
        scores = log_softmax(adapter.step(tokens, state))
        scores = constraints.apply(scores, beams.ids[:, :, : beams.length].reshape([len(tokens), -1]))
        scores = scores.reshape([len(active), options.num_beams, -1]) + paddle.to_tensor(beams.scores[:, :, None])
        parents = beams.advance(*best_continuations(scores, 2 * options.num_beams))
        if on_step is not None:
            on_step()
        items_done = beams.items_done
        if items_done.mean() >= DROP_SHARE or items_done.all():
            for item in np.flatnonzero(items_done):
                results[active[item]] = beams.results(item, options.num_return_sequences)
            if items_done.all():
                return results
            remaining = np.flatnonzero(~items_done)
            active, parents = active[remaining], parents[remaining]
            beams.keep(remaining)
            state.keep(remaining)
        state.reorder(parents)
