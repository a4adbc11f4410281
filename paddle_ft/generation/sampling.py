"""Choosing a token at random: temperature, top-k, top-p."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_ft.generation.options import GenerationOptions

FIRST_LOOK = 256  # tokens sorted at first for top-p; all of them only where these do not reach the mass


class Sampler:
    """Chooses tokens at random, as the `choose` of search.follow.

    Every row has a random stream of its own, seeded by the seed and the row's number. So what a row draws depends neither on
    the batch it is in nor on rows that finish before it.
    """

    def __init__(self, options: GenerationOptions, row_numbers: np.ndarray):
        seed = int(np.random.randint(2**31)) if options.seed is None else options.seed
        self.options = options
        self.streams = [np.random.default_rng([seed, int(number)]) for number in row_numbers]

    def __call__(self, scores, rows: np.ndarray) -> np.ndarray:
        uniform = np.array([self.streams[row].random() for row in rows], dtype="float32")
        return draw(scores, uniform, self.options)


@paddle.no_grad()
def draw(scores, uniform: np.ndarray, options: GenerationOptions) -> np.ndarray:
    """Choose one token a row by inverting the distribution function.

    The distribution is softmax(scores / temperature), cut to the top_k likeliest tokens and then to the smallest set of
    likeliest tokens whose probability reaches top_p, renormalised.
    Source: Holtzman et al. (2020), The Curious Case of Neural Text Degeneration.

    Args:
        scores: [r, vocabulary].
        uniform: [r], random numbers in [0, 1).

    Returns:
        [r] token ids.
    """
    vocabulary = scores.shape[-1]
    if options.temperature != 1.0:
        scores = scores / options.temperature
    point = paddle.to_tensor(uniform).unsqueeze(-1)
    if options.top_k:
        scores, tokens = paddle.topk(scores, min(options.top_k, vocabulary))
        place = _invert(_nucleus(F.softmax(scores), options.top_p), point)
        return paddle.take_along_axis(tokens, place, axis=1).numpy()[:, 0]
    probabilities = F.softmax(scores)
    if options.top_p == 1.0:
        return _invert(probabilities, point).numpy()[:, 0]
    for count in (min(FIRST_LOOK, vocabulary), vocabulary):
        values, tokens = paddle.topk(probabilities, count)
        chosen = paddle.take_along_axis(tokens, _invert(_nucleus(values, options.top_p), point), axis=1)
        reached = (values.sum(axis=1, keepdim=True) >= options.top_p).astype("int64")
        chosen, reached = paddle.concat([chosen, reached], axis=1).numpy().T
        if reached.all():
            break
    return chosen


def _nucleus(probabilities, mass: float):
    """Set to 0 what is not needed to reach the mass; probabilities [r, n] are sorted, likeliest first."""
    before = probabilities.cumsum(axis=-1) - probabilities
    return paddle.where(before < mass, probabilities, paddle.zeros_like(probabilities))


def _invert(probabilities, point):
    """Return the first place [r, 1] where the cumulative probability exceeds point ([r, 1]) times the total."""
    cumulative = probabilities.cumsum(axis=-1)
    below = (cumulative <= point * cumulative[:, -1:]).astype("int64").sum(axis=-1, keepdim=True)
    return paddle.clip(below, max=probabilities.shape[-1] - 1)
