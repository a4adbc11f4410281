"""Apply repetition penalty, banned n-grams, minimum length and forced tokens to the scores of a step.

The order is that of transformers 4.x. Greedy search and sampling apply them to logits, beam search to log probabilities.
"""

from __future__ import annotations

import numpy as np
import paddle

from paddle_ft.generation.options import GenerationOptions


class Constraints:
    """The constraints of one generation."""

    def __init__(self, options: GenerationOptions, eos_token_id: int | None, max_length: int):
        self.penalty = options.repetition_penalty
        self.ngram = options.no_repeat_ngram_size
        self.min_length = options.min_length if eos_token_id is not None else 0
        self.eos = eos_token_id
        self.forced = {}  # length so far -> the next token
        if options.forced_bos_token_id is not None:
            self.forced[1] = options.forced_bos_token_id
        if options.forced_eos_token_id is not None:
            self.forced[max_length - 1] = options.forced_eos_token_id

    def apply(self, scores, ids: np.ndarray):
        """Return the scores with all constraints applied.

        Args:
            scores: [r, v] float32, may be changed in place.
            ids: [r, n], everything the decoder has read so far, a prompt's padding included (as in transformers).

        Returns:
            [r, v]
        """
        length = ids.shape[1]
        if length in self.forced:
            scores = paddle.full_like(scores, -np.inf)
            scores[:, self.forced[length]] = 0.0
            return scores
        if self.penalty != 1.0:
            scores = penalize_repetition(scores, ids, self.penalty)
        rows, tokens = banned_ngram_tokens(ids, self.ngram)
        if length < self.min_length:
            rows = np.concatenate([rows, np.arange(len(ids))])
            tokens = np.concatenate([tokens, np.full(len(ids), self.eos)])
        if len(rows):
            where = (paddle.to_tensor(rows), paddle.to_tensor(tokens))
            scores = paddle.index_put(scores, where, paddle.to_tensor(-np.inf, dtype=scores.dtype))
        return scores


def penalize_repetition(scores, ids: np.ndarray, penalty: float):
    """Lower the scores of tokens that a row already has: divide positive scores by the penalty, multiply negative ones.

    Source: Keskar et al. (2019), CTRL: A Conditional Transformer Language Model for Controllable Generation.

    Args:
        scores: [r, v].
        ids: [r, n], the tokens so far.
        penalty: above 1 makes repetition less likely.

    Returns:
        [r, v]
    """
    index = paddle.to_tensor(ids)
    present = paddle.take_along_axis(scores, index, axis=1)
    present = paddle.where(present < 0, present * penalty, present / penalty)
    return paddle.put_along_axis(scores, index, present, axis=1)


def banned_ngram_tokens(ids: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens that would complete an n-gram that their row already has.

    Args:
        ids: [r, n], the tokens so far.
        size: length of the n-grams; 0 bans nothing.

    Returns:
        (rows, tokens), two arrays of the same length: token tokens[k] is banned in row rows[k].
    """
    length = ids.shape[1]
    if size == 0 or length < size:
        return np.zeros([0], "int64"), np.zeros([0], "int64")
    windows = np.lib.stride_tricks.sliding_window_view(ids, size, axis=1)  # [r, n - size + 1, size]
    ending = ids[:, None, length - size + 1 :]
    rows, starts = np.nonzero((windows[:, :, :-1] == ending).all(axis=2))
    return rows, windows[rows, starts, -1]
