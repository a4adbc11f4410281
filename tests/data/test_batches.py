"""Test batches: every row once an epoch, the same order for the same seed and epoch, and grouping by length."""

import tracemalloc

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


def batches_in_lists(lengths, batch_size, seed, epoch, group_by_length=False, max_tokens=None) -> list[np.ndarray]:
    """Return an epoch's batches as arrays of their own: what `Batches` did when each batch was cut before the first was used."""

    def cut(order):
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]

    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    if max_tokens:
        longest, cuts, start = -np.sort(-lengths), [], 0
        for position in range(len(longest)):
            if (position - start + 1) * longest[start] > max_tokens:
                cuts.append(position)
                start = position
        batches = np.split(order[np.argsort(-lengths[order], kind="stable")], cuts)
        return [batches[i] for i in rng.permutation(len(batches))]
    if not group_by_length:
        return cut(order)
    batches = []
    for start in range(0, len(order), batch_size * 100):
        bucket = order[start : start + batch_size * 100]
        batches += cut(bucket[np.argsort(-lengths[bucket], kind="stable")])
    full = [batch for batch in batches if len(batch) == batch_size]
    return [full[i] for i in rng.permutation(len(full))] + [batch for batch in batches if len(batch) < batch_size]


@pytest.mark.parametrize("settings", [{}, {"group_by_length": True}, {"max_tokens": 300}])
@pytest.mark.parametrize(("rows", "batch_size"), [(1, 8), (7, 1), (800, 8), (1003, 8), (1003, 5), (1600, 8)])
def test_the_order_stays_what_it_was_when_batches_were_lists(settings, rows, batch_size):
    """A run that was started with an earlier version is resumed with the same batches."""
    lengths = np.random.default_rng(rows).integers(1, 60, rows)
    lengths[::97] = 0  # an empty text without special tokens
    for dtype in (np.int64, np.int32):
        batches = Batches(lengths.astype(dtype), batch_size, seed=5, **settings)
        for epoch in (0, 3):
            expected = batches_in_lists(lengths, batch_size, 5, epoch, **settings)
            assert [b.tolist() for b in batches.epoch(epoch)] == [b.tolist() for b in expected]
            assert batches.epoch(epoch)[-1].tolist() == expected[-1].tolist()
            assert len(batches) == len(expected)


def test_batches_take_memory_when_they_are_used_and_not_before():
    batches = Batches(np.full(200_000, 9), 1, seed=0, group_by_length=True)
    tracemalloc.start()
    epoch = batches.epoch(0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(epoch) == 200_000
    assert size < 25 * 200_000  # three integers of 8 bytes for each row; an array for each batch takes 112 bytes more


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
