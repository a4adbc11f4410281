"""Test batches: every row once an epoch, the same order for the same seed and epoch, and grouping by length."""

import numpy as np
import pytest

from paddle_ft.data.batches import Batches, longest_first, pad
from paddle_ft.system.errors import UserError

LENGTHS = np.random.default_rng(0).integers(5, 60, 1003)


@pytest.mark.parametrize("settings", [{}, {"group_by_length": True}, {"max_tokens": 300}])
def test_every_row_is_used_once_and_seed_and_epoch_fix_the_order(settings):
    batches = Batches(LENGTHS, 8, seed=3, **settings)
    first, second = batches.epoch(0), batches.epoch(1)
    assert sorted(np.concatenate(first).tolist()) == list(range(1003))
    assert len(first) == len(second) == len(batches)
    assert [b.tolist() for b in first] == [b.tolist() for b in Batches(LENGTHS, 8, seed=3, **settings).epoch(0)]
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
    assert [b.tolist() for b in first] != [b.tolist() for b in Batches(LENGTHS, 8, seed=4, **settings).epoch(0)]


def padding(batches) -> float:
    padded = sum(len(b) * LENGTHS[b].max() for b in batches)
    return 1 - LENGTHS.sum() / padded


def test_grouping_by_length_removes_most_of_the_padding():
    assert padding(Batches(LENGTHS, 8, 1).epoch(0)) > 0.3
    assert padding(Batches(LENGTHS, 8, 1, group_by_length=True).epoch(0)) < 0.05


def test_grouped_batches_are_not_sorted_by_length():
    """Rows are sorted inside buckets of 100 batches only; the batches are shuffled."""
    means = [LENGTHS[b].mean() for b in Batches(LENGTHS, 8, 1, group_by_length=True).epoch(0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_the_smaller_batch_comes_last():
    sizes = [len(b) for b in Batches(LENGTHS, 8, 1, group_by_length=True).epoch(0)]
    assert sizes == [8] * 125 + [3]


def test_max_tokens_is_respected_and_nearly_reached():
    batches = Batches(LENGTHS, 8, 1, max_tokens=300).epoch(0)
    cost = [len(b) * LENGTHS[b].max() for b in batches]
    assert max(cost) <= 300
    assert np.mean(cost) > 250


def test_a_row_longer_than_max_tokens_is_an_error():
    with pytest.raises(UserError, match="train.max_tokens_per_batch: 50 is less than the longest row, which has 59 tokens"):
        Batches(LENGTHS, 8, 1, max_tokens=50)


def test_longest_first_puts_the_longest_rows_first():
    batches = longest_first(np.array([3, 9, 5, 9]), 3)
    assert [b.tolist() for b in batches] == [[1, 3, 2], [0]]


def test_pad_fills_on_the_right_up_to_a_multiple():
    rows = [np.array([1, 2, 3]), np.array([4])]
    assert pad(rows, 0).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert pad(rows, -100, multiple=4).tolist() == [[1, 2, 3, -100], [4, -100, -100, -100]]
    assert pad(rows, 0).dtype == np.int64
    assert [pad(rows, 0, multiple=8, max_length=most).shape[1] for most in (2, 3, 6, 8, 9)] == [3, 3, 6, 8, 8]
