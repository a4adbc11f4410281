"""Test torch files whose zip archive is damaged: each gives one clear error, and no damaged number is ever read."""

import re
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from convert.errors import ConvertError
from convert.formats import torch_bin
from tests.support.refusals import assert_refused

SHARD = "pytorch_model-00001-of-00002.bin"


@pytest.fixture
def good(checkpoints):
    """Return a file that torch.save wrote."""
    return checkpoints("gpt2/causal_lm-sharded_bin") / SHARD


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


def read_all(path, data):
    """Read all numbers of a file with these contents."""
    path.write_bytes(data)
    return {name: tensor.read() for name, tensor in torch_bin.read(path).items()}


def refusal(path, data):
    """Return the message with which a file is refused, without the file's name."""
    with pytest.raises(ConvertError) as error:
        read_all(path, data)
    return str(error.value).replace(str(path), "FILE")


def entry_named(path, ending):
    return next(entry for entry in entries(path) if entry.filename.endswith(ending))


def changed(data, position, new):
    return data[:position] + new + data[position + len(new) :]


def offset_of(data, entry):
    """Return where the bytes of a member begin."""
    return entry.header_offset + 30 + sum(struct.unpack("<HH", data[entry.header_offset + 26 : entry.header_offset + 30]))


def directory_entry(path, entry):
    """Return where the directory at the archive's end describes a member."""
    return path.read_bytes().rindex(b"PK\x01\x02", 0, path.read_bytes().rindex(entry.orig_filename.encode()))


def test_a_changed_byte_of_a_members_header(good, tmp_path):
    entry = entry_named(good, "data/0")
    data = good.read_bytes()
    assert refusal(tmp_path / "x", changed(data, entry.header_offset, b"Q")) == f"FILE: damaged zip entry {entry.filename}"
    other = changed(data, entry.header_offset + 30, b"?")
    message = f"FILE: zip entry {entry.filename} is called {'?' + entry.filename[1:]!r} where its bytes are; the archive is damaged"
    assert refusal(tmp_path / "x", other) == message


def test_a_name_that_is_not_utf8(good, tmp_path):
    entry = entry_named(good, "data/0")
    data = changed(good.read_bytes(), directory_entry(good, entry) + 46, b"\xff")
    message = refusal(tmp_path / "x", data)
    assert message.startswith("FILE: the directory of the zip archive is damaged (UnicodeDecodeError: 'utf-8' codec can't decode")


def test_a_damaged_directory(good, tmp_path):
    entry = entry_named(good, "data/0")
    data = changed(good.read_bytes(), directory_entry(good, entry), b"QK")
    message = refusal(tmp_path / "x", data)
    assert message == "FILE: the directory of the zip archive is damaged (BadZipFile: Bad magic number for central directory)"


def test_a_member_that_the_directory_makes_longer(good, tmp_path):
    entry = entry_named(good, "data/0")
    sizes = struct.pack("<II", entry.file_size + 5000, entry.file_size + 5000)
    data = changed(good.read_bytes(), directory_entry(good, entry) + 20, sizes)
    message = f"FILE: zip entry {entry.filename} reaches into what comes after it; the archive is damaged"
    assert refusal(tmp_path / "x", data) == message


def test_a_bad_checksum_of_the_pickle_and_of_the_numbers(good, tmp_path):
    data = good.read_bytes()
    for ending in ("data.pkl", "data/0"):
        entry = entry_named(good, ending)
        offset = offset_of(data, entry)
        damaged = changed(data, offset + 7, bytes([data[offset + 7] ^ 1]))
        message = refusal(tmp_path / "x", damaged)
        crc = zlib.crc32(damaged[offset : offset + entry.file_size])
        expected = f"its CRC-32 is {crc:08x}, the archive says {entry.CRC:08x}"
        assert message == f"FILE: zip entry {entry.filename} is damaged: {expected}"


def test_a_file_without_checksums_is_read(good, tmp_path):
    """torch.serialization.set_crc32_options(False) writes 0 for every checksum."""
    data, expected = good.read_bytes(), read_all(tmp_path / "x", good.read_bytes())
    for entry in entries(good):
        data = changed(data, directory_entry(good, entry) + 16, bytes(4))
    for name, array in read_all(tmp_path / "x", data).items():
        np.testing.assert_array_equal(array, expected[name])


def test_a_file_that_was_cut_off(good, tmp_path):
    data = good.read_bytes()
    message = "FILE: a zip archive without a directory at its end; is the download complete?"
    assert {refusal(tmp_path / "x", data[:length]) for length in (10, 1000, len(data) // 2, len(data) - 30)} == {message}


def test_a_decompression_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10_000_000))
    tracemalloc.start()
    with pytest.raises(ConvertError, match=r"zip entry a/data\.pkl is compressed, which torch\.save does not do"):
        torch_bin.read(tmp_path / "x")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_members_that_overlap(good, tmp_path):
    """Two members at the same place, as in a bomb that is small because its members share their bytes."""
    first, second = entry_named(good, "data/0"), entry_named(good, "data/2")
    data = changed(good.read_bytes(), directory_entry(good, second) + 42, struct.pack("<I", first.header_offset))
    message = r"FILE: zip entry \S+ is called '\S+' where its bytes are; the archive is damaged"
    assert re.fullmatch(message, refusal(tmp_path / "x", data))
    with zipfile.ZipFile(tmp_path / "two", "w") as archive:
        inner = b"PK\x03\x04" + bytes(22) + struct.pack("<HH", 3, 0) + b"b/2" + b"12345678"
        archive.writestr("a/1", inner)
        archive.writestr("b/2", b"12345678")
    data = (tmp_path / "two").read_bytes()
    place = directory_entry(tmp_path / "two", entry_named(tmp_path / "two", "b/2"))
    data = changed(data, place + 42, struct.pack("<I", 33))
    assert refusal(tmp_path / "x", data) == "FILE: zip entry a/1 reaches into what comes after it; the archive is damaged"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_named_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("a/data.pkl", b"\x80\x02}.")
    with pytest.raises(ConvertError, match="the zip archive names a member twice"):
        torch_bin.read(tmp_path / "x")


def test_every_byte_of_the_headers_may_be_changed(good, tmp_path):
    """Flip bits of each byte outside the numbers and the pickle: the file is refused, or the same numbers are read."""
    data, expected, refused = good.read_bytes(), read_all(tmp_path / "x", good.read_bytes()), 0
    directory = data.index(b"PK\x01\x02")
    positions = [entry.header_offset + place for entry in entries(good)[:3] for place in range(36)]
    positions += range(directory, min(directory + 300, len(data)), 2)
    positions += range(len(data) - 22, len(data))
    for position in positions:
        try:
            arrays = read_all(tmp_path / "x", changed(data, position, bytes([data[position] ^ 0x55])))
        except ConvertError as error:
            assert str(tmp_path / "x") in str(error)
            refused += 1
        else:
            assert {name: array.tobytes() for name, array in arrays.items()} == {n: a.tobytes() for n, a in expected.items()}
    assert refused > len(positions) // 3


def test_a_damaged_shard_converts_nothing(checkpoint_copy):
    source = checkpoint_copy("gpt2/causal_lm-sharded_bin")
    data, entry = (source / SHARD).read_bytes(), entry_named(source / SHARD, "data/0")
    offset = offset_of(data, entry)
    (source / SHARD).write_bytes(changed(data, offset, bytes([data[offset] ^ 1])))
    assert_refused(source, f"zip entry {entry.filename} is damaged: its CRC-32 is")
