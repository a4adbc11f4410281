"""Test that each private name works as paddle_compat expects with the installed releases."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from types import SimpleNamespace

import paddle
import paddlenlp.transformers  # noqa: F401 - patches Paddle's transformer layers, see test_paddlenlp_rewrites_an_assigned_forward
import pytest
from paddle import nn

from paddle_ft.system import paddle_compat
from tests.support.paddle_private import allocated_cpu_bytes, restore_forward


@contextlib.contextmanager
def private_name(name: str):
    """Fail with the private name and the release that broke it."""
    try:
        yield
    except Exception as error:  # a changed private name may raise anything
        reason = f"{type(error).__name__}: {error}"
        pytest.fail(f"{name} no longer works as paddle_compat expects in paddle {paddle.__version__}: {reason}")


def test_a_broken_name_is_reported_with_its_release():
    message = rf"_gone no longer works .* in paddle {paddle.__version__}: AttributeError"
    with pytest.raises(pytest.fail.Exception, match=message), private_name("_gone"):
        paddle._gone()


# ---------------------------------------------------------------------------------------------------- layers
@pytest.mark.parametrize("make", [lambda: nn.Linear(2, 2), lambda: nn.TransformerEncoderLayer(4, 2, 8)])
def test_replaced_forward(make):
    layer = make()
    assert paddle_compat.replaced_forward(layer) is None

    def forward(*inputs, **options):
        return "called", inputs, options

    with private_name('layer.__dict__["forward"]'):
        paddle_compat.replace_forward(layer, forward)
        assert layer(1, mask=2) == ("called", (1,), {"mask": 2})
        assert paddle_compat.replaced_forward(layer) is forward
        restore_forward(layer)
        assert paddle_compat.replaced_forward(layer) is None and layer.forward.__func__ is type(layer).forward


def test_paddlenlp_rewrites_an_assigned_forward():
    """This is why replace_forward exists. Once this test fails, plain assignment works and replace_forward can be removed."""
    layer = nn.TransformerEncoderLayer(4, 2, 8)

    def forward(src, src_mask=None, cache=None):
        return src

    layer.forward = forward
    assert layer.__dict__["forward"] is not forward


def test_layer_norm_settings():
    with private_name("LayerNorm._epsilon"):
        assert paddle_compat.layer_norm_epsilon(nn.LayerNorm(4, epsilon=1e-3)) == 1e-3
    with private_name("LayerNorm._normalized_shape"):
        assert paddle_compat.normalized_shape(nn.LayerNorm(4)) == [4]
        assert paddle_compat.normalized_shape(nn.LayerNorm([3, 4])) == [3, 4]


def test_public_methods_replace_parameters_and_buffers():
    """add_parameter and register_buffer replace writing to the private layer._parameters and layer._buffers."""
    layer = nn.Linear(2, 2)
    layer.register_buffer("scale", paddle.ones([1]))
    order = list(layer.state_dict())
    other = paddle.create_parameter([2, 2], "float32")
    layer.add_parameter("weight", other)
    layer.register_buffer("scale", paddle.zeros([2]))
    assert layer.weight is other and layer.scale.shape == [2] and list(layer.state_dict()) == order
    assert dict(layer.named_parameters(include_sublayers=False))["weight"] is other


def test_peak_of_memory():
    with private_name("core.host_memory_stat_peak_value"):
        paddle_compat.reset_peak_cpu_bytes()
        before = paddle_compat.peak_cpu_bytes()
        tensor = paddle.zeros([1000, 1000], "float32")
        tensor = None  # the peak stays when the memory is freed
        assert tensor is None and 4_000_000 <= paddle_compat.peak_cpu_bytes() - before < 4_100_000
        paddle_compat.reset_peak_cpu_bytes()
        assert paddle_compat.peak_cpu_bytes() - before < 100_000


# ---------------------------------------------------------------------------------------------------- attention
def test_additive_mask():
    with private_name("paddle.nn.layer.transformer._convert_attention_mask"):
        seen = paddle.to_tensor([[True, False]])
        for mask in (seen, seen.astype("int64")):
            converted = paddle_compat.additive_mask(mask, paddle.float32)
            assert converted.dtype == paddle.float32 and converted.tolist() == [[0.0, -1e9]]
        assert paddle_compat.additive_mask(paddle.to_tensor([0.0, -5.0], "float64"), paddle.float32).tolist() == [0.0, -5.0]
        assert paddle_compat.additive_mask(None, paddle.float32) is None


# ---------------------------------------------------------------------------------------------------- tensors
def test_initialized_tensors():
    with private_name("Tensor._is_initialized"):
        assert paddle_compat.is_initialized(paddle.ones([2]))
        assert not paddle_compat.is_initialized(paddle.Tensor())


def test_memory_freed_and_given_back():
    size = 1 << 18
    parameter = paddle.create_parameter([size], "float32")
    with private_name("paddle.base.core.host_memory_stat_current_value"):
        before = allocated_cpu_bytes()
        value = paddle.full([size], 3.0)
        assert allocated_cpu_bytes() - before >= 4 * size
    with private_name("Tensor._clear_data"):
        before = allocated_cpu_bytes()
        paddle_compat.free_data(parameter)
        assert before - allocated_cpu_bytes() >= 4 * size and parameter.shape == [size]
    with private_name("Tensor._share_buffer_to"):
        before = allocated_cpu_bytes()
        paddle_compat.share_buffer(value, parameter)
        assert allocated_cpu_bytes() == before
        assert float(parameter[7]) == 3.0 and parameter.trainable


def test_callback_when_a_gradient_is_ready():
    weight, unused = paddle.create_parameter([2], "float32"), paddle.create_parameter([2], "float32")
    gradients = []
    with private_name("Parameter._register_backward_hook"):
        paddle_compat.on_gradient_ready(weight, lambda: gradients.append(weight.grad.tolist()))
        paddle_compat.on_gradient_ready(unused, lambda: gradients.append("a parameter without a gradient"))
        for _ in range(2):
            (weight * 3 + weight * 4).sum().backward()
        assert gradients == [[7.0, 7.0], [14.0, 14.0]]  # once per backward pass, after accumulation


# ---------------------------------------------------------------------------------------------------- optimizer and scaler
def test_parameters_of_an_optimizer():
    layer = nn.Linear(2, 2)
    with private_name("Optimizer._parameter_list"):
        optimizer = paddle.optimizer.AdamW(parameters=[layer.bias, layer.weight])
        parameters = paddle_compat.optimizer_parameters(optimizer)
        assert len(parameters) == 2 and parameters[0] is layer.bias and parameters[1] is layer.weight


def test_overflow_of_a_scaler(monkeypatch):
    """An overflow on another rank skips the step. GradScaler turns itself off on a CPU, so the test fakes a GPU."""
    place = SimpleNamespace(is_gpu_place=lambda: True)
    monkeypatch.setattr("paddle.amp.grad_scaler._dygraph_tracer", lambda: SimpleNamespace(_expected_place=place))
    weight = paddle.create_parameter([1], "float32", default_initializer=nn.initializer.Constant(1.0))
    optimizer = paddle.optimizer.SGD(0.5, parameters=[weight])
    with private_name("GradScaler._found_inf"):
        scaler = paddle.amp.GradScaler(init_loss_scaling=4.0, use_dynamic_loss_scaling=False)
        for factor, overflow_elsewhere, expected in ((1.0, False, 0.5), (float("inf"), False, 0.5), (1.0, True, 0.5)):
            optimizer.clear_grad()
            scaler.scale((weight * factor).sum()).backward()
            scaler.unscale_(optimizer)
            assert bool(paddle_compat.found_overflow(scaler)) == (factor == float("inf"))
            if overflow_elsewhere:
                paddle_compat.set_found_overflow(scaler, paddle.to_tensor([True]))
            scaler.step(optimizer)
            scaler.update()
            assert float(weight) == expected


# ---------------------------------------------------------------------------------------------------- processes
STORE = """
from paddle_ft.system.paddle_compat import global_tcp_store
store = global_tcp_store()
store.set("name", "value")
assert store.get("name") == b"value", store.get("name")
"""


def test_store_of_the_processes(monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{probe.getsockname()[1]}"
    launcher = {"PADDLE_TRAINER_ID": "0", "PADDLE_TRAINERS_NUM": "1", "PADDLE_MASTER": endpoint,
                "PADDLE_CURRENT_ENDPOINT": endpoint, "PADDLE_TRAINER_ENDPOINTS": endpoint}  # fmt: skip
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    with private_name("paddle.base.core.create_or_get_global_tcp_store"):
        child = subprocess.run([sys.executable, "-c", STORE], capture_output=True, text=True, timeout=120)
        assert child.returncode == 0, child.stderr[-2000:]
