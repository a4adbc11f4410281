"""Test damaged and malicious pickles: each gives one clear error, runs nothing and writes nothing."""

import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import convert
from convert.formats import pdparams, torch_bin
from tests.support.refusals import assert_refused


@pytest.fixture
def source(checkpoint_copy):
    """Return a copy of a good checkpoint for a test to damage."""
    return checkpoint_copy("distilbert/sequence_classification")


ROOT = Path(__file__).parents[2]


class Attack:
    """An object that creates a directory when Python's own pickle loads it."""

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


def torch_file(path, pickled):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", bytes(16))
    return path


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"


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
    text = assert_refused(source, "nothing was run")
    assert "mkdir" in text or "builtins." in text
    assert not harm.exists()
    (source / "weights.pdparams").write_bytes(data)
    with pytest.raises(convert.ConvertError, match="nothing was run"):
        pdparams.read(source / "weights.pdparams")
    assert not harm.exists()


def test_a_pickle_with_objects_other_than_tensors(source):
    (source / "model.safetensors").unlink()
    with zipfile.ZipFile(source / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"epoch": 3, "model": {}}))
    assert_refused(source, "these entries are something else: epoch (int), model (dict)")


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
    assert_refused(source, "pytorch_model.bin")


def test_a_key_that_would_overflow_the_stack_when_hashed(tmp_path):
    """Run in a separate process, because the interpreter itself crashes without the check."""
    file = torch_file(tmp_path / "deep.bin", b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.")
    program = "import sys; from pathlib import Path; from convert.formats import torch_bin; torch_bin.read(Path(sys.argv[1]))"
    result = subprocess.run([sys.executable, "-c", program, str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1 and "a dictionary's key is a tuple" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("opcodes", [b"ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\x01sb", b"}X\x01\0\0\0a\x8fs"])
def test_state_that_would_replace_methods_or_needs_hashing(tmp_path, opcodes):
    file = torch_file(tmp_path / "state.bin", b"\x80\x04" + opcodes + b".")
    try:
        assert torch_bin.read(file) == {}, "the attributes must be ignored"
    except convert.ConvertError as error:
        assert "damaged or not a torch file" in str(error)


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (STORAGE + b"}X\x05\0\0\0countK\x63sb", "a tensor is given attributes of its own"),
        (b"ccollections\nOrderedDict\n}X\x01\0\0\0aK\x01sb", "a function or a class is given attributes"),
    ],
)
def test_a_pickle_cannot_set_attributes_of_objects_it_has_made(tmp_path, opcodes, message):
    with pytest.raises(convert.ConvertError, match=message):
        torch_bin.read(torch_file(tmp_path / "changed.bin", b"\x80\x02" + opcodes + b"."))


def test_a_structured_dtype_in_a_pdparams_file(tmp_path):
    (tmp_path / "parts.pdparams").write_bytes(pickle.dumps({"a": np.zeros(2, [("x", "f4")])}, protocol=4))
    with pytest.raises(convert.ConvertError, match="a type of elements with parts of its own"):
        pdparams.read(tmp_path / "parts.pdparams")


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x96" + (2**40).to_bytes(8, "little"),  # a bytearray
        b"\x8e" + (2**40).to_bytes(8, "little"),  # bytes
        b"\x8d" + (2**40).to_bytes(8, "little"),  # a text
        b"\x95" + (2**40).to_bytes(8, "little"),  # a frame
    ],
    ids=["bytearray", "bytes", "text", "frame"],
)
def test_a_length_beyond_the_end_of_the_file_takes_no_memory(tmp_path, opcodes):
    tracemalloc.start()
    with pytest.raises(convert.ConvertError, match="truncated: 1099511627776 bytes are announced, 0 are left"):
        torch_bin.read(torch_file(tmp_path / "long.bin", b"\x80\x05" + opcodes))
    (tmp_path / "long.pdparams").write_bytes(b"\x80\x05" + opcodes)
    with pytest.raises(convert.ConvertError, match="truncated: 1099511627776 bytes are announced, 0 are left"):
        pdparams.read(tmp_path / "long.pdparams")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_pickle_of_many_small_steps_is_not_read_to_its_end(tmp_path, monkeypatch):
    """Its limit is 20 MB; the test takes a lower one, so that it is quick."""
    monkeypatch.setattr("convert.formats.torch_bin.MAX_PICKLE_BYTES", 10_000)
    (tmp_path / "legacy.bin").write_bytes(b"\x80\x02" + b"N0" * 100_000 + b".")
    with pytest.raises(convert.ConvertError, match="its pickle has more than 10000 bytes, which no model needs"):
        torch_bin.read(tmp_path / "legacy.bin")
    with pytest.raises(convert.ConvertError, match=r"zip entry a/data\.pkl has 200003 bytes, which no model needs"):
        torch_bin.read(torch_file(tmp_path / "zip.bin", b"\x80\x02" + b"N0" * 100_000 + b"."))


DOUBLED = b")" + b"2\x86" * 60  # a tuple of two equal tuples, sixty levels deep: its text would have 2 ** 60 characters


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (b"(X\x07\0\0\0storage" + DOUBLED + b"X\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ.", "storage of unknown kind \\(\\("),
        (b"(X\x07\0\0\0storagectorch\nFloatStorage\n" + DOUBLED + b"X\x03\0\0\0cpuK\x04tQ.", "storage of unknown kind"),
        (b"}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + DOUBLED + b"))\x89}tRs.", "malformed description \\(\\("),
    ],
    ids=["kind", "key", "shape"],
)
def test_a_value_whose_text_is_endless_is_cut_in_the_message(tmp_path, opcodes, message):
    with pytest.raises(convert.ConvertError, match=message) as error:
        torch_bin.read(torch_file(tmp_path / "nested.bin", b"\x80\x02" + opcodes))
    assert len(str(error.value)) < 500


def test_a_key_that_is_too_long_a_number(tmp_path):
    number = b"\x8b" + (5000).to_bytes(4, "little") + b"\x7f" * 5000
    with pytest.raises(convert.ConvertError, match="damaged or not a torch file: its bytes are no pickle of tensors"):
        torch_bin.read(torch_file(tmp_path / "key.bin", b"\x80\x02}" + number + b"K\x01s."))


def test_a_storage_described_in_two_ways(tmp_path):
    half = STORAGE.replace(b"FloatStorage", b"HalfStorage")
    with pytest.raises(convert.ConvertError, match="its pickle describes the storage 0 in two ways"):
        torch_bin.read(torch_file(tmp_path / "two.bin", b"\x80\x02" + STORAGE + half + b"."))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_a_big_endian_machine_have_the_same_numbers(tmp_path, protocol):
    (tmp_path / "big.pdparams").write_bytes(pickle.dumps({"w": np.array([1.5, -2.0], ">f4")}, protocol=protocol))
    tensor = pdparams.read(tmp_path / "big.pdparams")["w"]
    assert tensor.dtype == "float32" and tensor.read().tolist() == [1.5, -2.0]
    assert np.dtype("f4").byteorder == "="


def test_an_array_of_objects_is_refused_with_the_name_of_the_file(tmp_path):
    (tmp_path / "objects.pdparams").write_bytes(pickle.dumps({"w": np.array([None, 1])}, protocol=4))
    with pytest.raises(convert.ConvertError, match=r"objects\.pdparams: damaged or not .* arrays of 'O8' are not supported"):
        pdparams.read(tmp_path / "objects.pdparams")


def test_a_tensor_far_larger_than_its_storage(tmp_path):
    """Read a tensor that torch's `expand` made from one number. Loading it in full would fill the memory."""
    number = b"\x8a\x06" + (10**6).to_bytes(6, "little")
    view = (
        b"X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"
        b"K\x04tQK\0(" + number + number + b"t(K\0K\0t\x89}tRs"
    )
    file = torch_file(tmp_path / "expanded.bin", b"\x80\x02}" + view + b".")
    with pytest.raises(convert.ConvertError, match=r"shape \(1000000, 1000000\) is far more than its storage of 4 numbers"):
        torch_bin.read(file)


def test_torch_files_cut_at_every_length(checkpoints, tmp_path):
    """Cut a file of the old format at many lengths. The only error may be a ConvertError."""
    data = (checkpoints("bert/masked_lm-old") / "pytorch_model.bin").read_bytes()
    assert len(torch_bin.read(checkpoints("bert/masked_lm-old") / "pytorch_model.bin")) > 40
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


def test_verify_does_not_run_a_pickle(checkpoints, tmp_path):
    convert.to_paddle(checkpoints("distilbert/masked_lm"), tmp_path / "paddle", progress=False)
    (tmp_path / "paddle" / "model.safetensors").unlink()
    (tmp_path / "paddle" / "model_state.pdparams").write_bytes(pickle.dumps({"w": Attack(tmp_path / "harmed")}))
    with pytest.raises(convert.ConvertError, match="nothing was run"):
        convert.verify(tmp_path / "paddle", checkpoints("distilbert/masked_lm"))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("reader", [torch_bin, pdparams])
@pytest.mark.parametrize(("content", "reason"), [
    (b"h^", "its bytes are no pickle of tensors"),  # a KeyError of pickle: 94
    (b"X\x01\0\0\0\xe8.", "its bytes are no pickle of tensors"),  # a UnicodeDecodeError
    (b"\x80\x02}", "it ends too early"),
])  # fmt: skip
def test_what_is_no_weight_file_is_said_without_names_of_exceptions(tmp_path, reader, content, reason):
    file = tmp_path / "weights"
    file.write_bytes(content)
    with pytest.raises(convert.ConvertError) as caught:
        reader.read(file)
    kind = "torch" if reader is torch_bin else ".pdparams"
    assert str(caught.value) == f"{file}: damaged or not a {kind} file: {reason}; download or copy it again"
