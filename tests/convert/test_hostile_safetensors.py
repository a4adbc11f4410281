"""Test damaged safetensors files and indexes: each gives one clear error and writes nothing."""

import json
import struct

import numpy as np
import pytest

from convert.formats import safetensors
from tests.support.refusals import assert_refused


@pytest.fixture
def source(checkpoint_copy):
    """Return a copy of a good checkpoint for a test to damage."""
    return checkpoint_copy("distilbert/sequence_classification")


def read_header(source):
    """Return the header of model.safetensors, and the bytes after it."""
    data = (source / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_header(source, header, rest):
    text = json.dumps(header).encode()
    (source / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + rest)


def test_truncated(source):
    data = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(data[:-10])
    assert_refused(source, f"the header describes {len(data)} bytes, the file has {len(data) - 10}")


def test_zero_length(source):
    (source / "model.safetensors").write_bytes(b"")
    assert_refused(source, "0 bytes are too few for a safetensors file")


def test_wrong_magic(source):
    (source / "model.safetensors").write_bytes(
        b"404 not found, and more text than eight bytes, which begins no header of a safetensors file"
    )
    assert_refused(source, "not a safetensors file, or a truncated one")


def test_header_length_beyond_the_file(source):
    data = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + data[8:])
    assert_refused(source, f"it announces a header of {2**62} bytes")


def test_header_that_is_not_json(source):
    (source / "model.safetensors").write_bytes(struct.pack("<Q", 4) + b"{{{{")
    assert_refused(source, "the safetensors header is not JSON")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [3, 9]}, "tensor classifier.weight: shape [3, 9] of F32 needs 108 bytes, its offsets give 96"),
        ({"shape": [-3, -8]}, "must be non-negative integers"),
        ({"shape": "3x8"}, "must be non-negative integers"),
        ({"dtype": "F12"}, "element type 'F12' is not supported"),
        ({"data_offsets": [0, 96]}, "overlaps another tensor"),
        ({"data_offsets": [10**9, 10**9 + 96]}, "leaves a gap"),
        ({"data_offsets": None}, "the header must give dtype, shape and data_offsets"),
    ],
)
def test_header_entries_that_do_not_add_up(source, change, message):
    header, rest = read_header(source)
    header["classifier.weight"].update(change)
    write_header(source, header, rest)
    assert_refused(source, message)


@pytest.mark.parametrize("metadata", [0.0, [], {"format": 1}, "pt"])
def test_metadata_that_is_no_map_of_texts(source, metadata):
    header, rest = read_header(source)
    write_header(source, {**header, "__metadata__": metadata}, rest)
    assert_refused(source, "the safetensors header's __metadata__ must map names to texts")


def test_a_tensor_named_twice(source):
    data = (source / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    text = data[8 : 8 + length].replace(b'"classifier.bias"', b'"pre_classifier.bias"').rstrip()
    (source / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    assert_refused(source, "names a tensor twice")


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "..", "", "a\\b", "sub/model.safetensors"])
def test_index_entries_with_path_components(source, shard):
    header, _ = read_header(source)
    (source / "model.safetensors").rename(source / "part.safetensors")
    weight_map = {name: shard for name in header if name != "__metadata__"}
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_refused(source, f"{shard!r} is not a plain file name")


def test_index_and_shards_that_disagree(source):
    header, _ = read_header(source)
    (source / "model.safetensors").rename(source / "part.safetensors")
    weight_map = {name: "part.safetensors" for name in header if name not in ("__metadata__", "classifier.bias")}
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {**weight_map, "ghost": "part.safetensors"}}))
    text = assert_refused(source, "index and shards disagree")
    assert "ghost (in part.safetensors)" in text and "classifier.bias (in part.safetensors)" in text
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_refused(source, "missing: none; not listed: ['classifier.bias (in part.safetensors)']")


def test_a_missing_shard(source):
    (source / "model.safetensors").unlink()
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    assert_refused(source, "the shard gone.safetensors is missing")


@pytest.mark.parametrize("shape", [[0, 2**63], [0] + [1] * 70])
def test_shapes_that_no_array_can_have(source, shape):
    header, rest = read_header(source)
    header["distilbert.embeddings.position_ids"] = {"dtype": "F32", "shape": shape, "data_offsets": [len(rest)] * 2}
    write_header(source, header, rest)
    assert_refused(source, "an array cannot have the shape")


def test_numbers_too_long_and_types_that_are_not_strings(source):
    header, rest = read_header(source)
    header["odd"] = {"dtype": ["F32"], "shape": [0], "data_offsets": [len(rest)] * 2}
    write_header(source, header, rest)
    assert_refused(source, "element type ['F32'] is not supported")
    text = b'{"odd": ' + b"9" * 5000 + b"}"
    (source / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    assert_refused(source, "the safetensors header is not JSON")
    (source / "config.json").write_bytes(text)
    assert_refused(source, "config.json: not valid JSON")


def test_unusual_tensors_are_written_and_read(tmp_path):
    """Write and read zero-size tensors, scalars, bfloat16, and arrays that are not contiguous."""
    tensors = [
        ("empty", "float32", (0, 4), lambda: np.zeros((0, 4), "f4")),
        ("scalar", "int64", (), lambda: np.array(7)),
        ("half", "bfloat16", (2,), lambda: np.array([16256, 49024], "u2")),
        ("strided", "float32", (3, 2), lambda: np.arange(6, dtype="f4").reshape(2, 3).T),
    ]
    safetensors.write(tmp_path / "x", tensors, {"format": "pt"})
    read = safetensors.read(tmp_path / "x")
    assert list(read) == ["empty", "scalar", "half", "strided"]
    assert read["scalar"].read() == 7 and read["empty"].read().shape == (0, 4)
    np.testing.assert_array_equal(read["strided"].read(), [[0, 3], [1, 4], [2, 5]])
    from safetensors.numpy import load_file

    np.testing.assert_array_equal(load_file(tmp_path / "x")["strided"], [[0, 3], [1, 4], [2, 5]])
