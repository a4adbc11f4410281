"""Load oneDNN, the library of CPU kernels in Paddle's wheels, and call its kernels on Paddle's tensors.

The library has a C interface, so ctypes is enough: nothing is compiled or installed. The numbers are those of version 3
(dnnl_types.h of oneDNN).
"""

from __future__ import annotations

import ctypes
import functools
import math
import threading
import weakref
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import paddle

_NAMES = ("libdnnl.so.3", "mkldnn.dll", "dnnl.dll", "libdnnl.3.dylib")  # on Linux, Windows and macOS
_CPU, _IN_ORDER = 1, 1
HALVES, FLOATS, BYTES = 2, 3, 6  # kinds of numbers: bfloat16, float32, and unsigned bytes such as NumPy's booleans
ADDED = 2 << 15 | 2  # the second operand of a kernel's second step after its main one
SRC, DST, WEIGHTS, DIFF_DST = 1, 17, 33, 145  # arguments of kernels
TRAINING = 64  # what an output is computed for
_LINEAR, _ADD = 0x26, 0x1FFF0
_AVX512, _AVX512_BF16 = 0x27, 0xE7  # parts of the instruction sets that the processor has
_SCRATCHPAD, _SCRATCHPAD_SHAPE, _OF_CALLER, _ALIGNED = 80, 136, 1, 4096


class OneDNNError(RuntimeError):
    """The library is not there, or a call did not succeed."""


class _Argument(ctypes.Structure):
    _fields_ = (("name", c_int), ("memory", c_void_p))


class Library:
    """The loaded library, with an engine (the CPU) and a stream, in which kernels run one after the other."""

    def __init__(self, path: Path):
        """Load the file. Raise OSError if that fails, OneDNNError if it is not version 3."""
        self._functions = ctypes.CDLL(str(path))
        self._functions.dnnl_version.restype = POINTER(c_int)
        self._functions.dnnl_memory_desc_get_size.restype = c_size_t
        self._functions.dnnl_primitive_desc_query_md.restype = c_void_p
        self.move, self.execute = self._functions.dnnl_memory_set_data_handle, self._functions.dnnl_primitive_execute
        self.move.argtypes = c_void_p, c_void_p  # with their types, functions take numbers
        self.execute.argtypes = c_void_p, c_void_p, c_int, c_void_p
        self.version = tuple(self._functions.dnnl_version()[:3])
        if self.version[0] != 3:
            raise OneDNNError(f"version {self.version} of oneDNN")
        instructions = self._functions.dnnl_get_effective_cpu_isa()
        self.has_avx512 = instructions & _AVX512 == _AVX512
        self.has_bfloat16 = instructions & _AVX512_BF16 == _AVX512_BF16  # AMX includes it
        self.engine = self.create("dnnl_engine_create", "dnnl_engine_destroy", _CPU, c_size_t(0))
        self.stream = self.create("dnnl_stream_create", "dnnl_stream_destroy", self.engine, c_uint(_IN_ORDER))

    def bytes_of(self, shape: Object | c_void_p) -> int:
        """Return how much memory a tensor of a shape takes."""
        return self._functions.dnnl_memory_desc_get_size(shape)

    def scratchpad_of(self, described: Object) -> c_void_p:
        """Return the shape of the memory that a kernel needs while it runs."""
        return c_void_p(self._functions.dnnl_primitive_desc_query_md(described, _SCRATCHPAD_SHAPE, 0))

    def call(self, name: str, *arguments) -> None:
        """Call a function that returns a status. Raise OneDNNError unless it is success."""
        if status := getattr(self._functions, name)(*arguments):
            raise OneDNNError(f"{name} returned status {status}")

    def create(self, name: str, destroy: str, *arguments) -> Object:
        """Return an object that a function makes, which `destroy` ends when Python no longer uses it."""
        handle = c_void_p()
        self.call(name, byref(handle), *arguments)
        return Object(handle, functools.partial(getattr(self._functions, destroy), handle))


class Object:
    """An object of the library."""

    def __init__(self, handle: c_void_p, destroy):
        self._as_parameter_ = handle  # ctypes passes this to functions
        weakref.finalize(self, destroy).atexit = False  # the process ends with all of them

    @property
    def address(self) -> int | None:
        """Where the object is."""
        return self._as_parameter_.value


@functools.cache
def library() -> Library:
    """Return the library of Paddle's folder. Raise OneDNNError or OSError if it cannot be used."""
    folder = Path(paddle.__file__).parent / "libs"
    path = next((folder / name for name in _NAMES if (folder / name).exists()), None)
    if path is None:
        raise OneDNNError(f"no oneDNN in {folder}")
    return Library(path)


def shape(*dimensions: int, strides: tuple[int, ...] | None = None, kind: int = FLOATS) -> Object:
    """Return oneDNN's description of a tensor; default: contiguous, of float32 numbers."""
    if strides is None:
        strides = tuple(functools.reduce(int.__mul__, dimensions[i + 1 :], 1) for i in range(len(dimensions)))
    else:  # oneDNN takes a stride for another's where a dimension of size 1 has the same one
        extent = max(size * stride for size, stride in zip(dimensions, strides, strict=True))
        strides = tuple(extent if size == 1 else stride for size, stride in zip(dimensions, strides, strict=True))
    array = c_int64 * len(dimensions)
    numbers = len(dimensions), array(*dimensions), kind, array(*strides)
    return library().create("dnnl_memory_desc_create_with_strides", "dnnl_memory_desc_destroy", *numbers)


def description(kind: str, *arguments, settings: Object | None = None) -> Object:
    """Return the description of a kernel of a kind such as "eltwise_forward".

    Args:
        kind: the kind.
        *arguments: those after the engine in C, without the last.
        settings: the last argument in C, of `attributes`.
    """
    name = f"dnnl_{kind}_primitive_desc_create"
    return library().create(name, "dnnl_primitive_desc_destroy", library().engine, *arguments, settings or attributes())


def conversion(source: Object, target: Object) -> Kernel:
    """Return a kernel that writes numbers of one kind as another kind."""
    engine = library().engine
    name = "dnnl_reorder_primitive_desc_create"
    described = library().create(name, "dnnl_primitive_desc_destroy", source, engine, target, engine, attributes())
    return Kernel(described, [(SRC, source), (DST, target)])


def attributes(factor: float | None = None, added: Object | None = None) -> Object:
    """Return the attributes of a kernel whose results are multiplied by a number, and then summed with its argument ADDED.

    Args:
        factor: the number; default: the results stay what they are.
        added: the shape of ADDED, with 1 for dimensions along which it is the same; default: nothing is added.
    """
    result = library().create("dnnl_primitive_attr_create", "dnnl_primitive_attr_destroy")
    library().call("dnnl_primitive_attr_set_scratchpad_mode", result, _OF_CALLER)
    if factor is not None:
        steps = library().create("dnnl_post_ops_create", "dnnl_post_ops_destroy")
        library().call("dnnl_post_ops_append_eltwise", steps, _LINEAR, c_float(factor), c_float(0))
        if added is not None:
            library().call("dnnl_post_ops_append_binary", steps, _ADD, added)
        library().call("dnnl_primitive_attr_set_post_ops", result, steps)
    return result


def product(
    x: Object, y: Object, result: Object, settings: Object | None = None, more: Sequence[tuple[int, Object]] = ()
) -> Kernel:
    """Return a kernel that multiplies matrices of two shapes. `more` are the arguments that the settings add."""
    described = description("matmul", x, y, None, result, settings=settings)
    return Kernel(described, [(SRC, x), (WEIGHTS, y), (DST, result), *more])


def empty(*dimensions: int):
    """Return a tensor of float32 numbers, which may not be the default format, without values."""
    return paddle.empty(dimensions, dtype="float32")


class _Scratchpad(threading.local):
    """The memory that the kernels of a thread need while they run, one after the other.

    oneDNN's default is memory for each kernel: up to 1 MB for a linear layer, in no cache when the kernel runs again.
    """

    _memory, start, size = None, 0, 0

    def address(self, size: int) -> int:
        """Return the address of at least so many bytes."""
        if size > self.size:
            memory = np.empty(size + _ALIGNED, np.uint8)
            start = -(-memory.ctypes.data // _ALIGNED) * _ALIGNED
            self.size = 0  # until all is there: Ctrl-C may come at any time
            self.start, self._memory = start, memory
            self.size = size
        return self.start


_scratchpad = _Scratchpad()


class Kernel:
    """A kernel for tensors of fixed shapes (oneDNN calls it a primitive)."""

    def __init__(self, described: Object, arguments: list[tuple[int, Object | c_void_p]]):
        """Make it of its description, and the name (a number in dnnl_types.h) and shape of each argument."""
        self._library = library()  # its engine and stream are there as long as the kernel
        create, engine = self._library.create, self._library.engine
        self._kernel = create("dnnl_primitive_create", "dnnl_primitive_destroy", described)
        scratchpad = self._library.scratchpad_of(described)
        self._sizes = [self._library.bytes_of(shape) for _, shape in arguments]
        self._scratchpad = self._library.bytes_of(scratchpad)
        if self._scratchpad:
            arguments = [*arguments, (_SCRATCHPAD, scratchpad)]
        self._memories = [create("dnnl_memory_create", "dnnl_memory_destroy", shape, engine, None) for _, shape in arguments]
        self._arguments = (_Argument * len(arguments))()
        for place, (name, _), memory in zip(self._arguments, arguments, self._memories, strict=True):
            place.name, place.memory = name, memory.address
        self._places = [memory.address for memory in self._memories]
        self._call = self._kernel.address, self._library.stream.address, len(arguments), ctypes.addressof(self._arguments)
        self._lock = threading.Lock()

    def __call__(self, *tensors) -> None:
        """Run it on contiguous tensors of Paddle's or arrays of NumPy's, one for each argument, which have the shapes.

        Raises:
            ValueError: a tensor's memory is not that of the shape. The kernel would read or write beyond it.
        """
        addresses = [_address(tensor, size) for tensor, size in zip(tensors, self._sizes, strict=True)]
        if self._scratchpad:
            addresses.append(_scratchpad.address(self._scratchpad))
        with self._lock:
            failed = filter(None, map(self._library.move, self._places, addresses))
            status = next(failed, 0) or self._library.execute(*self._call)
        if status:
            raise OneDNNError(f"a kernel returned status {status}")


Output, Gradient = TypeVar("Output"), TypeVar("Gradient")


class Pair(Generic[Output, Gradient]):
    """The kernels of a layer's output, and those of its gradients, which are made when first used: evaluation does without."""

    def __init__(self, output: Output, make_gradient: Callable[[], Gradient]):
        self.output, self._make_gradient = output, make_gradient

    @functools.cached_property
    def gradient(self) -> Gradient:
        return self._make_gradient()


def dense(tensor):
    """Return a tensor whose numbers lie one after the other, as the kernels need them."""
    return tensor if tensor.is_contiguous() else tensor.contiguous()


def _address(tensor, size: int) -> int:
    """Return where the numbers of a tensor or array are. Raise ValueError unless they take `size` bytes without gaps."""
    if isinstance(tensor, np.ndarray):
        address, found, is_dense = tensor.ctypes.data, tensor.nbytes, tensor.flags.c_contiguous
    else:
        address, found = tensor.data_ptr(), math.prod(tensor.shape) * tensor.element_size()  # .size takes six microseconds
        is_dense = tensor.is_contiguous()
    if found != size or not is_dense:
        raise ValueError(
            f"A layer got a {'' if is_dense else 'strided '}tensor of shape {list(tensor.shape)} and {tensor.dtype}, {found} bytes,"
            f" where its other tensors need {size} bytes. Make its shape and number format fit the layer's weights and inputs."
        )
    return address
