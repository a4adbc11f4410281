"""Test the places of rows in packed sequences."""

import numpy as np

from paddle_ft.data.packing import Packing


def test_rows_fill_sequences_as_long_as_the_longest_row():
    """7 begins a sequence; 5 and 4 begin others, as neither fits; 3 fills that of 4; 2 fills that of 5."""
    packing = Packing([3, 7, 2, 5, 4])
    assert packing.shape == (3, 7)
    assert packing.sequence.tolist() == [2, 0, 1, 1, 2]
    assert packing.start.tolist() == [4, 0, 5, 0, 0]


def test_values_segments_and_positions():
    packing = Packing([1, 3, 1, 2])
    rows = [np.array([10]), np.array([20, 21, 22]), np.array([30, -1, -1]), np.array([40, 41])]
    assert packing.place(rows, 9).tolist() == [[20, 21, 22], [40, 41, 10], [30, 9, 9]]
    inputs = packing.inputs()
    assert inputs["segment_ids"].tolist() == [[2, 2, 2], [4, 4, 1], [3, 0, 0]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2], [0, 1, 0], [0, 0, 0]]


def test_a_rounded_width_is_used_too_and_ends_at_the_models_positions():
    assert Packing([3, 2, 3], multiple=8).shape == (1, 8)
    assert Packing([3, 2, 3], multiple=8, max_length=6).shape == (2, 6)


def test_a_packed_batch_is_never_larger_than_the_padded_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(1, 60, rng.integers(1, 40))
        packing = Packing(lengths)
        assert packing.shape[0] <= len(lengths) and packing.shape[1] == lengths.max()
        tokens = packing.place([np.full(n, 1) for n in lengths], 0)
        assert tokens.sum() == lengths.sum()  # no two rows overlap
