"""Changes to the scores before a token is chosen: repetition penalty, forbidden n-grams, minimum length, forced tokens.

In the order of transformers 4.x, on logits when one path is followed and on log probabilities in beam search.
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
        self.forced = {}  # length so far -> the token that must follow
        if options.forced_bos_token_id is not None:
            self.forced[1] = options.forced_bos_token_id
        if options.forced_eos_token_id is not None:
            self.forced[max_length - 1] = options.forced_eos_token_id

    def apply(self, scores, ids: np.ndarray):
        """Return the scores under all constraints.

        Args:
            scores: float32 [r, vocabulary], may be changed in place.
            ids: [r, n], everything the decoder has so far, a prompt's padding included (as in transformers).

        Returns:
            [r, vocabulary]
        """
        length = ids.shape[1]
        if length in self.forced:
            scores = paddle.full_like(scores, -np.inf)
            scores[:, self.forced[length]] = 0.0
            return scores
        if self.penalty != 1.0:
            scores = penalise(scores, ids, self.penalty)
        rows, tokens = repeated_ngrams(ids, self.ngram)
        if length < self.min_length:
            rows = np.concatenate([rows, np.arange(len(ids))])
            tokens = np.concatenate([tokens, np.full(len(ids), self.eos)])
        if len(rows):
            where = (paddle.to_tensor(rows), paddle.to_tensor(tokens))
            scores = paddle.index_put(scores, where, paddle.to_tensor(-np.inf, dtype=scores.dtype))
        return scores


def penalise(scores, ids: np.ndarray, penalty: float):
    """Divide the scores of the tokens in `ids` by the penalty if they are positive, multiply them if not.

    Source: Keskar et al. (2019), CTRL: A Conditional Transformer Language Model for Controllable Generation.

    Args:
        scores: [r, vocabulary].
        ids: [r, n].
    """
    index = paddle.to_tensor(ids)
    present = paddle.take_along_axis(scores, index, axis=1)
    present = paddle.where(present < 0, present * penalty, present / penalty)
    return paddle.put_along_axis(scores, index, present, axis=1)


def repeated_ngrams(ids: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, tokens): which token would complete, in which row of ids [r, n], an n-gram that the row already has.

    A size of 0 forbids nothing.
    """
    length = ids.shape[1]
    if size == 0 or length < size:
        return np.zeros([0], "int64"), np.zeros([0], "int64")
    windows = np.lib.stride_tricks.sliding_window_view(ids, size, axis=1)  # [r, n - size + 1, size]
    ending = ids[:, None, length - size + 1 :]
    rows, places = np.nonzero((windows[:, :, :-1] == ending).all(axis=2))
    return rows, windows[rows, places, -1]
