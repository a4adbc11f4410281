"""Test that oneDNN's kernels and those of operators give Paddle's outputs and gradients, and which of them are used."""

import contextlib
import itertools
import platform
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import paddle
import pytest
from paddle.nn import functional

from paddle_ft.generation import layers
from paddle_ft.models import kernels as kernels_room
from paddle_ft.models.kernels import fastest, library, onednn, onednn_linear, operators

HAS_ONEDNN = fastest() is onednn
MODULES = [
    operators,
    pytest.param(onednn, marks=pytest.mark.skipif(not HAS_ONEDNN, reason="Paddle has no oneDNN on this machine")),
]
NEEDS_BFLOAT16 = pytest.mark.skipif(not kernels_room.has_bfloat16(), reason="this processor does not compute in bfloat16")
SHAPES = [(5, 24), (2, 3, 24), (301, 17), (1, 1, 8)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def tensor(values):
    return paddle.to_tensor(np.asarray(values, dtype=np.float32))


def paddles(function, gradient, *inputs):
    """Return the output of a function of Paddle's, and the gradients of its inputs."""
    inputs = [x.detach().clone() for x in inputs]
    for x in inputs:
        x.stop_gradient = False
    output = function(*inputs)
    return [output, *paddle.grad(output, inputs, gradient)]


def assert_close(ours, theirs, rtol=1e-4, atol=2e-5):
    assert len(ours) == len(theirs)
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.shape == expected.shape
        np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=rtol, atol=atol)


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="other wheels may lack oneDNN")
def test_paddles_wheels_for_linux_have_onednn():
    assert HAS_ONEDNN
    assert library.library().version[0] == 3


@pytest.mark.parametrize("kernels", MODULES)
@pytest.mark.parametrize("shape", SHAPES)
def test_linear(kernels, shape, rng):
    x, gradient = tensor(rng.normal(size=shape)), tensor(rng.normal(size=(*shape[:-1], 10)))
    weight, bias = tensor(rng.normal(size=(shape[-1], 10))), tensor(rng.normal(size=10))
    ours = [kernels.linear(x, weight, bias), *kernels.linear_gradient(x, gradient, weight)]
    assert_close(ours, paddles(functional.linear, gradient, x, weight, bias), atol=1e-4)


@pytest.mark.skipif(not HAS_ONEDNN, reason="Paddle has no oneDNN on this machine")
def test_without_avx512(monkeypatch, rng):
    monkeypatch.setattr(library.library(), "has_avx512", not library.library().has_avx512)
    test_linear(onednn, (2, 3, 24), rng)
    test_attention(onednn, "padding", True, (2, 4, 3, 9, 16), rng)


def rounded(x):
    return x.astype("bfloat16").astype("float32")


@NEEDS_BFLOAT16
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_in_bfloat16_rounds_its_inputs_and_sums_in_float32(shape, rng):
    x, gradient = tensor(rng.normal(size=shape)), tensor(rng.normal(size=(*shape[:-1], 10)))
    weight, bias = tensor(rng.normal(size=(shape[-1], 10))), tensor(rng.normal(size=10))
    with onednn.bfloat16():
        ours = [onednn.linear(x, weight, bias), *onednn.linear_gradient(x, gradient, weight)]
    x_half, half, weight_half = rounded(x), rounded(gradient), rounded(weight)
    expected = [operators.linear(x_half, weight_half, bias), *operators.linear_gradient(x_half, half, weight_half)[:2]]
    assert_close(ours, [*expected, operators.sum_of_rows(gradient)], atol=1e-4)
    exact = operators.linear(x, weight, bias)
    assert (ours[0] != exact).any()
    assert_close([onednn.linear(x, weight, bias)], [exact], atol=1e-4)  # outside the context


@pytest.mark.skipif(not kernels_room.has_bfloat16(), reason="this processor does not compute in bfloat16")
def test_other_threads_than_that_in_the_context_compute_in_float32(rng):
    x, weight, bias = tensor(rng.normal(size=(5, 24))), tensor(rng.normal(size=(24, 10))), tensor(rng.normal(size=10))
    exact = onednn.linear(x, weight, bias)
    with onednn.bfloat16(), ThreadPoolExecutor(1) as pool:
        np.testing.assert_array_equal(pool.submit(onednn.linear, x, weight, bias).result().numpy(), exact.numpy())
        assert (onednn.linear(x, weight, bias) != exact).any()


@pytest.mark.parametrize("kernels", MODULES)
def test_scores(kernels, rng):
    x, rows = rng.normal(size=(5, 24)), rng.normal(size=(7, 24))
    np.testing.assert_allclose(kernels.scores(tensor(x), tensor(rows)).numpy(), x @ rows.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [3, 40])
def test_scores_of_the_vocabulary_without_onednn(rows, rng, monkeypatch):
    monkeypatch.setattr(kernels_room, "is_onednn_for", lambda x: False)
    x, head = rng.normal(size=(rows, 24)), rng.normal(size=(50, 24))
    np.testing.assert_allclose(layers.vocabulary_scores(tensor(x), tensor(head)).numpy(), x @ head.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernels", MODULES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("epsilon", [1e-12, 1e-3])
def test_layer_norm(kernels, shape, epsilon, rng):
    x, gradient = tensor(rng.normal(0.3, 2.0, shape)), tensor(rng.normal(size=shape))
    weight, bias = tensor(rng.normal(size=shape[-1])), tensor(rng.normal(size=shape[-1]))
    y, needed = kernels.layer_norm(x, weight, bias, epsilon)
    ours = [y, *kernels.layer_norm_gradient(needed, gradient, epsilon)]
    theirs = paddles(lambda x, w, b: functional.layer_norm(x, shape[-1:], w, b, epsilon), gradient, x, weight, bias)
    assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kernels", MODULES)
@pytest.mark.parametrize("approximate", [False, True])
def test_gelu(kernels, approximate):
    x = tensor(np.concatenate([np.linspace(-6, 6, 4001), [-30, -12, 0, 12, 30]]))
    gradient = paddle.full_like(x, 2.0)
    y, needed = kernels.gelu(x, approximate)
    ours = [y, kernels.gelu_gradient(needed, gradient, approximate)]
    assert_close(ours, paddles(lambda x: functional.gelu(x, approximate), gradient, x))


@pytest.mark.parametrize("kernels", MODULES)
def test_dropout(kernels, rng):
    x, gradient, kept = tensor(rng.normal(size=(7, 9))), tensor(rng.normal(size=(7, 9))), rng.random((7, 9)) < 0.7
    y, needed = kernels.dropout(x, kept, 1.25)
    np.testing.assert_array_equal(y.numpy(), x.numpy() * (kept * np.float32(1.25)))
    np.testing.assert_array_equal(kernels.dropout_gradient(needed, gradient).numpy(), gradient.numpy() * (kept * np.float32(1.25)))


def causal(q, k):
    return np.where(np.tril(np.ones((q, k))) > 0, 0, -np.inf)[None, None]


MASKS = {
    "none": lambda b, h, q, k, rng: None,
    "padding": lambda b, h, q, k, rng: np.where(rng.random((b, 1, 1, k)) < 0.3, -1e4, 0),
    "padding of one row": lambda b, h, q, k, rng: np.where(np.arange(k) > 1, -1e4, 0)[None, None, None],
    "causal": lambda b, h, q, k, rng: causal(q, k),
    "of each row": lambda b, h, q, k, rng: causal(q, k) + np.zeros((b, 1, 1, 1)),
    "of each head": lambda b, h, q, k, rng: rng.normal(size=(1, h, q, k)),
    "of each query": lambda b, h, q, k, rng: rng.normal(size=(b, 1, q, 1)),
}


@pytest.mark.parametrize("kernels", MODULES)
@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("shape", [(3, 2, 5, 5, 8), (2, 4, 3, 9, 16), (1, 1, 1, 1, 4)])
def test_attention(kernels, mask, dropped, shape, rng):
    b, h, n, m, d = shape
    q, gradient = (tensor(rng.normal(size=(b, n, h * d))) for _ in range(2))
    k, v = (tensor(rng.normal(size=(b, m, h * d))) for _ in range(2))
    added = MASKS[mask](b, h, n, m, rng)
    added = None if added is None else tensor(added)
    kept = rng.random((b, h, n, m)) < 0.8 if dropped else None

    def theirs(q, k, v):
        q, k, v = (x.reshape([b, -1, h, d]).transpose([0, 2, 1, 3]) for x in (q, k, v))
        scores = paddle.matmul(q, k, transpose_y=True) * d**-0.5
        weights = functional.softmax(scores if added is None else scores + added)
        if dropped:
            weights = weights * tensor(kept * 1.25)
        return paddle.matmul(weights, v).transpose([0, 2, 1, 3]).reshape([b, n, h * d])

    inputs = [x.numpy() for x in (q, k, v)]
    y, needed = kernels.attention(q, k, v, added, h, d**-0.5, kept, 1.25)
    ours = [y, *kernels.attention_gradient(needed, gradient)]
    assert_close(ours, paddles(theirs, gradient, q, k, v))
    for x, before in zip((q, k, v), inputs, strict=True):
        np.testing.assert_array_equal(x.numpy(), before, err_msg="the inputs must stay")


@pytest.mark.skipif(not HAS_ONEDNN, reason="Paddle has no oneDNN on this machine")
def test_a_strided_weight_without_a_gradient_is_paddles():
    weight, x, flag = paddle.arange(32, dtype="float32").reshape([4, 8]), paddle.ones([3, 8]), "FLAGS_use_stride_kernel"
    before = paddle.get_flags(flag)
    try:
        paddle.set_flags({flag: True})
        turned = weight.t()
        assert not turned.is_contiguous()
        with paddle.no_grad():
            result = kernels_room.linear(x, turned, paddle.zeros([4]))
    finally:
        paddle.set_flags(before)
    np.testing.assert_array_equal(result.numpy(), x.numpy() @ weight.numpy().T)


@pytest.mark.parametrize("kernels", MODULES)
def test_another_default_format_of_numbers_changes_nothing(kernels, rng):
    results = []
    x, weight, row = tensor(rng.normal(size=(2, 6, 8))), tensor(rng.normal(size=(8, 8))), tensor(rng.normal(size=8))
    for name in ("float32", "float64"):
        paddle.set_default_dtype(name)
        try:
            normed, needed = kernels.layer_norm(x, row, row, 1e-5)
            attended, for_gradient = kernels.attention(x, x, x, None, 2, 0.5, None, 1.0)
            more = [*kernels.layer_norm_gradient(needed, x, 1e-5), *kernels.attention_gradient(for_gradient, x)]
            more += [kernels.linear(x, weight, row), *kernels.linear_gradient(x, x, weight), kernels.scores(x[0].clone(), weight)]
            results.append([normed, attended, *more])
            assert kernels_room.fastest.__wrapped__() is fastest()
        finally:
            paddle.set_default_dtype("float32")
    assert {x.dtype for x in results[1]} == {paddle.float32}
    assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


@pytest.fixture
def dirty_memory(monkeypatch):
    """Fill tensors that are made without values with NaN, so that what a kernel does not write is seen."""
    empty = paddle.empty
    monkeypatch.setattr(paddle, "empty", lambda *args, dtype="float32": _unless_half(empty, args, dtype))
    monkeypatch.setattr(paddle, "empty_like", lambda x: paddle.full_like(x, float("nan")))


@pytest.mark.skipif(not HAS_ONEDNN, reason="Paddle has no oneDNN on this machine")
@pytest.mark.parametrize("half", [False, pytest.param(True, marks=NEEDS_BFLOAT16)])
def test_layers_of_one_row_one_input_or_one_output(half, dirty_memory, rng):
    for n, d, m in itertools.product((1, 2, 5), (1, 2, 17), (1, 3, 16)):
        x, weight, gradient = (tensor(rng.normal(size=size)) for size in ((n, d), (d, m), (n, m)))
        with onednn.bfloat16() if half else contextlib.nullcontext():
            ours = [onednn.linear(x, weight, gradient[0]), *onednn.linear_gradient(x, gradient, weight)]
        theirs = [operators.linear(x, weight, gradient[0]), *operators.linear_gradient(x, gradient, weight)]
        assert_close(ours, theirs, atol=0.1 if half else 1e-4)
        rows = weight.t().contiguous()
        assert_close([onednn.scores(x, rows)], [operators.scores(x, rows)])
        y, needed = onednn.layer_norm(x, x[0], x[0], 1e-3)
        expected, theirs = operators.layer_norm(x, x[0], x[0], 1e-3)
        gradients = onednn.layer_norm_gradient(needed, x, 1e-3)
        assert_close([y, *gradients], [expected, *operators.layer_norm_gradient(theirs, x, 1e-3)], rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not HAS_ONEDNN, reason="Paddle has no oneDNN on this machine")
def test_attention_of_one_query_key_head_or_feature(dirty_memory, rng):
    for n, m, h, d in itertools.product((1, 3), (1, 4), (1, 2), (1, 8)):
        q, k, v = (tensor(rng.normal(size=(2, length, h * d))) for length in (n, m, m))
        for mask in (None, tensor(rng.normal(size=(2, 1, 1, m))), tensor(rng.normal(size=(1, 1, n, m)))):
            results = []
            for kernels in (onednn, operators):
                y, needed = kernels.attention(q, k, v, mask, h, 0.7, None, 1.0)
                results.append([y, *kernels.attention_gradient(needed, q)])
            assert_close(*results)


def _unless_half(empty, args, dtype):
    """Return an uninitialised tensor as one of NaN, except of halves, which are written before they are read."""
    return empty(*args, dtype=dtype) if dtype == "bfloat16" else paddle.full(*args, float("nan"), dtype=dtype)


# ---------------------------------------------------------------------------------------------------- which module is used
@pytest.fixture
def choose(monkeypatch):
    """Return a function that chooses anew."""
    monkeypatch.delenv(kernels_room.HIDE, raising=False)
    forget_the_library()
    yield kernels_room.fastest.__wrapped__
    forget_the_library()


def forget_the_library():
    """Make the next call load it anew. A kernel belongs to the library that made it."""
    for cached in (library.library, *vars(onednn).values(), *vars(onednn_linear).values()):
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def test_the_environment_hides_onednn(choose, monkeypatch):
    monkeypatch.setenv("PADDLE_FT_ONEDNN", "0")
    assert choose() is operators


def test_operators_are_used_where_paddle_has_no_onednn(choose, monkeypatch):
    monkeypatch.setattr(library, "_NAMES", ("no-such-file.so",))
    assert choose() is operators


def test_operators_are_used_instead_of_another_library_of_that_name(choose, monkeypatch, tmp_path):
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "libdnnl.so.3").write_bytes(b"no library")
    monkeypatch.setattr(library.paddle, "__file__", str(tmp_path / "__init__.py"))
    assert choose() is operators


@pytest.mark.skipif(not HAS_ONEDNN, reason="Paddle has no oneDNN on this machine")
@pytest.mark.parametrize("wrong", [lambda x, a: (x, (x,)), lambda x, a: onednn._gelu(-5, a)])
def test_operators_are_used_if_onednn_computes_something_else_or_refuses(choose, monkeypatch, wrong):
    assert choose() is onednn
    monkeypatch.setattr(onednn, "gelu", wrong)
    assert choose() is operators
