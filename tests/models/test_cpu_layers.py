"""Test that our CPU layers give Paddle's outputs and gradients, drop the right share, and run in training only."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_ft.models.cpu_layers import use_cpu_layers
from paddle_ft.models.kernels import fastest, onednn
from tests.support.model_families import assert_same, inputs, make_model, output_and_gradients


def both_ways(layer, x):
    """Return pairs (Paddle's, ours) of the output, the gradient of x, and the gradient of each parameter."""
    out = []
    for ours in (False, True):
        if ours:
            use_cpu_layers(layer)
        layer.train()
        inputs = paddle.to_tensor(x, stop_gradient=False)
        result = layer(inputs)
        (result * paddle.to_tensor(np.cos(np.arange(result.size, dtype=np.float32)).reshape(result.shape))).sum().backward()
        out.append([result.numpy(), inputs.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())])
        layer.clear_gradients()
    return zip(*out, strict=True)


@pytest.mark.parametrize("shape", [(7, 24), (3, 5, 24)])
@pytest.mark.parametrize("make", [lambda: nn.Linear(24, 10), lambda: nn.LayerNorm(24, epsilon=1e-12), lambda: nn.LayerNorm([24])])
def test_outputs_and_gradients_are_those_of_paddle(make, shape):
    paddle.seed(0)
    layer = make()
    for parameter in layer.parameters():
        parameter.set_value(paddle.randn(parameter.shape))
    x = np.random.default_rng(0).normal(0.3, 2.0, shape).astype(np.float32)
    for theirs, ours in both_ways(layer, x):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_and_its_gradient_are_those_of_paddle(approximate):
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu")
    assert layer.activation is nn.functional.gelu
    use_cpu_layers(layer)
    assert layer.activation is not nn.functional.gelu
    values = np.concatenate([np.linspace(-6, 6, 4001), [-30, -12, 0, 12, 30]]).astype(np.float32)
    out = []
    for gelu in (nn.functional.gelu, layer.activation):
        x = paddle.to_tensor(values, stop_gradient=False)
        y = gelu(x, approximate=approximate)
        y.backward(paddle.full_like(y, 2.0))
        out.append((y.numpy(), x.grad.numpy()))
    for theirs, ours in zip(*out, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-5)


def test_dropout_drops_its_share_scales_the_rest_and_passes_its_gradient():
    layer = nn.Dropout(0.3)
    use_cpu_layers(layer)
    x = paddle.full([400, 500], 2.0)
    x.stop_gradient = False
    paddle.seed(5)
    y = layer(x)
    y.sum().backward()
    not_dropped = y.numpy() != 0
    assert abs(not_dropped.mean() - 0.7) < 0.004  # four standard deviations
    assert np.unique(y.numpy()[not_dropped]).size == 1
    assert abs(y.numpy().mean() - 2.0) < 0.012
    np.testing.assert_array_equal(x.grad.numpy() * 2, y.numpy())


def test_dropout_with_a_probability_near_one_is_finite():
    layer = nn.Dropout(0.9999999)
    use_cpu_layers(layer)
    x = paddle.ones([8])
    x.stop_gradient = False
    assert np.isfinite(layer(x).numpy()).all()


def test_the_gradient_of_a_layer_norm_with_a_large_epsilon():
    paddle.seed(0)
    x = np.random.default_rng(0).normal(0, 1e-3, (5, 24)).astype(np.float32)
    for theirs, ours in both_ways(nn.LayerNorm(24, epsilon=1e-3), x):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_dropout_follows_paddles_seed_and_differs_from_call_to_call():
    layer = nn.Dropout(0.5)
    use_cpu_layers(layer)
    x = paddle.ones([64, 8])
    x.stop_gradient = False

    def call_twice():
        paddle.seed(11)
        return layer(x).numpy(), layer(x).numpy()

    first, second = call_twice()
    again, _ = call_twice()
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_evaluation_frozen_weights_and_no_grad_use_paddles_layers(monkeypatch):
    model = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Dropout(0.5))
    x = paddle.randn([4, 6])
    expected = model[1](model[0](x)).numpy()
    use_cpu_layers(model)
    from paddle_ft.models import cpu_layers

    for name in ("_Linear", "_LayerNorm", "_Dropout"):
        monkeypatch.setattr(cpu_layers, name, None)  # any use of ours fails
    model.eval()
    np.testing.assert_array_equal(model(x).numpy(), expected)
    model.train()
    with paddle.no_grad():
        model(x)
    model[0].weight.stop_gradient = model[1].weight.stop_gradient = True
    inputs = paddle.to_tensor(x.numpy(), stop_gradient=False)
    model[1](model[0](inputs)).sum().backward()
    assert inputs.grad is not None


@pytest.mark.skipif(fastest() is not onednn, reason="Paddle has no oneDNN on this machine: its own layers are used")
@pytest.mark.parametrize("name", ["bert", "distilbert", "bart", "gpt"])
def test_evaluation_uses_the_kernels_without_gradients(name, monkeypatch):
    model, calls = make_model(name), []
    with paddle.no_grad():
        expected = first(model(**inputs(name))).numpy()
        use_cpu_layers(model)
        for function in ("linear", "attention", "gelu"):
            monkeypatch.setattr(onednn, function, recording(getattr(onednn, function), calls, function))
        np.testing.assert_allclose(first(model(**inputs(name))).numpy(), expected, rtol=1e-3, atol=1e-3)
    assert set(calls) == {"linear", "attention", "gelu"}


def first(output):
    return output[0] if isinstance(output, tuple) else output


def recording(function, calls, name):
    def call(*args):
        calls.append(name)
        return function(*args)

    return call


def test_a_recomputed_layer_uses_the_same_dropout_mask_twice():
    from paddle.distributed.fleet.utils import recompute

    layer = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Dropout(0.5))
    use_cpu_layers(layer)
    x = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
    gradients = []
    for again in (False, True):
        paddle.seed(3)
        inputs = paddle.to_tensor(x, stop_gradient=False)
        result = recompute(layer, inputs, use_reentrant=False) if again else layer(inputs)
        result.square().sum().backward()
        gradients.append([inputs.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())])
        layer.clear_gradients()
    for plain, recomputed in zip(*gradients, strict=True):
        np.testing.assert_array_equal(plain, recomputed)


@pytest.mark.parametrize("cross", [False, True])
def test_attention_gives_paddles_outputs_and_gradients(cross, monkeypatch):
    """The dropout is too small to drop any of so few weights, because our masks differ from Paddle's."""
    paddle.seed(0)
    layer = nn.MultiHeadAttention(16, 2, dropout=1e-9)
    rng = np.random.default_rng(2)
    query, memory = (rng.normal(size=(3, n, 16)).astype(np.float32) for n in (4, 7))
    mask = np.zeros((3, 1, 1, 7 if cross else 4), np.float32)
    mask[1, ..., 2:] = -1e4
    results = []
    for ours in (False, True):
        if ours:
            use_cpu_layers(layer)
            monkeypatch.setattr(nn.MultiHeadAttention, "forward", None)  # so Paddle's own cannot run
        inputs = [paddle.to_tensor(x, stop_gradient=False) for x in (query, memory)]
        out = layer(inputs[0], *([inputs[1], inputs[1]] if cross else []), attn_mask=paddle.to_tensor(mask))
        out.square().sum().backward()
        gradients = [x.grad.numpy() for x in inputs[: 2 if cross else 1]] + [p.grad.numpy() for p in layer.parameters()]
        results.append([out.numpy(), *gradients])
        layer.clear_gradients()
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


def test_attention_weights_are_dropped_in_training_only():
    layer = nn.MultiHeadAttention(16, 2, dropout=0.5)
    expected = layer.eval()(paddle.ones([1, 6, 16])).numpy()
    use_cpu_layers(layer)
    x = paddle.ones([1, 6, 16])
    x.stop_gradient = False
    np.testing.assert_array_equal(layer(x).numpy(), expected)
    assert (layer.train()(x).numpy() != layer(x).numpy()).any()


@pytest.mark.parametrize("fused", [False, True])
def test_attention_of_gpt_gives_paddlenlps_outputs_and_gradients(fused, monkeypatch):
    model = make_model("gpt", fuse_attention_qkv=fused, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model.train()
    expected = output_and_gradients(model, inputs("gpt"))
    model.clear_gradients()
    use_cpu_layers(model)
    attention = model.gpt.decoder.layers[0].self_attn
    monkeypatch.setattr(type(attention), "_core_attention", None)  # so PaddleNLP's own cannot run
    assert_same(output_and_gradients(model, inputs("gpt")), expected)


def test_attention_of_gpt_scaled_otherwise_is_paddlenlps_own():
    model = make_model("gpt", scale_qk_coeff=4.0, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model.train()
    expected = output_and_gradients(model, inputs("gpt"))
    use_cpu_layers(model)
    assert_same(output_and_gradients(model, inputs("gpt")), expected)


def test_attention_whose_keys_need_no_gradient():
    paddle.seed(0)
    layer = nn.MultiHeadAttention(8, 2)
    for frozen in (layer.k_proj, layer.v_proj):
        for parameter in frozen.parameters():
            parameter.stop_gradient = True
    x = np.random.default_rng(2).normal(size=(2, 3, 8)).astype(np.float32)
    results = []
    for ours in (False, True):
        if ours:
            use_cpu_layers(layer)
        query = paddle.to_tensor(x, stop_gradient=False)
        out = layer(query, paddle.to_tensor(x), paddle.to_tensor(x))
        out.square().sum().backward()
        results.append([out.numpy(), query.grad.numpy()])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


def test_attention_to_the_same_keys_in_all_rows():
    paddle.seed(0)
    layer, rng = nn.MultiHeadAttention(8, 2), np.random.default_rng(2)
    queries, memory = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 4, 8), (1, 5, 8)))
    results = []
    for ours in (False, True):
        if ours:
            use_cpu_layers(layer)
        inputs = [paddle.to_tensor(x, stop_gradient=False) for x in (queries, memory)]
        out = layer(inputs[0], inputs[1], inputs[1])
        out.square().sum().backward()
        results.append([out.numpy(), *(x.grad.numpy() for x in inputs)])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("make", [lambda: nn.Linear(6, 6), lambda: nn.LayerNorm(6)])
@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_only_the_weight_or_only_the_bias_is_trained(make, frozen):
    layer, values = make(), np.random.default_rng(3).normal(size=(4, 6)).astype(np.float32)
    getattr(layer, frozen).stop_gradient = True
    results = []
    for ours in (False, True):
        if ours:
            use_cpu_layers(layer)
        x = paddle.to_tensor(values, stop_gradient=False)
        layer(x).square().sum().backward()
        assert getattr(layer, frozen).grad is None
        results.append([x.grad.numpy(), *(p.grad.numpy() for p in layer.parameters() if p.grad is not None)])
        layer.clear_gradients()
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


@pytest.fixture
def views():
    """Let Paddle return views whose numbers do not lie one after the other, as it does by default; the toolkit turns it off."""
    flag = "FLAGS_use_stride_kernel"
    before = paddle.get_flags(flag)
    paddle.set_flags({flag: True})
    yield
    paddle.set_flags(before)


@pytest.mark.parametrize(
    "make",
    [lambda: nn.Linear(8, 8), lambda: nn.LayerNorm(8), lambda: nn.MultiHeadAttention(8, 2), lambda: Heads(), lambda: Gelu()],
)
def test_views_as_inputs_and_gradients(make, views):
    paddle.seed(0)
    layer, rng = make(), np.random.default_rng(4)
    values, factor = (paddle.to_tensor(rng.normal(size=(5, 3, 8)).astype(np.float32)) for _ in range(2))
    results = []
    for ours in (False, True):
        if ours:
            use_cpu_layers(layer)
        x = values.clone()
        x.stop_gradient = False
        turned = x.transpose([1, 0, 2])
        assert not turned.is_contiguous()
        out = layer(turned)
        (out.transpose([1, 0, 2]) * factor).sum().backward()
        results.append([out.numpy(), x.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())])
        layer.clear_gradients()
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


class Gelu(nn.Layer):
    activation = staticmethod(nn.functional.gelu)

    def forward(self, x):
        return self.activation(x)


class Heads(nn.Layer):
    """Attention whose queries, keys, values and outputs are views."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiHeadAttention(8, 2)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self.attention, name, nn.Identity())

    def forward(self, x):
        return self.attention(x)


def test_a_linear_layer_without_bias_and_attention_whose_weights_are_asked_for():
    paddle.seed(0)
    x = paddle.randn([2, 3, 8])
    linear, attention = nn.Linear(8, 4, bias_attr=False), nn.MultiHeadAttention(8, 2, need_weights=True)
    with paddle.no_grad():
        expected = [linear.eval()(x), *attention.eval()(x)]
        for layer in (linear, attention):
            use_cpu_layers(layer)
        results = [linear(x), *attention(x)]
    assert [y.shape for y in results] == [[2, 3, 4], [2, 3, 8], [2, 2, 3, 3]]
    for ours, theirs in zip(results, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-5, atol=2e-5)
