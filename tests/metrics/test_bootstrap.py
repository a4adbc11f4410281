import numpy as np
import pytest

from paddle_ft.metrics import bootstrap
from paddle_ft.metrics.bootstrap import confidence_interval, confidence_intervals


def test_agrees_with_the_normal_interval_of_a_mean():
    values = np.random.default_rng(1).normal(50, 10, size=2000)
    low, high = confidence_interval(values, seed=3, n=4000)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert low == pytest.approx(values.mean() - half, abs=0.05)
    assert high == pytest.approx(values.mean() + half, abs=0.05)


def test_seed_and_level():
    values = [0.0, 10.0, 20.0, 90.0, 30.0]
    assert confidence_interval(values, seed=1) == confidence_interval(values, seed=1)
    assert confidence_interval(values, seed=1, n=50) != confidence_interval(values, seed=2, n=50)
    low, high = confidence_interval(values, level=0.95)
    low80, high80 = confidence_interval(values, level=0.8)
    assert low < low80 < 30 < high80 < high


def test_single_example_has_no_width():
    assert confidence_interval([7.5]) == (7.5, 7.5)


def test_columns_share_their_resamples_and_chunks_change_nothing(monkeypatch):
    values = np.random.default_rng(0).random((40, 1))
    whole = confidence_intervals(np.hstack([values, 2 * values]), n=300)
    assert whole[1] == pytest.approx(2 * whole[0])
    monkeypatch.setattr(bootstrap, "_MAX_INDICES", 400)  # 10 resamples at a time
    assert confidence_intervals(values, n=300)[0] == pytest.approx(whole[0])


@pytest.mark.parametrize(("values", "n", "level"), [([], 10, 0.95), ([1.0], 0, 0.95), ([1.0], 10, 1.0)])
def test_impossible_requests(values, n, level):
    with pytest.raises(ValueError, match="no interval from"):
        confidence_interval(values, n=n, level=level)
