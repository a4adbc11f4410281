"""Test how oneDNN's kernels are made, kept and run: threads, memory, failures, and tensors that do not fit."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import paddle
import pytest
from paddle.nn import functional

from paddle_ft.models.kernels import fastest, library, onednn

pytestmark = pytest.mark.skipif(fastest() is not onednn, reason="Paddle has no oneDNN on this machine")


def test_a_kernel_is_used_by_several_threads_at_once(monkeypatch):
    move = library.library().move

    def slowly(*arguments):
        status = move(*arguments)
        time.sleep(1e-4)  # other threads run
        return status

    monkeypatch.setattr(library.library(), "move", slowly)
    inputs = [paddle.randn([64, 257]) for _ in range(8)]
    expected = [functional.gelu(x).numpy() for x in inputs]

    def often(number):
        return [onednn.gelu(inputs[number], False)[0].numpy() for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        for results, right in zip(pool.map(often, range(8)), expected, strict=True):
            for result in results:
                np.testing.assert_allclose(result, right, rtol=1e-5, atol=1e-6)


def test_each_thread_has_memory_for_the_kernels_that_it_runs():
    """Kernels that need more and less of it are made in one thread, which ends, and run in others."""
    cases = [[paddle.randn(size) for size in ((n, 384), (384, m), (n, m))] for n, m in ((9, 64), (200, 512))]

    def gradients(number):
        x, weight, gradient = cases[number % 2]
        of_norm = onednn.layer_norm_gradient(onednn.layer_norm(x, weight[:, 0].clone(), weight[:, 1].clone(), 1e-5)[1], x, 1e-5)
        return [y.numpy() for y in (*onednn.linear_gradient(x, gradient, weight), *of_norm)]

    with ThreadPoolExecutor(1) as pool:
        _, expected = pool.map(gradients, range(2))
    x, _, gradient = cases[1]
    np.testing.assert_allclose(expected[1], x.numpy().T @ gradient.numpy(), rtol=1e-3, atol=1e-3)
    both = threading.Barrier(2)

    def often(_):
        both.wait()  # until the other thread is here
        return [gradients(1) for _ in range(10)], library._scratchpad.start

    with ThreadPoolExecutor(2) as pool:
        (first, start), (second, other_start) = pool.map(often, range(2))
    assert onednn._layer_norm(200, 384, 1e-5).gradient._scratchpad > 0 and start != other_start
    for results in first + second:
        for result, right in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, right)


class Interrupting:
    """An array's memory whose address is asked for when Ctrl-C comes."""

    @property
    def ctypes(self):
        raise KeyboardInterrupt


def test_ctrl_c_while_the_memory_grows_leaves_what_was_there(monkeypatch):
    scratchpad = library._Scratchpad()
    start = scratchpad.address(100)
    with monkeypatch.context() as patch:
        patch.setattr(library.np, "empty", lambda *_: Interrupting())
        with pytest.raises(KeyboardInterrupt):
            scratchpad.address(1000)
    memory = scratchpad._memory.ctypes.data
    assert scratchpad.address(100) == start and memory <= start <= memory + scratchpad._memory.nbytes - 100
    start = scratchpad.address(5000)
    assert start % 4096 == 0 and start + 5000 <= scratchpad._memory.ctypes.data + scratchpad._memory.nbytes


@pytest.mark.parametrize(("function", "status"), [("execute", 3), ("move", 1)])
def test_a_kernel_that_fails_is_an_error(function, status, monkeypatch):
    monkeypatch.setattr(library.library(), function, lambda *_: status)
    with pytest.raises(library.OneDNNError, match=f"returned status {status}"):
        onednn.gelu(paddle.ones([3]), False)


def test_only_so_many_kernels_are_kept_and_the_others_are_destroyed(monkeypatch):
    destroyed = []
    create = library.Library.create

    def recording(self, name, destroy, *arguments):
        made = create(self, name, destroy, *arguments)
        if name == "dnnl_primitive_create":
            library.weakref.finalize(made, destroyed.append, name)
        return made

    monkeypatch.setattr(library.Library, "create", recording)
    onednn._gelu.cache_clear()
    for size in range(1, onednn.KEPT + 11):
        x = paddle.ones([size])
        onednn.gelu_gradient(onednn.gelu(x, False)[1], x, False)
    assert onednn._gelu.cache_info().currsize == onednn.KEPT
    assert len(destroyed) == 20  # forward and backward of ten shapes


@pytest.mark.parametrize("refused", ["a shorter row", "float64", "other values than keys", "a strided weight"])
def test_no_kernel_reads_beyond_a_tensor(refused):
    x, weight, bias, keys = paddle.ones([3, 24]), paddle.ones([24, 8]), paddle.ones([8]), paddle.ones([1, 5, 8])
    with pytest.raises(ValueError, match=r"^A layer got a (strided )?tensor of shape \[.*\] and .*, \d+ bytes, where"):
        if refused == "a shorter row":
            onednn.linear(x[:, :5].contiguous(), weight, bias)
        elif refused == "float64":
            onednn.layer_norm(x, weight[:, 0].astype("float64"), weight[:, 0].contiguous(), 1e-5)
        elif refused == "other values than keys":
            onednn.attention(keys, keys, keys[:, :4].contiguous(), None, 2, 0.5, None, 1.0)
        else:
            onednn.dropout(x, np.ones((24, 3), dtype=bool).T, 1.25)


@pytest.fixture
def made(monkeypatch):
    """Return a list to which the arguments of each kernel that is made are added."""
    found, make = [], library.Kernel.__init__
    monkeypatch.setattr(library.Kernel, "__init__", lambda *arguments: found.append(arguments) or make(*arguments))
    return found


def test_attention_without_gradients_makes_no_kernels_of_gradients(made):
    onednn._softmax.cache_clear()
    onednn._products.cache_clear()
    x = paddle.ones([1, 37, 12])
    _, needed = onednn.attention(x, x, x, None, 2, 0.5, None, 1.0)
    assert len(made) == 3
    onednn.attention_gradient(needed, x)
    onednn.attention_gradient(needed, x)
    assert len(made) == (8 if library.library().has_avx512 else 7)  # without it the softmax's gradient is the operators'


def test_outputs_alone_make_no_kernels_of_gradients(made):
    onednn._layer_norm.cache_clear()
    onednn._gelu.cache_clear()
    x, row = paddle.ones([41, 13]), paddle.ones([13])
    _, for_norm = onednn.layer_norm(x, row, row, 1e-5)
    _, for_gelu = onednn.gelu(x, False)
    assert len(made) == 2
    onednn.layer_norm_gradient(for_norm, x, 1e-5)
    onednn.gelu_gradient(for_gelu, x, False)
    assert len(made) == 4


def test_a_process_with_kernels_ends_without_a_message():
    code = "import paddle; from paddle_ft.models.kernels import onednn; onednn.gelu(paddle.ones([3]), False)"
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr and "ignored" not in result.stderr
