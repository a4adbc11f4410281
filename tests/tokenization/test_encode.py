"""Test that whole data sets are encoded in order, truncated as asked, and cached safely."""

import string
import tempfile
from pathlib import Path

import numpy as np
import pytest

from paddle_ft.tokenization import encode as tokenization
from paddle_ft.tokenization.encode import Encoded, encode_texts
from tests.support.encoded_texts import (
    assert_equal,
    damage_by_a_flipped_byte,
    damage_by_cutting,
    damage_by_emptying,
    entries,
    letter_tokenizer,
    texts_of,
)
from tests.support.read_only import read_only


@pytest.fixture
def tokenizer(tmp_path):
    return letter_tokenizer(tmp_path)


def test_ids_of_each_text(tokenizer):
    encoded = encode_texts(tokenizer, ["a b", "", "c"], cache=False)
    assert [ids.tolist() for ids in (encoded[0], encoded[1], encoded[2], encoded[-1])] == [
        [2, 5, 6, 3],
        [2, 3],
        [2, 7, 3],
        [2, 7, 3],
    ]
    assert len(encoded) == 3 and encoded.lengths.tolist() == [4, 2, 3] and encoded.truncated == 0
    assert encoded.flat.dtype == np.int32
    with pytest.raises(IndexError):
        encoded[3]
    assert len(list(encoded)) == 3


def test_truncation_keeps_the_last_special_token_and_is_counted(tokenizer):
    encoded = encode_texts(tokenizer, ["a b c d", "a b", "a b c"], max_length=4, cache=False)
    assert [ids.tolist() for ids in encoded] == [[2, 5, 6, 3], [2, 5, 6, 3], [2, 5, 6, 3]]
    assert encoded.truncated == 2
    assert tokenizer.truncation is None


def test_more_texts_than_a_batch_stay_in_order(tokenizer):
    texts = [string.ascii_lowercase[i % 26] for i in range(2 * tokenization.BATCH + 3)]
    encoded = encode_texts(tokenizer, texts, cache=False)
    assert [int(ids[1]) for ids in encoded] == [5 + i % 26 for i in range(len(texts))]
    assert len(encode_texts(tokenizer, [], cache=False)) == 0


def count_encodings(monkeypatch):
    calls = []
    encode = tokenization._encode
    monkeypatch.setattr(tokenization, "_encode", lambda *args, **options: calls.append(1) or encode(*args, **options))
    return calls


def test_the_cache_is_used_until_something_changes(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))
    calls = count_encodings(monkeypatch)
    first = encode_texts(tokenizer, ["a b c", "d"], max_length=4)
    again = encode_texts(tokenizer, ["a b c", "d"], max_length=4)
    assert len(calls) == 1
    assert again.flat.tolist() == first.flat.tolist() and again.offsets.tolist() == first.offsets.tolist()
    assert again.truncated == first.truncated == 1
    assert len(entries(tmp_path / "home" / "tokenised")) == 1

    encode_texts(tokenizer, ["a b cd"], max_length=4)  # the same letters in one text instead of two
    encode_texts(tokenizer, ["a b c", "d"], max_length=5)
    tokenizer.add_tokens(["new"])
    encode_texts(tokenizer, ["a b c", "d"], max_length=4)
    assert len(calls) == 4


@pytest.mark.parametrize("damage", [damage_by_cutting, damage_by_a_flipped_byte, damage_by_emptying])
@pytest.mark.parametrize("name", ["ids.bin", "offsets.bin", "arrays.json"])
def test_a_damaged_cache_is_recognised_and_built_anew(tokenizer, tmp_path, monkeypatch, capsys, name, damage):
    calls = count_encodings(monkeypatch)
    texts = ["a b c d e f g h"] * 50
    first = encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    (path,) = entries(tmp_path / "cache")
    damage(path / name)
    assert_equal(encode_texts(tokenizer, texts, folder=tmp_path / "cache"), first)
    assert len(calls) == 2
    assert f"The tokenised data in {path} is damaged and is made anew" in capsys.readouterr().err
    encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(tokenizer, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    encoded = encode_texts(tokenizer, ["a"], folder=tmp_path / "file" / "cache")
    assert encoded[0].tolist() == [2, 5, 3]
    message = capsys.readouterr().err
    assert "The tokenised data is not kept for the next run, and is held in memory" in message and "PADDLE_FT_HOME" in message


def test_a_cache_that_is_read_only_is_read(tokenizer, monkeypatch):
    texts = texts_of(30)
    with tempfile.TemporaryDirectory() as folder:  # its parents can be read by everybody, which those of tmp_path cannot
        first = encode_texts(tokenizer, texts, folder=Path(folder))
        calls = count_encodings(monkeypatch)
        with read_only(Path(folder)):
            assert_equal(encode_texts(tokenizer, texts, folder=Path(folder)), first)
            assert not calls
            assert len(encode_texts(tokenizer, texts[:5], folder=Path(folder))) == 5
            assert len(calls) == 1
        assert len(entries(Path(folder))) == 1


def test_encoded_is_what_tasks_may_build_themselves():
    encoded = Encoded(np.array([1, 2, 3], dtype=np.int32), np.array([0, 1, 3]), truncated=0)
    assert [ids.tolist() for ids in encoded] == [[1], [2, 3]]
