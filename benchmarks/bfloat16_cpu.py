"""Measure whether bfloat16 is faster than float32 on this CPU: a matrix product, and a training step of a MiniLM-sized model.

    python benchmarks/bfloat16_cpu.py

train.use_amp is refused on a CPU because of what this prints: what Paddle cannot compute there is named with its error, in mixed
precision (auto_cast) and with all weights in bfloat16. The figures are medians, and bfloat16 and float32 take turns.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from workloads import Collate, make_rows, paddle_model

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
    for label, result in [*products(), *training_steps()]:
        if isinstance(result, str):
            print(f"| {label} | | | {result} |")
            continue
        full, half = (result[name] for name in FORMATS)
        print(f"| {label} | {full:.1f} | {half:.1f} | {full / half:.2f} times as fast |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
