"""Test that sampled tokens have the distribution that the options describe."""

import numpy as np
import paddle
import pytest

from paddle_ft.generation import GenerationOptions, generate, generate_all
from paddle_ft.generation.sampling import sample_tokens
from tests.support.generation_checkpoints import MODELS, batch

MASS = np.array([0.05, 0.4, 0.02, 0.25, 0.18, 0.1])  # from most to least likely: 1, 3, 4, 5, 0, 2
POINTS = (np.arange(1000) + 0.5) / 1000


def options(**settings) -> GenerationOptions:
    return GenerationOptions(max_new_tokens=10, do_sample=True, **settings)


def shares(mass: np.ndarray, **settings) -> np.ndarray:
    """Return the share of each token for evenly spaced uniform numbers, which is its probability to a thousandth."""
    scores = paddle.to_tensor(np.tile(np.log(mass), [len(POINTS), 1]).astype("float32"))
    tokens = sample_tokens(scores, POINTS.astype("float32"), options(**settings))
    return np.bincount(tokens, minlength=len(mass)) / len(POINTS)


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"top_k": 3}, [1, 3, 4]),
        ({"top_p": 0.64}, [1, 3]),
        ({"top_p": 0.66}, [1, 3, 4]),  # two tokens have 0.65, so the third is needed
        ({"top_p": 0.01}, [1]),
        ({"top_k": 3, "top_p": 0.7}, [1, 3]),  # the first two have 0.78 of the probability of the three
    ],
)
def test_the_distribution_is_cut_and_renormalised(settings, tokens):
    expected = np.zeros_like(MASS)
    expected[tokens] = MASS[tokens] / MASS[tokens].sum()
    np.testing.assert_allclose(shares(MASS, **settings), expected, atol=0.0021)


def test_temperature_flattens_the_distribution():
    expected = MASS**0.5 / (MASS**0.5).sum()
    np.testing.assert_allclose(shares(MASS, temperature=2.0), expected, atol=0.0021)


def test_top_p_reaches_beyond_the_tokens_sorted_at_first():
    mass = np.linspace(1.0, 1.01, 900) / np.linspace(1.0, 1.01, 900).sum()
    drawn = np.flatnonzero(shares(mass, top_p=0.9))
    assert len(drawn) > 800
    assert drawn.min() == 900 - np.searchsorted(np.cumsum(mass[::-1]), 0.9) - 1


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_fixes_the_samples_and_another_gives_others(model):
    ids, mask = batch(model)
    first, again, other = (
        generate(MODELS[model](), ids, mask, options(seed=seed, temperature=2.0, num_return_sequences=3)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other
    assert all(len({tuple(sequence) for sequence in sequences}) > 1 for sequences in first)


@pytest.mark.parametrize("model", MODELS)
def test_top_k_1_is_greedy(model):
    ids, mask = batch(model)
    greedy = generate(MODELS[model](), ids, mask, GenerationOptions(max_new_tokens=10))
    assert generate(MODELS[model](), ids, mask, options(top_k=1, temperature=3.0)) == greedy


@pytest.mark.parametrize("model", MODELS)
def test_samples_do_not_depend_on_the_batch(model):
    inputs = [[7, 8, 9], [30], [11, 12, 13, 14, 15], [40, 41], [9, 9, 9, 9]]
    settings = options(seed=1, temperature=1.5, top_p=0.95, num_return_sequences=2)
    first, *others = (generate_all(MODELS[model](), inputs, settings, size) for size in (1, 2, 5))
    assert all(other == first for other in others)
