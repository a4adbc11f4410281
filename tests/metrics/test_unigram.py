import numpy as np
import pytest

from paddle_ft.metrics.perplexity import perplexity, perplexity_interval
from paddle_ft.metrics.unigram import unigram_nll


def test_frequencies_with_one_added():
    nll = unigram_nll([np.array([0, 0, 1]), np.array([0])], size=4)
    assert np.exp(-nll).tolist() == pytest.approx([4 / 8, 2 / 8, 1 / 8, 1 / 8])


def test_the_interval_weighs_texts_by_their_tokens():
    """Two texts: one token with nll 5, 999 tokens with nll 1 each. Weighted by text the mean would be 3."""
    nll, tokens = np.array([5.0, 999.0]), np.array([1, 999])
    low, high = perplexity_interval(nll, tokens, seed=0, n=500)
    assert low == pytest.approx(np.exp(1))  # a resample with the long text twice
    assert high == pytest.approx(np.exp(5))  # a resample with the short text twice
    assert perplexity(nll.sum(), tokens.sum()) == pytest.approx(np.exp(1.004))


def test_the_interval_holds_the_perplexity_and_narrows_with_more_texts():
    rng = np.random.default_rng(0)
    widths = []
    for texts in (50, 5000):
        tokens = rng.integers(5, 20, texts)
        nll = tokens * rng.normal(3, 0.5, texts)
        low, high = perplexity_interval(nll, tokens, seed=0, n=300)
        assert low < perplexity(nll.sum(), tokens.sum()) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5
