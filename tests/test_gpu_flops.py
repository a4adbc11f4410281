"""Test the operations that benchmarks/gpu_check.py divides by the peak."""

import numpy as np
import paddle
import pytest

from tests.support.paths import ROOT

ROWS, SOURCE, TARGET = 6, 24, 10


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_the_operations_are_those_of_the_matrix_products(benchmarks):
    """Those of the linear layers are counted as they run; attention and the tied head are no layers."""
    from gpu_flops import training_flops
    from gpu_models import SMALL, make_batch, make_model

    model, batch, products = make_model(SMALL, 0.0), make_batch(SMALL, ROWS, SOURCE, TARGET), []
    model.eval()
    for layer in model.sublayers():
        if isinstance(layer, paddle.nn.Linear):
            layer.register_forward_post_hook(
                lambda layer, inputs, _: products.append(int(np.prod(inputs[0].shape[:-1])) * layer.weight.size)
            )
    ids, mask, labels = (paddle.to_tensor(batch[name]) for name in ("input_ids", "attention_mask", "labels"))
    model(ids, attention_mask=mask, decoder_input_ids=labels)
    d = SMALL["d_model"]
    encoder = SMALL["encoder_layers"] * 2 * SOURCE * SOURCE * d
    decoder = SMALL["decoder_layers"] * 2 * (TARGET * TARGET + TARGET * SOURCE) * d
    forward = sum(products) + ROWS * (encoder + decoder + TARGET * d * SMALL["vocab"])
    assert training_flops(SMALL, ROWS, SOURCE, TARGET) == 3 * 2 * forward


@pytest.mark.parametrize(
    ("name", "half", "peak"),
    [("NVIDIA A100-SXM4-80GB", True, 312.0), ("NVIDIA A100-SXM4-80GB", False, 19.5), ("NVIDIA A10", True, 125.0),
     ("NVIDIA H100 PCIe", True, 756.0), ("NVIDIA H100 80GB HBM3", True, 989.0), ("NVIDIA GeForce RTX 4090", True, None)],
)  # fmt: skip
def test_peaks_of_data_sheets(benchmarks, name, half, peak):
    from gpu_flops import known_peak

    assert known_peak(name, half) == peak
