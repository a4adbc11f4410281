"""Test that whole data sets are encoded in order, truncated as asked, and cached safely."""

import string

import numpy as np
import pytest

from paddle_ft.tokenization import encode as tokenization
from paddle_ft.tokenization.encode import Encoded, cached, encode_texts, fast_tokenizer


@pytest.fixture
def tokenizer(tmp_path):
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase]
    (tmp_path / "vocab.txt").write_text("\n".join(vocab) + "\n")
    return fast_tokenizer(tmp_path)


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
    monkeypatch.setattr(tokenization, "_encode", lambda *args: calls.append(1) or encode(*args))
    return calls


def test_the_cache_is_used_until_something_changes(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_HOME", str(tmp_path / "home"))
    calls = count_encodings(monkeypatch)
    first = encode_texts(tokenizer, ["a b c", "d"], max_length=4)
    again = encode_texts(tokenizer, ["a b c", "d"], max_length=4)
    assert len(calls) == 1
    assert again.flat.tolist() == first.flat.tolist() and again.offsets.tolist() == first.offsets.tolist()
    assert again.truncated == first.truncated == 1
    assert len(list((tmp_path / "home" / "tokenised").iterdir())) == 1

    encode_texts(tokenizer, ["a b cd"], max_length=4)  # the same letters in one text instead of two
    encode_texts(tokenizer, ["a b c", "d"], max_length=5)
    tokenizer.add_tokens(["new"])
    encode_texts(tokenizer, ["a b c", "d"], max_length=4)
    assert len(calls) == 4


def damage_by_cutting(path):
    path.write_bytes(path.read_bytes()[:-40])


def damage_by_a_flipped_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)


def damage_by_emptying(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_by_cutting, damage_by_a_flipped_byte, damage_by_emptying])
def test_a_damaged_cache_is_recognised_and_built_anew(tokenizer, tmp_path, monkeypatch, capsys, damage):
    calls = count_encodings(monkeypatch)
    texts = ["a b c d e f g h"] * 50
    first = encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    damage(path)
    again = encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    assert len(calls) == 2 and again.flat.tolist() == first.flat.tolist()
    assert f"The cached file {path} is damaged and is built anew" in capsys.readouterr().err
    encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    assert len(calls) == 2


def test_a_pickled_cache_is_not_opened(tmp_path):
    built = cached({"x": 1}, tmp_path, lambda: {"a": np.arange(3)})
    (path,) = tmp_path.iterdir()
    with open(path, "wb") as file:
        np.savez(file, a=np.array([print], dtype=object))
    assert cached({"x": 1}, tmp_path, lambda: {"a": np.arange(3)})["a"].tolist() == built["a"].tolist()


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(tokenizer, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    encoded = encode_texts(tokenizer, ["a"], folder=tmp_path / "file" / "cache")
    assert encoded[0].tolist() == [2, 5, 3]
    assert "The tokenised data is not kept for the next run" in capsys.readouterr().err


def test_encoded_is_what_tasks_may_build_themselves():
    encoded = Encoded(np.array([1, 2, 3], dtype=np.int32), np.array([0, 1, 3]), truncated=0)
    assert [ids.tolist() for ids in encoded] == [[1], [2, 3]]
