"""Test how hidden tokens are told apart by the frequency of their words, against counts by hand."""

import numpy as np
import pytest

from paddle_ft.tasks.masked_lm.frequency import BANDS, WordFrequencies, band_sums, describe_bands, word_keys


def text(*words):
    """Return (ids, starts) of words that are given as tuples of ids."""
    ids = np.array([token for word in words for token in word], dtype=np.int32)
    starts = np.array([place == 0 for word in words for place in range(len(word))])
    return ids, starts


def test_a_word_is_all_its_tokens_in_their_order():
    keys, word_of = word_keys(*text((1,), (1, 2), (2, 1), (1, 2), (1, 2, 3)))
    assert word_of.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
    assert keys[1] == keys[3] and len(set(keys.tolist())) == 4


def test_bands_by_hand():
    training = [text(*[(7,)] * 12, (8, 9)), text(*[(8, 9)] * 8, (8,))]  # (7,): 12 times; (8, 9): 9 times; (8,): once
    frequencies = WordFrequencies(training)
    assert sorted(frequencies.counts.tolist()) == [1, 9, 12]
    ids, starts = text((8, 9), (7,), (9,), (8,), (9, 8))
    bands = frequencies.bands(ids, starts, np.arange(len(ids)))
    # both tokens of (8, 9) are of a word that occurs 9 times; (9,) and (9, 8) never occur
    assert [BANDS[band] for band in bands] == ["1-9", "1-9", "10-99", "0", "1-9", "0", "0"]
    assert frequencies.bands(ids, starts, np.array([2])).tolist() == [2]


@pytest.mark.parametrize(("count", "band"), [(1, "1-9"), (9, "1-9"), (10, "10-99"), (100, "100-999"), (9999, "1,000-9,999"),
                                             (10000, "10,000 or more"), (123456, "10,000 or more")])  # fmt: skip
def test_the_ends_of_the_bands(count, band):
    frequencies = WordFrequencies([])
    frequencies.keys, frequencies.counts = word_keys(*text((5,)))[0], np.array([count])
    assert BANDS[frequencies.bands(*text((5,)), np.array([0]))[0]] == band


def test_without_training_text_all_words_are_new():
    assert WordFrequencies([]).bands(*text((5,), (6, 7)), np.arange(3)).tolist() == [0, 0, 0]


def test_figures_of_the_bands():
    sums = band_sums(np.array([0, 2, 2]), np.array([4.0, 1.0, 2.0]), np.array([False, True, False]))
    assert describe_bands(sums + sums) == [
        {"times_in_training": "0", "targets": 2, "loss": 4.0, "accuracy": 0.0},
        {"times_in_training": "10-99", "targets": 4, "loss": 1.5, "accuracy": 50.0},
    ]
