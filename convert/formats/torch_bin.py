"""Read torch.save files (the zip format and the format before torch 1.6) without torch and without running their pickle.

The unpickler knows the few names that a file of tensors needs. For any other name it raises an error before calling anything.
"""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path

import numpy as np

from convert.dtypes import item_size, numpy_dtype
from convert.errors import ConvertError
from convert.formats import StoredTensor, fits_numpy
from convert.formats.stored_zip import MAGIC, Member, check_crc, read_member, read_members
from convert.formats.unpickler import Malformed, StateUnpickler, reason, shown

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
MAX_PICKLE_BYTES = 20_000_000  # enough to describe 100,000 tensors; more would take long to read
MAX_EXPANDED = 2**24  # maximum elements of a tensor that repeats the numbers of its storage (torch's expand)
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class _Dict(dict):
    """A replacement of OrderedDict that drops the `_metadata` attribute of a state dict."""

    def __setstate__(self, state):
        pass


class _Sealed:
    """An object whose attributes the pickle cannot change."""

    def __setstate__(self, state):
        raise Malformed("a tensor is given attributes of its own")


class _Storage(_Sealed):
    """A block of numbers in the file. Its place is set when it is known, in the old format only after the pickle.

    Attributes:
        dtype: Element type.
        key: Its name in the file.
        count: Number of elements.
        offset: Position of its bytes in the file.
        member: Its member of the zip archive whose checksum has not been compared yet; None in the old format.
    """

    def __init__(self, dtype: str, key: str, count: int):
        self.dtype, self.key, self.count = dtype, key, count
        self.offset = 0
        self.member: Member | None = None

    def check(self, path: Path) -> None:
        """Compare the checksum, once."""
        if self.member is not None:
            check_crc(path, self.member)
            self.member = None


class _View(_Sealed):
    """A tensor: a strided view of a storage."""

    def __init__(self, storage, offset, shape, stride, *_):
        self.storage, self.offset, self.shape, self.stride = storage, offset, tuple(shape), tuple(stride)


ALLOWED = {
    ("collections", "OrderedDict"): lambda: _Dict(),  # filled afterwards
    ("torch._utils", "_rebuild_tensor"): _View,
    ("torch._utils", "_rebuild_tensor_v2"): _View,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("torch", "Size"): tuple,
}


class _TensorUnpickler(StateUnpickler):
    """Build dictionaries of tensors. Raise ConvertError for every other name in the pickle."""

    def __init__(self, file, path: Path):
        super().__init__(file, MAX_PICKLE_BYTES, encoding="utf-8")
        self.path = path
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str):
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module in ("torch", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        raise ConvertError(
            f"{self.path}: its pickle asks for {module}.{name}, which a file of tensors does not need; nothing was run. "
            "Save the weights as safetensors, or as a plain state dict of tensors"
        )

    def persistent_load(self, reference):
        try:
            kind, dtype, key, _, count = reference[:5]
        except (TypeError, ValueError):
            raise ConvertError(f"{self.path}: malformed storage reference in its pickle") from None
        if kind != "storage" or dtype not in STORAGES.values() or not isinstance(key, str | int) or not isinstance(count, int):
            raise ConvertError(f"{self.path}: storage of unknown kind {shown(dtype)} in its pickle")
        if len(reference) > 5 and reference[5] is not None:
            raise ConvertError(f"{self.path}: storage views are not supported; save the file with a newer torch")
        storage = self.storages.setdefault(str(key), _Storage(dtype, str(key), count))
        if (storage.dtype, storage.count) != (dtype, count) or count < 0:
            raise ConvertError(f"{self.path}: its pickle describes the storage {key} in two ways, or with a negative length")
        return storage


def read(path: Path) -> dict[str, StoredTensor]:
    """Return all tensors of the file by name.

    Raises:
        ConvertError: The file is damaged, has something other than tensors, or has a pickle that would run code.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
        if not start:
            raise ConvertError(f"{path}: the file is empty; is the download complete?")
        return _read_zip(path) if start == MAGIC else _read_legacy(path)
    except ConvertError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise ConvertError(f"{path}: damaged or not a torch file: {reason(error)}; download or copy it again") from None


def _read_zip(path: Path) -> dict[str, StoredTensor]:
    """Read the current format of torch.save: a zip archive with one pickle and an uncompressed member for each storage."""
    members = read_members(path)
    pickles = [name for name in members if name.rsplit("/", 1)[-1] == "data.pkl"]
    if len(pickles) != 1:
        raise ConvertError(f"{path}: a zip archive without torch's data.pkl; is it a torch.save file?")
    prefix = pickles[0][: -len("data.pkl")]
    byteorder = members.get(f"{prefix}byteorder")
    if byteorder and read_member(path, byteorder, 100) != b"little":
        raise ConvertError(f"{path}: big-endian torch files are not supported")
    unpickler = _TensorUnpickler(io.BytesIO(read_member(path, members[pickles[0]], MAX_PICKLE_BYTES)), path)
    tree = unpickler.load()
    for storage in unpickler.storages.values():
        member = members.get(f"{prefix}data/{storage.key}")
        if member is None or not member.stored:
            raise ConvertError(f"{path}: storage {storage.key} is missing or compressed")
        if member.size < storage.count * item_size(storage.dtype):
            raise ConvertError(f"{path}: storage {storage.key} is shorter than its tensors")
        storage.offset, storage.member = member.offset, member
    return _tensors(path, tree)


def _read_legacy(path: Path) -> dict[str, StoredTensor]:
    """Read the format before torch 1.6.

    The file has five pickles (magic, version, machine, tensors, storage keys), then an int64 count and the bytes of each storage.
    """
    with open(path, "rb") as file:
        if _TensorUnpickler(file, path).load() != LEGACY_MAGIC:
            raise ConvertError(f"{path}: not a torch.save file")
        _TensorUnpickler(file, path).load()
        machine = _TensorUnpickler(file, path).load()
        if isinstance(machine, dict) and machine.get("little_endian") is False:
            raise ConvertError(f"{path}: big-endian torch files are not supported")
        unpickler = _TensorUnpickler(file, path)
        tree = unpickler.load()
        keys = _TensorUnpickler(file, path).load()
        if not isinstance(keys, list) or not set(unpickler.storages) <= {str(key) for key in keys}:
            raise ConvertError(f"{path}: the list of storages does not match the tensors")
        for key in map(str, keys):
            storage = unpickler.storages.get(key)
            count = file.read(8)
            if storage is None or len(count) < 8 or struct.unpack("<q", count)[0] != storage.count:
                raise ConvertError(f"{path}: truncated, or storage {key} has another length than announced")
            storage.offset = file.tell()
            file.seek(storage.count * item_size(storage.dtype), io.SEEK_CUR)
        if file.tell() > path.stat().st_size:
            raise ConvertError(f"{path}: truncated: the header says {file.tell()} bytes, the file has {path.stat().st_size}")
    return _tensors(path, tree)


def _tensors(path: Path, tree: object) -> dict[str, StoredTensor]:
    """Check that the unpickled object is a dictionary of tensors, and return them."""
    if not isinstance(tree, dict):
        raise ConvertError(f"{path}: contains a {type(tree).__name__}, not a dictionary of tensors")
    other_entries = [
        f"{name} ({type(value).__name__.lstrip('_')})"
        for name, value in tree.items()
        if not isinstance(value, _View) or not isinstance(name, str)
    ]
    if other_entries:
        raise ConvertError(f"{path}: only tensors are supported; these entries are something else: {', '.join(other_entries)}")
    return {name: _tensor(path, name, view) for name, view in tree.items()}


def _tensor(path: Path, name: str, view: _View) -> StoredTensor:
    """Check that a tensor is within its storage, and return it."""
    storage, shape, stride = view.storage, view.shape, view.stride
    numbers = (view.offset, *shape, *stride)
    if not isinstance(storage, _Storage) or not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ConvertError(f"{path}: tensor {name}: malformed description {shown(numbers)}")
    end = view.offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=False)) + 1
    if len(shape) != len(stride) or (math.prod(shape) and end > storage.count):
        raise ConvertError(f"{path}: tensor {name}: shape {shape} with stride {stride} reaches beyond its storage")

    if not fits_numpy(shape) or math.prod(shape) > max(storage.count, MAX_EXPANDED):
        raise ConvertError(f"{path}: tensor {name}: shape {shape} is far more than its storage of {storage.count} numbers")

    def read_array() -> np.ndarray:
        dtype = numpy_dtype(storage.dtype)
        if math.prod(shape) == 0:
            return np.zeros(shape, dtype)
        storage.check(path)
        start = storage.offset + view.offset * dtype.itemsize
        window = np.fromfile(path, dtype, end - view.offset, offset=start)
        return np.lib.stride_tricks.as_strided(window, shape, tuple(step * dtype.itemsize for step in stride))

    return StoredTensor(name, storage.dtype, shape, path, read_array)
