"""Damaged and malicious input: one clear error each, nothing run, nothing written."""

import json
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import convert
from convert.formats import pdparams, safetensors, sentencepiece, torch_bin

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(checkpoints, tmp_path):
    """A copy of a good checkpoint, to be damaged."""
    target = tmp_path / "source"
    shutil.copytree(checkpoints("distilbert/sequence_classification"), target)
    return target


def refused(source, message, **options):
    """The conversion fails with that message and leaves nothing behind."""
    destination = source.parent / "destination"
    before = sorted(path.name for path in source.parent.iterdir())
    with pytest.raises(convert.ConvertError) as error:
        convert.to_paddle(source, destination, progress=False, **options)
    assert message in str(error.value)
    assert sorted(path.name for path in source.parent.iterdir()) == before, "something was written"
    return str(error.value)


def header_of(source):
    data = (source / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_header(source, header, rest):
    text = json.dumps(header).encode()
    (source / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + rest)


def test_truncated(source):
    data = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(data[:-10])
    refused(source, f"the header describes {len(data)} bytes, the file has {len(data) - 10}")


def test_zero_length(source):
    (source / "model.safetensors").write_bytes(b"")
    refused(source, "0 bytes are too few for a safetensors file")


def test_wrong_magic(source):
    (source / "model.safetensors").write_bytes(b"<html><body>404 not found, and more text than eight bytes</body></html>")
    refused(source, "not a safetensors file, or a truncated one")


def test_header_length_beyond_the_file(source):
    data = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + data[8:])
    refused(source, f"it announces a header of {2**62} bytes")


def test_header_that_is_not_json(source):
    (source / "model.safetensors").write_bytes(struct.pack("<Q", 4) + b"{{{{")
    refused(source, "the safetensors header is not JSON")


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
    header, rest = header_of(source)
    header["classifier.weight"].update(change)
    write_header(source, header, rest)
    refused(source, message)


def test_a_tensor_named_twice(source):
    data = (source / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    text = data[8 : 8 + length].replace(b'"classifier.bias"', b'"pre_classifier.bias"').rstrip()
    (source / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    refused(source, "names a tensor twice")


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "..", "", "a\\b", "sub/model.safetensors"])
def test_index_entries_with_path_components(source, shard):
    header, _ = header_of(source)
    (source / "model.safetensors").rename(source / "part.safetensors")
    weight_map = {name: shard for name in header if name != "__metadata__"}
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    refused(source, f"{shard!r} is not a plain file name")


def test_index_and_shards_that_disagree(source):
    header, _ = header_of(source)
    (source / "model.safetensors").rename(source / "part.safetensors")
    weight_map = {name: "part.safetensors" for name in header if name not in ("__metadata__", "classifier.bias")}
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {**weight_map, "ghost": "part.safetensors"}}))
    text = refused(source, "index and shards disagree")
    assert "ghost (in part.safetensors)" in text and "classifier.bias (in part.safetensors)" in text
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    refused(source, "missing: none; not listed: ['classifier.bias (in part.safetensors)']")


def test_a_missing_shard(source):
    (source / "model.safetensors").unlink()
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    refused(source, "the shard gone.safetensors is missing")


class Attack:
    """Unpickled by Python's own pickle, this would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def attacks(path):
    return {
        "reduce": pickle.dumps({"w": Attack(path)}, protocol=2),
        "old protocol": pickle.dumps({"w": Attack(path)}, protocol=0),
        "stack global": pickle.dumps({"w": Attack(path)}, protocol=4),
        "eval": b"cbuiltins\neval\n(S'1'\ntR.",
        "getattr": b"cbuiltins\ngetattr\n(ctorch._utils\n_rebuild_tensor_v2\nS'__globals__'\ntR.",
    }


@pytest.mark.parametrize("name", sorted(attacks("x")))
@pytest.mark.parametrize("container", ["zip", "bare"])
def test_a_pickle_that_would_run_code(source, name, container, tmp_path):
    harm = tmp_path / "source" / "harmed"
    data = attacks(harm)[name]
    (source / "model.safetensors").unlink()
    if container == "zip":
        with zipfile.ZipFile(source / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", data)
    else:
        (source / "pytorch_model.bin").write_bytes(data)
    text = refused(source, "nothing was run")
    assert "mkdir" in text or "builtins." in text
    assert not harm.exists()
    (source / "weights.pdparams").write_bytes(data)
    with pytest.raises(convert.ConvertError, match="nothing was run"):
        pdparams.read(source / "weights.pdparams")
    assert not harm.exists()


def test_a_pickle_with_something_else_than_tensors(source):
    (source / "model.safetensors").unlink()
    with zipfile.ZipFile(source / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"epoch": 3, "model": {}}))
    refused(source, "these entries are something else: epoch (int), model (dict)")


def test_a_torch_tensor_that_reaches_beyond_its_storage(tmp_path):
    data = (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x05\x85K\x01\x85\x89}tRs."
    )
    with zipfile.ZipFile(tmp_path / "x.bin", "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", b"\0" * 8)
    with pytest.raises(convert.ConvertError, match="tensor w: shape \\(5,\\) with stride \\(1,\\) reaches beyond its storage"):
        torch_bin.read(tmp_path / "x.bin")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 broken", b"\x80\x02garbage", b"\x80\x02}q\x00(", b"nonsense" * 100])
def test_damaged_torch_files(source, data):
    (source / "model.safetensors").unlink()
    (source / "pytorch_model.bin").write_bytes(data)
    refused(source, "pytorch_model.bin")


def torch_file(path, pickled):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", bytes(16))
    return path


def test_a_key_that_would_overflow_the_stack_when_hashed(tmp_path):
    """In a process of its own: without the check the interpreter itself crashes."""
    file = torch_file(tmp_path / "deep.bin", b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.")
    program = "import sys; from pathlib import Path; from convert.formats import torch_bin; torch_bin.read(Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", program, str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "a dictionary's key is a tuple" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("opcodes", [b"ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\x01sb", b"}X\x01\0\0\0a\x8fs"])
def test_state_that_would_replace_methods_or_needs_hashing(tmp_path, opcodes):
    file = torch_file(tmp_path / "state.bin", b"\x80\x04" + opcodes + b".")
    try:
        assert torch_bin.read(file) == {}, "attributes count for nothing"
    except convert.ConvertError as error:
        assert "damaged or not a torch file" in str(error)


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (STORAGE + b"}X\x05\0\0\0countK\x63sb", "a tensor is given attributes of its own"),
        (b"ccollections\nOrderedDict\n}X\x01\0\0\0aK\x01sb", "a function or a class is given attributes"),
    ],
)
def test_what_the_pickle_has_made_it_cannot_change(tmp_path, opcodes, message):
    with pytest.raises(convert.ConvertError, match=message):
        torch_bin.read(torch_file(tmp_path / "changed.bin", b"\x80\x02" + opcodes + b"."))


def test_a_type_of_elements_with_parts_in_a_file_of_paddles(tmp_path):
    (tmp_path / "parts.pdparams").write_bytes(pickle.dumps({"a": np.zeros(2, [("x", "f4")])}, protocol=4))
    with pytest.raises(convert.ConvertError, match="a type of elements with parts of its own"):
        pdparams.read(tmp_path / "parts.pdparams")


def test_a_tensor_that_repeats_its_storage_without_end(tmp_path):
    """torch's `expand` makes such a tensor of one number; read, it would fill the memory."""
    number = b"\x8a\x06" + (10**6).to_bytes(6, "little")
    view = (
        b"X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"
        b"K\x04tQK\0(" + number + number + b"t(K\0K\0t\x89}tRs"
    )
    file = torch_file(tmp_path / "expanded.bin", b"\x80\x02}" + view + b".")
    with pytest.raises(convert.ConvertError, match=r"shape \(1000000, 1000000\) is far more than its storage of 4 numbers"):
        torch_bin.read(file)


@pytest.mark.parametrize("shape", [[0, 2**63], [0] + [1] * 70])
def test_shapes_that_no_array_can_have(source, shape):
    header, rest = header_of(source)
    header["distilbert.embeddings.position_ids"] = {"dtype": "F32", "shape": shape, "data_offsets": [len(rest)] * 2}
    write_header(source, header, rest)
    refused(source, "is none that an array can have")


def test_numbers_too_long_and_types_that_are_no_text(source):
    header, rest = header_of(source)
    header["odd"] = {"dtype": ["F32"], "shape": [0], "data_offsets": [len(rest)] * 2}
    write_header(source, header, rest)
    refused(source, "element type ['F32'] is not supported")
    text = b'{"odd": ' + b"9" * 5000 + b"}"
    (source / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    refused(source, "the safetensors header is not JSON")
    (source / "config.json").write_bytes(text)
    refused(source, "config.json: not valid JSON")


def test_torch_files_cut_at_every_length(checkpoints, tmp_path):
    """Never anything but a ConvertError, wherever the old format is cut."""
    data = (checkpoints("bert/masked_lm-old") / "pytorch_model.bin").read_bytes()
    whole = torch_bin.read(checkpoints("bert/masked_lm-old") / "pytorch_model.bin")
    assert len(whole) > 40
    for length in range(0, len(data), 97):
        (tmp_path / "cut.bin").write_bytes(data[:length])
        with pytest.raises(convert.ConvertError):
            torch_bin.read(tmp_path / "cut.bin")


def test_paddle_files_cut_at_every_length(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("distilbert/base"), tmp_path / "paddle", format="pdparams", progress=False)
    data = (tmp_path / "paddle" / "model_state.pdparams").read_bytes()
    for length in range(0, len(data), 499):
        (tmp_path / "cut").write_bytes(data[:length])
        with pytest.raises(convert.ConvertError):
            pdparams.read(tmp_path / "cut")


def test_sentencepiece_files_cut_at_every_length(checkpoints, tmp_path):
    data = (checkpoints("tokenizers/t5-saved") / "spiece.model").read_bytes()
    assert len(sentencepiece.read(checkpoints("tokenizers/t5-saved") / "spiece.model").pieces) > 50
    (tmp_path / "cut").write_bytes(data[:1])
    with pytest.raises(convert.ConvertError, match="not a sentencepiece model"):
        sentencepiece.read(tmp_path / "cut")
    for length in range(1, 200):  # a cut on a field's border is a valid, shorter message
        (tmp_path / "cut").write_bytes(data[:length])
        try:
            sentencepiece.read(tmp_path / "cut")
        except convert.ConvertError as error:
            assert str(tmp_path / "cut") in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "config.json: not valid JSON"),
        ("[]", "must be a JSON object, found list"),
        ('{"model_type": "wav2vec2"}', "model_type 'wav2vec2' is not supported; supported are: albert, bart, bert"),
        ("{}", "no model_type, so the architecture is unknown"),
        ("[" * 100_000, "config.json: not valid JSON"),
    ],
)
def test_config_that_is_no_config(source, text, message):
    (source / "config.json").write_text(text)
    refused(source, message)


def test_half_a_character(source):
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "odd": "\U0001f600"}))  # a whole one, as a pair of escapes
    convert.to_paddle(source, source.parent / "whole", progress=False)
    (source / "config.json").write_text(json.dumps({**config, "odd": "\ud800"}))
    refused(source, "config.json: not valid JSON")


def test_a_config_that_is_a_directory(source):
    (source / "config.json").unlink()
    (source / "config.json").mkdir()
    refused(source, "config.json: cannot be read (Is a directory)")


def test_a_missing_config(source):
    (source / "config.json").unlink()
    refused(source, "config.json: not found")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tf_model.h5", "TensorFlow weights are not supported; supported are model.safetensors, pytorch_model.bin"),
        ("model.gguf", "GGUF weights are not supported"),
        ("model.onnx", "ONNX graphs are not supported"),
        ("flax_model.msgpack", "Flax weights are not supported"),
    ],
)
def test_formats_that_are_not_supported(source, name, message):
    (source / "model.safetensors").rename(source / name)
    refused(source, message)


def test_an_empty_directory(tmp_path):
    (tmp_path / "source").mkdir()
    refused(tmp_path / "source", "config.json: not found")


def test_no_weights(source):
    (source / "model.safetensors").unlink()
    refused(source, "no weights found; supported are")


def test_a_damaged_tokenizer(source):
    (source / "tokenizer.json").write_text('{"version": "1.0"}')
    refused(source, "tokenizer.json: not a tokenizer.json that this version of tokenizers reads")


def test_a_vocabulary_that_is_not_text(source):
    (source / "vocab.txt").write_bytes(b"\xff\xfe\x00bad")
    refused(source, "vocab.txt: not UTF-8 text")


def test_the_source_is_never_written_to(source):
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    with pytest.raises(convert.ConvertError, match="must be apart from each other"):
        convert.to_paddle(source, source, overwrite=True, progress=False)
    with pytest.raises(convert.ConvertError, match="must be apart from each other"):
        convert.to_paddle(source, source / "inside", progress=False)
    with pytest.raises(convert.ConvertError, match="must be apart from each other"):
        convert.to_paddle(source, source.parent, overwrite=True, progress=False)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_a_failure_while_writing_leaves_nothing(source, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("convert.forward.write_paddle_tokenizer", full_disk)
    refused(source, "cannot be written (No space left on device)")


def test_a_process_killed_in_the_middle_leaves_no_destination(source):
    """Nothing of it can tidy up then; the half-made files lie under another name."""
    program = (
        "import os, signal, sys, convert, convert.forward\n"
        "convert.forward.write_paddle_tokenizer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "convert.to_paddle(sys.argv[1], sys.argv[2], progress=False)"
    )
    destination = source.parent / "destination"
    done = subprocess.run([sys.executable, "-c", program, str(source), str(destination)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    left = [path.name for path in source.parent.iterdir() if path != source]
    assert not destination.exists() and len(left) == 1 and left[0].startswith(".destination.partial-")
    convert.to_paddle(source, destination, progress=False)


def test_safetensors_of_other_writers_are_read_alike(tmp_path):
    """Zero-size tensors, scalars, every type."""
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


def test_verify_does_not_run_a_pickle(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("distilbert/masked_lm"), tmp_path / "paddle", progress=False)
    (tmp_path / "paddle" / "model.safetensors").unlink()
    (tmp_path / "paddle" / "model_state.pdparams").write_bytes(pickle.dumps({"w": Attack(tmp_path / "harmed")}))
    with pytest.raises(convert.ConvertError, match="nothing was run"):
        convert.verify(tmp_path / "paddle", checkpoints("distilbert/masked_lm"))
    assert not (tmp_path / "harmed").exists()
