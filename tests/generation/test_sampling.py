"""The tokens that are drawn, against the distribution that was asked for."""

import numpy as np
import paddle
import pytest

from paddle_ft.generation import GenerationOptions, generate, generate_all
from paddle_ft.generation.sampling import draw
from tests.support.generation_checkpoints import MODELS, batch

MASS = np.array([0.05, 0.4, 0.02, 0.25, 0.18, 0.1])  # likeliest first: 1, 3, 4, 5, 0, 2
POINTS = (np.arange(1000) + 0.5) / 1000


def options(**chosen) -> GenerationOptions:
    return GenerationOptions(max_new_tokens=10, do_sample=True, **chosen)


def shares(mass: np.ndarray, **chosen) -> np.ndarray:
    """Share of each token when the uniform numbers are evenly spaced: the distribution itself, to a thousandth."""
    scores = paddle.to_tensor(np.tile(np.log(mass), [len(POINTS), 1]).astype("float32"))
    tokens = draw(scores, POINTS.astype("float32"), options(**chosen))
    return np.bincount(tokens, minlength=len(mass)) / len(POINTS)


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"top_k": 3}, [1, 3, 4]),
        ({"top_p": 0.64}, [1, 3]),
        ({"top_p": 0.66}, [1, 3, 4]),  # 0.65 does not reach it: the token that does is kept
        ({"top_p": 0.01}, [1]),
        ({"top_k": 3, "top_p": 0.7}, [1, 3]),  # of the three's mass 0.83, the first two hold 0.78
    ],
)
def test_the_distribution_is_cut_and_renormalised(chosen, kept):
    expected = np.zeros_like(MASS)
    expected[kept] = MASS[kept] / MASS[kept].sum()
    np.testing.assert_allclose(shares(MASS, **chosen), expected, atol=0.0021)


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
        generate(MODELS[model](), ids, mask, options(seed=seed, temperature=2.0, num_return_sequences=3))
        for seed in (5, 5, 6)
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
    chosen = options(seed=1, temperature=1.5, top_p=0.95, num_return_sequences=2)
    one, two, all_at_once = (generate_all(MODELS[model](), inputs, chosen, size) for size in (1, 2, 5))
    assert one == two == all_at_once
