"""Test that pairs of texts are encoded, truncated and cached."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from paddle_ft.tokenization.encode import encode_texts, fast_tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
PAIRS = [("a b", "c"), ("a", "b c c"), ("c", "")]


@pytest.fixture
def tokenizer(tmp_path) -> Tokenizer:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return fast_tokenizer(tmp_path)


def words(encoded, i):
    return " ".join(WORDS[token] for token in encoded[i])


def test_two_texts_and_where_the_second_begins(tokenizer):
    encoded = encode_texts(tokenizer, PAIRS, cache=False)
    assert [words(encoded, i) for i in range(3)] == ["[CLS] a b [SEP] c [SEP]", "[CLS] a [SEP] b c c [SEP]", "[CLS] c [SEP] [SEP]"]
    assert encoded.second_starts.tolist() == [4, 3, 3]
    assert encode_texts(tokenizer, ["a b"], cache=False).second_starts is None


def test_a_separator_in_the_text_does_not_move_the_second(tokenizer):
    encoded = encode_texts(tokenizer, [("a [SEP] b", "c")], cache=False)
    assert words(encoded, 0) == "[CLS] a [SEP] b [SEP] c [SEP]"
    assert encoded.second_starts.tolist() == [5]


def test_the_cache_keeps_pairs_apart_from_single_texts(tokenizer, tmp_path):
    first = encode_texts(tokenizer, [("a", "b")], folder=tmp_path / "cache")
    again = encode_texts(tokenizer, [("a", "b")], folder=tmp_path / "cache")
    np.testing.assert_array_equal(again.flat, first.flat)
    assert again.second_starts.tolist() == first.second_starts.tolist() == [3]
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1
    single = encode_texts(tokenizer, ["a", "b"], folder=tmp_path / "cache")
    assert len(single) == 2 and single.second_starts is None


def test_the_longer_text_is_cut(tokenizer):
    encoded = encode_texts(tokenizer, [("a a a a", "b c")], max_length=7, cache=False)
    assert words(encoded, 0) == "[CLS] a a [SEP] b c [SEP]"
    assert encoded.truncated == 1 and encoded.second_starts.tolist() == [4]


@pytest.mark.parametrize("max_length", [5, 6, 11, 12])
def test_pairs_are_cut_as_the_tokenizer_cuts_them(tokenizer, max_length):
    pairs = [(" ".join("abc"[i % 3] for i in range(first)), " ".join("cab"[i % 3] for i in range(second)))
             for first in range(14) for second in range(14)]  # fmt: skip
    encoded = encode_texts(tokenizer, pairs, max_length=max_length, cache=False)
    tokenizer.enable_truncation(max_length)
    for number, pair in enumerate(pairs):
        expected = tokenizer.encode(*pair)
        assert encoded[number].tolist() == expected.ids, pair
        assert encoded.second_starts[number] == (
            expected.sequence_ids.index(1) if 1 in expected.sequence_ids else len(expected) - 1
        )
    assert encoded.truncated == sum(bool(tokenizer.encode(*pair).overflowing) for pair in pairs)


def test_long_pairs_take_little_memory(tokenizer, monkeypatch):
    """The tokenizer's own truncation makes every combination of what it cuts off: of this pair, nine million."""
    monkeypatch.setattr(Tokenizer, "enable_truncation", None)
    encoded = encode_texts(tokenizer, [("a " * 9000, "b " * 9000)], max_length=9, cache=False)
    assert words(encoded, 0) == "[CLS] a a a [SEP] b b b [SEP]"
