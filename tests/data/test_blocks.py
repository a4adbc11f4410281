import numpy as np

from paddle_ft.data.blocks import cut_blocks, subsample


def test_cut_blocks_keeps_or_drops_the_rest():
    flat = np.arange(7)
    assert [b.tolist() for b in cut_blocks(flat, 3, keep_last=False)] == [[0, 1, 2], [3, 4, 5]]
    assert [b.tolist() for b in cut_blocks(flat, 3, keep_last=True)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in cut_blocks(flat[:6], 3, keep_last=False)] == [[0, 1, 2], [3, 4, 5]]
    assert cut_blocks(flat[:2], 3, keep_last=False) == []


def test_subsample_is_reproducible_sorted_and_without_repetition():
    chosen = subsample(100, 10, seed=5)
    assert chosen.tolist() == subsample(100, 10, seed=5).tolist()
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == 10
    assert chosen.tolist() != list(range(10))
    assert subsample(3, 10, seed=5).tolist() == subsample(3, None, seed=5).tolist() == [0, 1, 2]
