"""Test that the token ids of large data stay on disk, and that kills, full disks and other processes do no harm."""

import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from paddle_ft.data import arrays
from paddle_ft.data.arrays import ArrayFile
from paddle_ft.tokenization import encode as tokenization
from paddle_ft.tokenization.encode import encode_texts
from tests.support.encoded_texts import (
    EndlessTexts,
    assert_equal,
    content,
    damage_by_a_flipped_byte,
    damage_by_cutting,
    entries,
    letter_tokenizer,
    texts_of,
)
from tests.support.paths import ROOT


@pytest.fixture
def tokenizer(tmp_path):
    return letter_tokenizer(tmp_path)


@pytest.fixture
def large(monkeypatch):
    """Treat all data as large: it stays in files, is encoded in small batches, and what is done is noted after each."""
    monkeypatch.setattr(arrays, "IN_MEMORY", 0)
    monkeypatch.setattr(tokenization, "BATCH", 10)
    monkeypatch.setattr(arrays, "CHECKPOINT_SECONDS", -1.0)


@pytest.mark.parametrize("max_length", [None, 6])
@pytest.mark.parametrize("make", [texts_of, lambda count: list(zip(texts_of(count), texts_of(count, seed=1), strict=True))])
def test_large_data_stays_in_files_and_has_the_same_ids(tokenizer, tmp_path, large, make, max_length):
    texts = make(137)
    expected = encode_texts(tokenizer, texts, max_length=max_length, cache=False)
    for _ in range(2):  # built, and read
        encoded = encode_texts(tokenizer, texts, max_length=max_length, folder=tmp_path / "cache")
        assert isinstance(encoded.flat, ArrayFile) and isinstance(encoded.offsets, ArrayFile)
        assert_equal(encoded, expected)
        assert encoded.flat[:].tolist() == expected.flat.tolist() and encoded[0].dtype == np.int32
        assert encoded[-1].tolist() == expected[-1].tolist()


class Stop(Exception):
    pass


def test_encoding_continues_where_it_was_stopped_and_gives_the_same_bytes(tokenizer, tmp_path, large, capsys):
    def stop():
        raise Stop

    texts = list(zip(texts_of(100), texts_of(100, seed=1), strict=True))
    encode_texts(tokenizer, texts, folder=tmp_path / "expected", max_length=8)
    with pytest.raises(Stop):
        encode_texts(tokenizer, EndlessTexts(texts, 60, stop), folder=tmp_path / "cache", max_length=8)
    assert entries(tmp_path / "cache") == []
    read = []

    class Recorded(EndlessTexts):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    encode_texts(tokenizer, Recorded(texts, 100, stop), folder=tmp_path / "cache", max_length=8)
    assert [index.start for index in read if isinstance(index, slice)] == [50, 60, 70, 80, 90]  # 0 to 49 were noted
    assert "an earlier run was stopped at text 50 of 100; this one goes on there" in capsys.readouterr().err
    assert content(tmp_path / "cache") == content(tmp_path / "expected")


@pytest.mark.parametrize("name", ["ids.bin", "progress.json"])
def test_what_a_stopped_encoding_left_is_not_used_if_it_is_damaged(tokenizer, tmp_path, large, name):
    def stop():
        raise Stop

    texts = texts_of(100)
    encode_texts(tokenizer, texts, folder=tmp_path / "expected")
    with pytest.raises(Stop):
        encode_texts(tokenizer, EndlessTexts(texts, 60, stop), folder=tmp_path / "cache")
    (part,) = (tmp_path / "cache").glob("*.part")
    damage_by_a_flipped_byte(part / name)
    encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    assert content(tmp_path / "cache") == content(tmp_path / "expected")


def test_a_full_disk_loses_nothing_and_has_room_again(tokenizer, tmp_path, capsys, large):
    texts = texts_of(400)
    expected = encode_texts(tokenizer, texts, folder=tmp_path / "expected")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        encoded = encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_equal(encoded, expected)
    assert "is held in memory" in capsys.readouterr().err and entries(tmp_path / "cache") == []
    assert not list((tmp_path / "cache").glob("*.part"))
    encode_texts(tokenizer, texts, folder=tmp_path / "cache")  # there is room again
    assert content(tmp_path / "cache") == content(tmp_path / "expected")


PROGRAM = """
import os, signal, sys
from pathlib import Path
from paddle_ft.data import arrays
from paddle_ft.tokenization import encode as tokenization
from tests.support.encoded_texts import EndlessTexts, texts_of

arrays.IN_MEMORY, tokenization.BATCH, arrays.CHECKPOINT_SECONDS = 0, 10, -1.0
tokenizer, folder, kill_at = tokenization.fast_tokenizer(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
encoded = []
class Texts(EndlessTexts):
    def __getitem__(self, index):
        if isinstance(index, slice):
            encoded.append(index.start)
        return super().__getitem__(index)
texts = Texts(texts_of(3000), kill_at, lambda: os.kill(os.getpid(), signal.SIGKILL))
ids = tokenization.encode_texts(tokenizer, texts, label="tokenise", folder=folder)
print(len(encoded), len(ids))
"""


def start(tokenizer_folder, folder, kill_at=3000):
    arguments = [sys.executable, "-c", PROGRAM, str(tokenizer_folder), str(folder), str(kill_at)]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_and_then_two_at_once(tokenizer, tmp_path):
    """The first process is killed. Of the two after it, one continues, and the other waits and reads."""
    first = start(tmp_path, tmp_path / "cache", kill_at=2000)
    first.communicate()
    assert first.returncode == -signal.SIGKILL and entries(tmp_path / "cache") == []
    outputs = [process.communicate() for process in [start(tmp_path, tmp_path / "cache") for _ in range(2)]]
    counts = sorted(tuple(map(int, output.split())) for output, _ in outputs)
    assert counts == [(0, 3000), (101, 3000)], outputs  # the batch that was being encoded is repeated
    encode_texts(tokenizer, texts_of(3000), folder=tmp_path / "expected")
    assert content(tmp_path / "cache") == content(tmp_path / "expected")


def test_a_large_file_that_was_cut_is_recognised_without_its_checksum(tokenizer, tmp_path, monkeypatch, capsys, large):
    monkeypatch.setattr(arrays, "CHECKED", 0)
    texts = texts_of(30)
    encode_texts(tokenizer, texts, folder=tmp_path / "cache")
    (path,) = entries(tmp_path / "cache")
    damage_by_cutting(path / "ids.bin")
    assert_equal(encode_texts(tokenizer, texts, folder=tmp_path / "cache"), encode_texts(tokenizer, texts, cache=False))
    assert "ids.bin has" in capsys.readouterr().err
