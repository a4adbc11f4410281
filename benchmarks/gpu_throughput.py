"""Time training steps and generation for benchmarks/gpu_check.py, with their share of the device's peak."""

from __future__ import annotations

import time
from itertools import product

from gpu_flops import known_peak, product_tflops, training_flops
from gpu_models import PRECISIONS, make_batch, make_model

from paddle_ft.system.runtime import peak_memory_mb

VARIANTS = (("plain attention", "plain", False), ("sdpa", "sdpa", False), ("sdpa, compiled", "sdpa", True))


def throughput(
    device: str, size: dict, rows: int, source: int, target: int, peak: float | None
) -> tuple[list[tuple[str, str, str]], list[dict]]:
    """Time training steps with dropout and AdamW, and generation, on a BART of the given size.

    Args:
        device: "gpu:0" or "cpu".
        size: the sizes of the model.
        rows, source, target: rows of a batch, and the tokens of each.
        peak: the device's peak in TFLOP/s for float16 and bfloat16, or None.

    Returns:
        Rows of the table, and for each training the figures as a dictionary.
    """
    import paddle

    from paddle_ft.generation import GenerationOptions, generate
    from paddle_ft.models.attention import use_attention
    from paddle_ft.models.compile import compile_stacks

    paddle.set_device(device)
    table, figures, peaks = [], [], {}
    batch, work = make_batch(size, rows, source, target), training_flops(size, rows, source, target) / 1e12
    for (name, amp, _), (label, attention, compiled) in product(PRECISIONS[: 1 if device == "cpu" else None], VARIANTS):
        if name not in peaks:
            peaks[name] = find_peak(device, amp, peak)
        model = make_model(size, 0.1)
        use_attention(model, attention)
        model.train()
        if compiled:
            compile_stacks(model)
        optimizer = paddle.optimizer.AdamW(1e-5, parameters=model.parameters())
        scaler = paddle.amp.GradScaler(enable=amp == "float16", init_loss_scaling=2.0**15)
        step = lambda: train_step(model, optimizer, scaler, batch, amp)  # noqa: E731, B023
        if device != "cpu":
            paddle.device.cuda.reset_max_memory_allocated()
        for _ in range(3):
            step()
        seconds = timed(step, device, 10 if device != "cpu" else 3)
        memory = "" if device == "cpu" else f", {peak_memory_mb():,.0f} MB"
        limit, origin = peaks[name]
        share = work / seconds / limit
        speed = f"{rows / seconds:.1f} samples/s, MFU {share:.1%} of {limit:.3g} TFLOP/s ({origin}){memory}"
        table.append((f"training, {name}, {label}, {rows} x {source} -> {target}", speed, "-"))
        figures.append({
            "precision": name, "variant": label, "rows": rows, "source": source, "target": target, "seconds_per_step": seconds,
            "samples_per_second": rows / seconds, "tflop_per_step": work, "peak_tflops": limit, "peak_is": origin,
            "model_flop_utilisation": share, "peak_memory_mb": None if device == "cpu" else peak_memory_mb(),
        })  # fmt: skip
    options = GenerationOptions(max_length=target, num_beams=4)
    model.eval()
    seconds = timed(lambda: generate(model, batch["input_ids"], batch["attention_mask"], options), device, 2)
    table.append((f"generation, 4 beams, {rows} x {source} -> {target}", f"{rows / seconds:.1f} texts/s", "-"))
    return table, figures


def find_peak(device: str, amp: str | None, given: float | None) -> tuple[float, str]:
    """Return the peak of a precision in TFLOP/s, and where it is from: --peak-tflops, a data sheet or a measured product."""
    import paddle

    if given is not None and (amp is not None or device == "cpu"):
        return given, "given"
    known = None if device == "cpu" else known_peak(paddle.device.cuda.get_device_name(0), amp is not None)
    if known is not None:
        return known, "data sheet"
    wait = paddle.device.synchronize if device != "cpu" else (lambda: None)
    return product_tflops(amp or "float32", wait, 8192 if device != "cpu" else 1024), "measured product"


def train_step(model, optimizer, scaler, batch: dict, amp: str | None) -> None:
    """Do one training step."""
    import paddle
    import paddle.nn.functional as F

    from paddle_ft.tasks.shared.seq2seq import shift_right

    ids, mask, labels = (paddle.to_tensor(batch[name]) for name in ("input_ids", "attention_mask", "labels"))
    decoder = paddle.to_tensor(shift_right(batch["labels"], 3, 0))
    with paddle.amp.auto_cast(enable=amp is not None, level="O1", dtype=amp or "float16"):
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder)
        loss = F.cross_entropy(logits.reshape([-1, logits.shape[-1]]), labels.reshape([-1]))
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.clear_grad()


def timed(action, device: str, times: int) -> float:
    """Return the seconds of a call. The device's queue is emptied before and after."""
    import paddle

    wait = paddle.device.synchronize if device != "cpu" else (lambda: None)
    wait()
    started = time.perf_counter()
    for _ in range(times):
        action()
    wait()
    return (time.perf_counter() - started) / times
