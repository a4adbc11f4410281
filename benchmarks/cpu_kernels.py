"""Measure the kernels of training on a CPU: Paddle's own, our formulas made of Paddle's operators, and oneDNN's.

    python benchmarks/cpu_kernels.py

A Markdown table gives milliseconds for the output and the gradients of a layer, the 30th percentile of 40 calls that alternate. The
shapes are those of MiniLM: 430 tokens are a batch of 32 short rows of SST-2 without padding.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu

CALLS = 40


def milliseconds(functions: list[Callable]) -> list[float]:
    """Return the time of each function. Calls of all alternate, so that a change of the machine's speed is the same for all."""
    import numpy as np

    seconds = [[] for _ in functions]
    for call in range(CALLS + 5):
        for function, times in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            if call >= 5:
                times.append(time.perf_counter() - started)
    return [float(np.quantile(times, 0.3)) * 1e3 for times in seconds]


def works() -> dict[str, tuple[Callable, Callable, tuple]]:
    """Return layer -> (Paddle's function, our function of a module with kernels and the gradient, inputs)."""
    import numpy as np
    import paddle
    from paddle.nn import functional

    n, d, heads, b = 430, 384, 12, 32
    rows, wide = paddle.randn([n, d]), paddle.randn([n, 4 * d])
    weight, bias, row = paddle.randn([d, 4 * d]), paddle.randn([4 * d]), paddle.randn([d])
    batch = [paddle.randn([b, 14, d]) for _ in range(3)]
    kept = np.random.default_rng(0).random((b, heads, 14, 14)) < 0.9
    all_kept = np.random.default_rng(0).random((n, 4 * d)) < 0.9

    def attention(q, k, v):
        q, k, v = (x.reshape([b, 14, heads, d // heads]).transpose([0, 2, 1, 3]) for x in (q, k, v))
        weights = functional.softmax(paddle.matmul(q * (d // heads) ** -0.5, k, transpose_y=True))
        weights = functional.dropout(weights, 0.1)
        return paddle.matmul(weights, v).transpose([0, 2, 1, 3]).reshape([b, 14, d])

    def our_attention(kernels, gradient, q, k, v):
        _, needed = kernels.attention(q, k, v, None, heads, (d // heads) ** -0.5, kept, 1 / 0.9)
        kernels.attention_gradient(needed, gradient)

    def our_linear(kernels, gradient, x, weight, bias):
        kernels.linear(x, weight, bias)
        kernels.linear_gradient(x, gradient, weight)

    def our_layer_norm(kernels, gradient, x, weight, bias):
        kernels.layer_norm_gradient(kernels.layer_norm(x, weight, bias, 1e-12)[1], gradient, 1e-12)

    return {
        "linear 384 -> 1536, 430 tokens": (functional.linear, our_linear, (rows, weight, bias)),
        "layer norm of 384, 430 tokens": (
            lambda x, weight, bias: functional.layer_norm(x, [d], weight, bias, 1e-12), our_layer_norm, (rows, row, row.clone())
        ),
        "GELU of 1536, 430 tokens": (
            functional.gelu, lambda kernels, g, x: kernels.gelu_gradient(kernels.gelu(x, False)[1], g, False), (wide,)
        ),
        "dropout of 1536, 430 tokens, the draws not counted": (
            lambda x: functional.dropout(x, 0.1),
            lambda kernels, g, x: kernels.dropout_gradient(kernels.dropout(x, all_kept, 1 / 0.9)[1], g), (wide,),
        ),
        "attention, 32 rows of 14 tokens, 12 heads": (attention, our_attention, tuple(batch)),
    }  # fmt: skip


def main() -> None:
    """Print the table."""
    prepare_cpu()
    import_frameworks_quietly()
    import paddle

    from paddle_ft.models.kernels import fastest, onednn, operators

    if fastest() is operators:
        raise SystemExit("error: Paddle has no oneDNN on this machine")
    print("\n| output and gradients | Paddle | operators | oneDNN | Paddle / oneDNN |\n| --- | ---: | ---: | ---: | ---: |")
    for name, (paddles, ours, inputs) in works().items():
        inputs = [x.detach() for x in inputs]
        for x in inputs:
            x.stop_gradient = False
        gradient = paddle.randn(paddles(*inputs).shape)

        def plain(function=paddles, inputs=inputs, gradient=gradient):
            paddle.grad(function(*inputs), inputs, gradient)

        def with_kernels(kernels, function=ours, inputs=inputs, gradient=gradient):
            with paddle.no_grad():
                function(kernels, gradient, *inputs)

        times = milliseconds([plain, lambda run=with_kernels: run(operators), lambda run=with_kernels: run(onednn)])
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in times)} | {times[0] / times[2]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
