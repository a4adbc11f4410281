import json
import math

import numpy as np
import pytest

from paddle_ft.metrics.perplexity import perplexity, perplexity_interval


def test_weighted_by_tokens():
    # one batch of 1 token at 4 nats, one of 9 tokens at 1 nat each: exp(13 / 10), not exp((4 + 1) / 2)
    assert perplexity(4 + 9, 10) == pytest.approx(math.exp(1.3))


def test_the_interval_is_of_the_ratio_of_sums():
    """The first text has 4 nats for 1 token, the second 9 nats for 9 tokens.

    Half of all resamples have both texts: exp(13 / 10). A quarter have only the first: exp(4).
    The last quarter have only the second: exp(1).
    """
    nll, tokens = np.array([4.0, 9.0]), np.array([1, 9])
    assert perplexity_interval(nll, tokens, seed=0, n=2000, level=0.4) == pytest.approx((math.exp(1.3),) * 2)
    assert perplexity_interval(nll, tokens, seed=0, n=2000, level=0.9) == pytest.approx((math.exp(1), math.exp(4)))


def test_uniform_model_has_the_vocabulary_size():
    assert perplexity(50 * math.log(21128), 50) == pytest.approx(21128)


def test_overflow_stays_a_number_that_json_can_hold():
    value = perplexity(1e6, 1)
    assert value > 1e308 and "Infinity" not in json.dumps(value)


def test_nothing_predicted():
    with pytest.raises(ValueError, match="over 0 tokens"):
        perplexity(0.0, 0)
