"""Fuzz the files of weights: safetensors, torch's two formats, .pdparams, and the index of a sharded checkpoint."""

from __future__ import annotations

import functools
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from convert.formats import StoredTensor, pdparams, safetensors, sentencepiece, torch_bin
from convert.tensors import Weights, open_weights
from tests.fuzz.mutation import mutated_files, mutated_json, one_file, quickly_mutated
from tests.fuzz.target import Files, Target
from tests.support.checkpoints import archive_files

MEGABYTES = 200
# Opcodes with their arguments: calls that a pickle must not make, long lengths, persistent ids, states, keys that are no texts.
PICKLE_WORDS = (
    b"cos\nsystem\n(S'FUZZ_CODE'\ntR", b"cbuiltins\neval\n(S'FUZZ_CODE'\ntR", b"cbuiltins\nexec\n", b"cbuiltins\ngetattr\n",
    b"cnumpy\nload\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n",
    b"cnumpy\ndtype\n(X\x02\0\0\0f4tR", b"cnumpy\ndtype\n(X\x02\0\0\0O8tR", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"c_codecs\nencode\n", b"\x96" + b"\xff" * 6 + b"\0\0", b"\x8e" + b"\xff" * 6 + b"\0\0", b"B\xff\xff\xff\x7f",
    b"X\xff\xff\xff\x7f", b"\x95" + b"\xff" * 8, b"\x8b\x10\0\0\0" + b"\xff" * 16, b"G\x7f\xf8" + b"\0" * 6, b"2\x86" * 40,
    *(bytes([opcode]) for opcode in b"Qb}])(tRsu02N.\x81\x85\x86\x88\x93\x94"), b"P1\n", b"K\0", b"K\x01", b"M\xff\xff",
    b"h\0", b"q\0", b"\x80\x05",
)  # fmt: skip
ZIP_WORDS = (
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"\x08\0", b"\x01\x08", b"/data/0", b"../x", b"/x", b"byteorder",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------------- good files
@functools.cache
def torch_zip() -> bytes:
    return archive_files("gpt2", "causal_lm-sharded_bin")["pytorch_model-00001-of-00002.bin"]


def torch_pickle() -> bytes:
    """Return the pickle of a file that torch.save writes: three tensors, two of which share a storage."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def storage(kind: bytes, key: str, count: int) -> bytes:
        return b"(" + text("storage") + b"ctorch\n" + kind + b"\n" + text(key) + text("cpu") + bytes([75, count]) + b"tQ"

    def tensor(name: str, its_storage: bytes, offset: int, shape: bytes, stride: bytes) -> bytes:
        rest = bytes([75, offset]) + shape + stride + b"\x89ccollections\nOrderedDict\n)R"
        return text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + its_storage + rest + b"tR"

    tensors = tensor("a.weight", storage(b"FloatStorage", "0", 12), 0, b"K\x02K\x03\x86", b"K\x03K\x01\x86")
    tensors += tensor("b", storage(b"FloatStorage", "0", 12), 6, b"K\x06\x85", b"K\x01\x85")
    tensors += tensor("c", storage(b"BFloat16Storage", "1", 4), 0, b"K\x02K\x02\x86", b"K\x01K\x02\x86")
    return b"\x80\x02ccollections\nOrderedDict\nq\0)Rq\x01(" + tensors + b"u}X\x09\0\0\0_metadataq\x02}sb."


@functools.cache
def paddle_files() -> list[bytes]:
    matrix = np.arange(6, dtype="f4").reshape(2, 3)
    arrays = {"a.weight": matrix, "b": np.arange(3), "c": np.zeros((2, 0), "f2"), "d": np.array(True)}
    with_names = {**arrays, "tied": ("param_1", arrays["b"]), pdparams.NAME_TABLE: {"a.weight": "param_0"}}
    return [pickle.dumps(with_names, protocol) for protocol in (2, 4, 5)] + [pickle.dumps({"x": np.ones(2, ">f8")}, 4)]


def safetensors_file(header: object, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    "c": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]},
    "d": {"dtype": "BOOL", "shape": [0, 5], "data_offsets": [40, 40]},
}
DATA = bytes(range(40))


# --------------------------------------------------------------------------------------------------------------------- targets
def read_all(tensors: dict[str, StoredTensor]) -> dict[str, bytes]:
    """Read all numbers, which must have the shape and the number of bytes that were announced."""
    contents = {}
    for name, tensor in tensors.items():
        array = tensor.read()
        assert array.shape == tensor.shape, (name, array.shape, tensor.shape)
        contents[name] = np.ascontiguousarray(array).tobytes()
    return contents


def read_safetensors(folder: Path) -> None:
    """Read the file. What is accepted must be what the format's own library reads."""
    import safetensors as library

    tensors = safetensors.read(folder / "x.safetensors")
    contents = read_all(tensors)
    theirs = dict(library.deserialize((folder / "x.safetensors").read_bytes()))
    assert {name: (tuple(entry["shape"]), bytes(entry["data"])) for name, entry in theirs.items()} == {
        name: (tensors[name].shape, content) for name, content in contents.items()
    }


def read_torch(folder: Path) -> None:
    read_all(torch_bin.read(folder / "x.bin"))


def read_torch_pickle(folder: Path) -> None:
    """Put the pickle into a sound archive, so that it is reached behind the checksums."""
    with zipfile.ZipFile(folder / "x.bin", "w") as archive:
        archive.writestr("x/data.pkl", (folder / "data.pkl").read_bytes())
        for number in range(3):
            archive.writestr(f"x/data/{number}", bytes(range(48)))
    read_torch(folder)


def read_paddle(folder: Path) -> None:
    read_all(pdparams.read(folder / "x.pdparams"))
    assert np.dtype("f4").byteorder == "=", "a pickle has changed NumPy's type"


def read_sharded(folder: Path) -> None:
    weights: Weights = open_weights(folder)
    read_all(weights.tensors)
    assert all(path.parent == folder for path in weights.files)


def read_sentencepiece(folder: Path) -> None:
    model = sentencepiece.read(folder / "spiece.model")
    assert model.pieces and isinstance(model.unknown, int)


def sharded() -> Files:
    """Return a checkpoint of two shards and their index."""
    first, second = {"a": HEADER["a"]}, {"b": {**HEADER["b"], "data_offsets": [0, 8]}}
    index = {"metadata": {"total_size": 32}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    return {
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-1.safetensors": safetensors_file(first, DATA[:24]),
        "model-2.safetensors": safetensors_file(second, DATA[24:32]),
    }


def of_file(name: str, make_seeds: Callable[[], list[bytes]], words: tuple[bytes, ...]) -> SearchStrategy[Files]:
    """Return a file with changed contents. The good ones are made when they are needed, as it takes time."""
    return one_file(name, st.deferred(lambda: quickly_mutated(make_seeds(), words)))


HEADERS = st.builds(safetensors_file, mutated_json(HEADER), st.sampled_from([DATA, DATA[:-1], b""]))

TARGETS = (
    Target(
        "weights_safetensors",
        read_safetensors,
        one_file("x.safetensors", st.one_of(quickly_mutated([safetensors_file(HEADER, DATA)], (b"F64", b"data_offsets")), HEADERS)),
        megabytes=MEGABYTES,
    ),
    Target("weights_torch_zip", read_torch, of_file("x.bin", lambda: [torch_zip()], ZIP_WORDS), megabytes=MEGABYTES),
    Target(
        "weights_torch_pickle",
        read_torch_pickle,
        of_file("data.pkl", lambda: [torch_pickle()], PICKLE_WORDS),
        megabytes=MEGABYTES,
    ),
    Target(
        "weights_torch_legacy",
        read_torch,
        of_file("x.bin", lambda: [archive_files("bert", "masked_lm-old")["pytorch_model.bin"]], PICKLE_WORDS),
        megabytes=MEGABYTES,
    ),
    Target("weights_pdparams", read_paddle, of_file("x.pdparams", paddle_files, PICKLE_WORDS), megabytes=MEGABYTES),
    Target(
        "weights_sharded",
        read_sharded,
        mutated_files([sharded()], (b"../x", b"/etc/passwd", b"model-1.safetensors", b"weight_map")),
        megabytes=MEGABYTES,
    ),
    Target(
        "weights_sentencepiece",
        read_sentencepiece,
        of_file("spiece.model", lambda: [archive_files("tokenizers", "t5-saved")["spiece.model"]], (b"\x0a", b"\x12")),
        megabytes=MEGABYTES,
    ),
)
