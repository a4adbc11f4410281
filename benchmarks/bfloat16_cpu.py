"""Measure whether bfloat16 is faster than float32 on this CPU: a matrix product, and a training step of a MiniLM-sized model.

    python benchmarks/bfloat16_cpu.py

What Paddle cannot compute there is named with its error, in mixed precision (auto_cast) and with all weights in bfloat16. Then
follow the layers of paddle_ft, which oneDNN computes, and training steps with train.use_amp, if the processor computes in bfloat16.
The figures are medians, and bfloat16 and float32 take turns.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from workloads import WORKLOADS, Collate, make_rows, make_stepper, paddle_model

from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu

FORMATS = ("float32", "bfloat16")
PRODUCTS = ((2048, 384, 1536), (2048, 1536, 384), (1024, 1024, 1024))  # rows, depth, columns
FLAGS = ("avx512f", "avx512_bf16", "amx_bf16")


def milliseconds(actions: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Return the median duration of each action after one that is not counted. The actions take turns."""
    durations: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + 1):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            if turn:
                durations[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in durations.items()}


def products() -> list[tuple[str, dict[str, float] | str]]:
    """Time paddle.matmul in both formats. Return its rows of the table."""
    import paddle

    rows = []
    for n, d, m in PRODUCTS:
        label = f"matmul {n} x {d} x {m}"
        pairs = {name: (paddle.randn([n, d]).astype(name), paddle.randn([d, m]).astype(name)) for name in FORMATS}
        actions = {name: (lambda pair=pair: paddle.matmul(*pair).cast("float32").numpy()) for name, pair in pairs.items()}
        try:
            rows.append((label, milliseconds(actions, 10)))
        except RuntimeError as error:  # no such kernel
            rows.append((label, reason(error)))
    return rows


def training_steps() -> list[tuple[str, dict[str, float] | str]]:
    """Time forward and backward passes of a classifier in both formats. Return rows of the table."""
    import paddle

    label = "training step, BERT 6 x 384, batch 32"
    models = {name: paddle_model("classification") for name in FORMATS}
    models["bfloat16"].to(dtype="bfloat16")
    batch = {name: paddle.to_tensor(value) for name, value in Collate("classification")(make_rows("classification", 32)).items()}

    def step(name: str, cast: bool) -> None:
        models[name].train()
        with paddle.amp.auto_cast(enable=cast, dtype="bfloat16", level="O1"):
            logits = models[name](batch["input_ids"], attention_mask=batch["attention_mask"])
        paddle.nn.functional.cross_entropy(logits.astype("float32"), batch["labels"]).backward()
        models[name].clear_gradients()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with paddle.amp.auto_cast(dtype="bfloat16", level="O1"):
            casts = paddle.matmul(paddle.ones([2, 2]), paddle.ones([2, 2])).dtype == paddle.bfloat16
    plain = {"float32": lambda: step("float32", False)}
    variants = {"auto_cast": ("float32", True), "bfloat16 weights": ("bfloat16", False)}
    rows: list[tuple[str, dict[str, float] | str]] = []
    for name, (model, cast) in variants.items():
        if cast and not casts:
            rows.append((f"{label}, {name}", "auto_cast changes nothing on a CPU"))
            continue
        try:
            rows.append((f"{label}, {name}", milliseconds({**plain, "bfloat16": lambda m=model, c=cast: step(m, c)}, 5)))
        except (RuntimeError, NotImplementedError, ValueError) as error:
            rows.append((f"{label}, {name}", reason(error)))
    return rows


def layers_by_onednn() -> list[tuple[str, dict[str, float] | str]]:
    """Time a linear layer of paddle_ft and its gradients in both formats. Return its rows of the table."""
    import paddle

    from paddle_ft.models.kernels import has_bfloat16, onednn

    if not has_bfloat16():
        return [("layers of paddle_ft", "this processor does not compute in bfloat16, or Paddle has no oneDNN")]
    contexts = {"float32": contextlib.nullcontext, "bfloat16": onednn.bfloat16}
    rows = []
    for n, d, m in PRODUCTS:
        x, weight, bias, gradient = paddle.randn([n, d]), paddle.randn([d, m]), paddle.randn([m]), paddle.randn([n, m])

        def layer(name: str, x=x, weight=weight, bias=bias, gradient=gradient) -> None:
            with contexts[name]():
                onednn.linear(x, weight, bias)
                onednn.linear_gradient(x, gradient, weight)

        actions = {name: (lambda name=name, layer=layer: layer(name)) for name in FORMATS}
        rows.append((f"paddle_ft's linear layer {n} x {d} x {m}, with gradients", milliseconds(actions, 10)))
    return rows


def steps_of_paddle_ft() -> list[tuple[str, dict[str, float] | str]]:
    """Time training steps of paddle_ft with and without train.use_amp. Return rows of the table."""
    from paddle_ft.models.kernels import has_bfloat16

    if not has_bfloat16():
        return []
    rows = []
    for name, work in WORKLOADS.items():
        data, settings = (
            make_rows(name, 8 * work["batch"]),
            {"float32": (), "bfloat16": ("train.use_amp=true", "train.amp_dtype=bfloat16")},
        )
        with tempfile.TemporaryDirectory() as folder:
            steppers = {
                kind: make_stepper(name, Collate(name), data, 8, f"{folder}/{kind}", "train.group_by_length=true", *extra)
                for kind, extra in settings.items()
            }
            actions = {kind: functools.partial(_next_step, stepper, iter(range(8))) for kind, stepper in steppers.items()}
            rows.append((f"training step of paddle_ft, {work['about']}", milliseconds(actions, 7)))
            for stepper in steppers.values():
                stepper.close()
    return rows


def _next_step(stepper, numbers: Iterator[int]) -> None:
    stepper.train_step(next(numbers))


def reason(error: Exception) -> str:
    """Return the sentence of Paddle's error that says what is missing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((line for line in lines if "kernel" in line and "not registered" in line), lines[-1])
    return line.removeprefix("(NotFound) ").partition(". ")[0]


def main() -> int:
    """Run the command line. Return the exit code."""
    prepare_cpu()
    import_frameworks_quietly()
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    flags = set(cpu.partition("flags")[2].partition("\n")[0].split())
    print("processor: " + ", ".join(f"{name} {'yes' if name in flags else 'no'}" for name in FLAGS) + "\n")
    print("| | float32, ms | bfloat16, ms | bfloat16 is |\n| --- | ---: | ---: | --- |")
    for label, result in [*products(), *training_steps(), *layers_by_onednn(), *steps_of_paddle_ft()]:
        if isinstance(result, str):
            print(f"| {label} | | | {result} |")
            continue
        full, half = (result[name] for name in FORMATS)
        print(f"| {label} | {full:.1f} | {half:.1f} | {full / half:.2f} times as fast |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
