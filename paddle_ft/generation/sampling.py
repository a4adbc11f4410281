"""Choose tokens at random, with temperature, top-k and top-p."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_ft.generation.options import GenerationOptions

TOP_P_CANDIDATES = 256  # top-p sorts so many tokens first, and the whole vocabulary only if they do not reach top_p


class Sampler:
    """Choose tokens at random. An instance is the `choose` argument of search.decode_steps.

    Every row has its own random generator, seeded by the seed and the row's number. So the tokens of a row depend neither on the
    batch nor on other rows that finish earlier.
    """

    def __init__(self, options: GenerationOptions, row_numbers: np.ndarray):
        seed = int(np.random.randint(2**31)) if options.seed is None else options.seed
        self.options = options
        self.generators = [np.random.default_rng([seed, int(number)]) for number in row_numbers]

    def __call__(self, scores, rows: np.ndarray) -> np.ndarray:
        uniform = np.array([self.generators[row].random() for row in rows], dtype="float32")
        return sample_tokens(scores, uniform, self.options)


@paddle.no_grad()
def sample_tokens(scores, uniform: np.ndarray, options: GenerationOptions) -> np.ndarray:
    """Sample one token for each row by inverting the cumulative distribution.

    The distribution is softmax(scores / temperature). It is cut to the top_k most likely tokens, then to the smallest set of most
    likely tokens whose probability reaches top_p, and renormalised.
    Source: Holtzman et al. (2020), The Curious Case of Neural Text Degeneration.

    Args:
        scores: [r, v].
        uniform: [r], random numbers in [0, 1).
        options: temperature, top_k and top_p are used.

    Returns:
        [r] token ids.
    """
    vocabulary = scores.shape[-1]
    if options.temperature != 1.0:
        scores = scores / options.temperature
    uniform = paddle.to_tensor(uniform).unsqueeze(-1)
    if options.top_k:
        scores, tokens = paddle.topk(scores, min(options.top_k, vocabulary))
        index = _invert_cdf(_keep_nucleus(F.softmax(scores), options.top_p), uniform)
        return paddle.take_along_axis(tokens, index, axis=1).numpy()[:, 0]
    probabilities = F.softmax(scores)
    if options.top_p == 1.0:
        return _invert_cdf(probabilities, uniform).numpy()[:, 0]
    for count in (min(TOP_P_CANDIDATES, vocabulary), vocabulary):
        values, tokens = paddle.topk(probabilities, count)
        chosen = paddle.take_along_axis(tokens, _invert_cdf(_keep_nucleus(values, options.top_p), uniform), axis=1)
        reached = (values.sum(axis=1, keepdim=True) >= options.top_p).astype("int64")
        chosen, reached = paddle.concat([chosen, reached], axis=1).numpy().T
        if reached.all():
            break
    return chosen


def _keep_nucleus(probabilities, mass: float):
    """Set the probabilities that are not needed to reach `mass` to 0. They are [r, n], sorted from high to low."""
    before = probabilities.cumsum(axis=-1) - probabilities
    return paddle.where(before < mass, probabilities, paddle.zeros_like(probabilities))


def _invert_cdf(probabilities, uniform):
    """Return the first index [r, 1] where the cumulative probability exceeds `uniform` [r, 1] times the total."""
    cumulative = probabilities.cumsum(axis=-1)
    below = (cumulative <= uniform * cumulative[:, -1:]).astype("int64").sum(axis=-1, keepdim=True)
    return paddle.clip(below, max=probabilities.shape[-1] - 1)
