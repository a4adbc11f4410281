import numpy as np

from paddle_ft.data import blocks
from paddle_ft.data.blocks import cut_blocks, subsample


def test_cut_blocks_keeps_or_drops_the_rest():
    flat = np.arange(7)
    assert [b.tolist() for b in cut_blocks(flat, 3, keep_last=False)] == [[0, 1, 2], [3, 4, 5]]
    assert [b.tolist() for b in cut_blocks(flat, 3, keep_last=True)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in cut_blocks(flat[:6], 3, keep_last=False)] == [[0, 1, 2], [3, 4, 5]]
    assert list(cut_blocks(flat[:2], 3, keep_last=False)) == []


def test_subsample_is_reproducible_sorted_and_without_repetition():
    chosen = subsample(100, 10, seed=5)
    assert chosen.tolist() == subsample(100, 10, seed=5).tolist()
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == 10
    assert chosen.tolist() != list(range(10))
    assert subsample(3, 10, seed=5).tolist() == subsample(3, None, seed=5).tolist() == [0, 1, 2]


def test_chosen_blocks_and_their_parts(monkeypatch):
    """Parts are cut at 6 tokens here, and hold whole blocks only."""
    monkeypatch.setattr(blocks, "PART", 6)
    flat = np.arange(10, 21)
    everything = cut_blocks(flat, 2, keep_last=True)
    assert everything.lengths.tolist() == [2, 2, 2, 2, 2, 1]
    assert [(ids.tolist(), starts.tolist()) for ids, starts in everything.parts()] == [
        ([10, 11, 12, 13, 14, 15], [0, 2, 4]), ([16, 17, 18, 19, 20], [0, 2, 4]),
    ]  # fmt: skip
    chosen = everything.choose(np.array([0, 2, 3, 5]))
    assert [block.tolist() for block in chosen] == [[10, 11], [14, 15], [16, 17], [20]]
    assert [block.tolist() for block in chosen[2:]] == [[16, 17], [20]]
    assert [(ids.tolist(), starts.tolist()) for ids, starts in chosen.parts()] == [
        ([10, 11, 14, 15, 16, 17], [0, 2, 4]), ([20], [0]),
    ]  # fmt: skip
    assert list(everything.choose(np.array([], dtype=int)).parts()) == []
