import json
import math

import pytest

from paddle_ft.metrics.perplexity import perplexity


def test_weighted_by_tokens():
    # one batch of 1 token at 4 nats, one of 9 tokens at 1 nat each: exp(13 / 10), not exp((4 + 1) / 2)
    assert perplexity(4 + 9, 10) == pytest.approx(math.exp(1.3))


def test_uniform_model_has_the_vocabulary_size():
    assert perplexity(50 * math.log(21128), 50) == pytest.approx(21128)


def test_overflow_stays_a_number_that_json_can_hold():
    value = perplexity(1e6, 1)
    assert value > 1e308 and "Infinity" not in json.dumps(value)


def test_nothing_predicted():
    with pytest.raises(ValueError, match="over 0 tokens"):
        perplexity(0.0, 0)
