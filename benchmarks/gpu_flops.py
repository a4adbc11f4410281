"""Count the operations of a training step for benchmarks/gpu_check.py, and find the peak of the device to compare them with."""

from __future__ import annotations

import time

FORMULA = (
    "operations of a step = 3 x 2 x multiplications of its matrix products: the backward pass takes twice the forward pass, and a"
    " multiplication comes with an addition. Padding counts, as it is computed; causal attention counts in full."
    " model FLOP utilisation = operations / seconds / peak"
)
# words of the device's name -> peak in TFLOP/s without sparsity: of fp16 and bf16, of fp32. Source: NVIDIA's data sheets
PEAKS = {
    "V100": (125.0, 15.7),
    "T4": (65.0, 8.1),
    "A100": (312.0, 19.5),
    "A10": (125.0, 31.2),
    "L40S": (362.0, 91.6),
    "L4": (121.0, 30.3),
    "H100 PCIe": (756.0, 51.0),
    "H100": (989.0, 67.0),
}


def training_flops(size: dict, rows: int, source: int, target: int) -> int:
    """Return the floating-point operations of a training step of BART (FORMULA).

    Args:
        size: the sizes, as in gpu_models.BASE.
        rows: rows of the batch.
        source, target: tokens of each source and target, padding included.
    """
    d, ffn = size["d_model"], size["ffn"]
    encoder = size["encoder_layers"] * source * (4 * d * d + 2 * source * d + 2 * d * ffn)
    own = 4 * d * d + 2 * target * d + 2 * d * ffn
    cross = 2 * d * d + 2 * source * d  # queries and output; keys and values are computed once for each token of the source
    decoder = size["decoder_layers"] * (target * (own + cross) + source * 2 * d * d)
    head = target * d * size["vocab"]
    return 3 * 2 * rows * (encoder + decoder + head)


def known_peak(device_name: str, half: bool) -> float | None:
    """Return the peak of a GPU in TFLOP/s from PEAKS, or None if it is not there.

    Args:
        device_name: what Paddle calls it, such as "NVIDIA A100-SXM4-80GB".
        half: whether the precision is float16 or bfloat16.
    """
    words = device_name.replace("-", " ").split()
    for name, peaks in PEAKS.items():
        if all(word in words for word in name.split()):
            return peaks[0 if half else 1]
    return None


def product_tflops(dtype: str, wait, size: int) -> float:
    """Return the speed of a matrix product on the current device in TFLOP/s, the best of five.

    Args:
        dtype: number format.
        wait: waits until the device is idle.
        size: rows and columns of both matrices.
    """
    import paddle

    a, b = (paddle.randn([size, size]).astype(dtype) for _ in range(2))
    seconds = []
    for _ in range(6):
        wait()
        started = time.perf_counter()
        paddle.matmul(a, b)
        wait()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds[1:]) / 1e12
