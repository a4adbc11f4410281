"""Texts of letters, a tokenizer for them, and the cache of their token ids."""

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paddle_ft.tokenization.encode import fast_tokenizer


def letter_tokenizer(folder: Path):
    """Return a BERT tokenizer whose words are single letters. It is written to the folder."""
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase]
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")
    return fast_tokenizer(folder)


def texts_of(count, seed=0):
    """Return random texts of up to eight letters."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(list(string.ascii_lowercase), rng.integers(0, 9))) for _ in range(count)]


class EndlessTexts(Sequence):
    """Texts of which only the first can be read. `until` says how many, and `stop` is called for the others."""

    def __init__(self, texts, until, stop):
        self.texts, self.until, self.stop = texts, until, stop

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        if isinstance(index, slice) and index.stop > self.until:
            self.stop()
        return self.texts[index]

    def __iter__(self):  # for the digest
        return iter(self.texts)


def entries(folder):
    """Return the complete entries of a cache folder."""
    return [path for path in folder.iterdir() if path.is_dir() and path.suffix != ".part"]


def content(folder):
    """Return the files of the only complete entry of a cache folder."""
    (entry,) = entries(folder)
    return {path.name: path.read_bytes() for path in entry.iterdir()}


def assert_equal(encoded, expected):
    """Assert that two results of encode_texts have the same ids and numbers."""
    assert [ids.tolist() for ids in encoded] == [ids.tolist() for ids in expected]
    assert encoded.lengths.tolist() == expected.lengths.tolist() and encoded.truncated == expected.truncated
    if expected.second_starts is not None:
        assert encoded.second_starts[:].tolist() == expected.second_starts[:].tolist()


def damage_by_cutting(path):
    """Shorten a file."""
    path.write_bytes(path.read_bytes()[:-40])


def damage_by_a_flipped_byte(path):
    """Change a byte of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)


def damage_by_emptying(path):
    """Empty a file."""
    path.write_bytes(b"")
