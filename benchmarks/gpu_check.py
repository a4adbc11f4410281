"""Check what only a GPU can show: parity with the CPU, mixed precision, attention, several GPUs, throughput, memory.

    make gpu-check            (or: python benchmarks/gpu_check.py)

The script prints one table. The exit code is 1 if a check failed. `--device cpu` runs the same checks on a CPU with a small model,
to show that the script itself works. Paddle has no mixed precision on a CPU, so the table then says that it was not run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from paddle_ft.system.runtime import prepare_cpu  # noqa: E402

prepare_cpu()

import numpy as np  # noqa: E402
from gpu_models import BASE, SMALL, make_batch, make_family, make_model  # noqa: E402

from paddle_ft.system.runtime import import_frameworks_quietly, peak_memory_mb  # noqa: E402

# name, dtype of mixed precision, largest relative difference that passes
PRECISIONS = (("fp32", None, 1e-4), ("bfloat16 O1", "bfloat16", 5e-2), ("float16 O1", "float16", 1e-2))


def loss_and_gradient(model, batch: dict, device: str, amp: str | None = None):
    """Return the loss of one batch, and the gradient of the embedding as an fp32 array."""
    import paddle
    import paddle.nn.functional as F

    from paddle_ft.tasks.shared.seq2seq import shift_right

    paddle.set_device(device)
    tensors = {name: paddle.to_tensor(value) for name, value in batch.items()}
    decoder = paddle.to_tensor(shift_right(batch["labels"], 3, 0))
    with paddle.amp.auto_cast(enable=amp is not None, level="O1", dtype=amp or "float16"):
        logits = model(input_ids=tensors["input_ids"], attention_mask=tensors["attention_mask"], decoder_input_ids=decoder)
        loss = F.cross_entropy(logits.astype("float32").reshape([-1, logits.shape[-1]]), tensors["labels"].reshape([-1]))
    loss.backward()
    gradient = model.bart.shared.weight.grad.astype("float32").numpy()
    model.clear_gradients()
    return float(loss), gradient


def parity(device: str) -> list[tuple[str, str, str]]:
    """Compare loss, gradient and generated ids with those on the CPU. Return rows of the table."""
    import paddle

    from paddle_ft.generation import GenerationOptions, generate

    batch = make_batch(SMALL, 6, 24, 10)
    paddle.set_device("cpu")
    reference = make_model(SMALL, 0.0)
    weights = {name: value.numpy() for name, value in reference.state_dict().items()}
    expected_loss, expected_gradient = loss_and_gradient(reference, batch, "cpu")
    options = [GenerationOptions(max_length=16, num_beams=beams) for beams in (1, 4)]
    expected_ids = [generate(reference, batch["input_ids"], batch["attention_mask"], o) for o in options]

    paddle.set_device(device)
    model = make_model(SMALL, 0.0)
    model.set_state_dict(weights)
    rows = [("mixed precision", "not run: it needs a GPU", "-")] if device == "cpu" else []
    for name, dtype, tolerance in PRECISIONS[: 1 if device == "cpu" else None]:
        loss, gradient = loss_and_gradient(model, batch, device, dtype)
        difference = max(
            abs(loss - expected_loss) / abs(expected_loss),
            float(np.abs(gradient - expected_gradient).max() / np.abs(expected_gradient).max()),
        )
        verdict = "ok" if difference < tolerance else "FAILED"
        rows.append((f"{name}: loss and gradient against CPU fp32", f"largest relative difference {difference:.1e}", verdict))
    for option, expected in zip(options, expected_ids, strict=True):
        same = generate(model, batch["input_ids"], batch["attention_mask"], option) == expected
        label = f"generation, {option.num_beams} beam(s), ids as on the CPU"
        rows.append((label, "same" if same else "different", "ok" if same else "FAILED"))
    return rows


def states_and_gradients(model, inputs: dict, amp: str | None) -> list[np.ndarray]:
    """Return the last hidden states and the gradient of every parameter as fp32 arrays."""
    import paddle

    with paddle.amp.auto_cast(enable=amp is not None, level="O1", dtype=amp or "float16"):
        states = model(**inputs)
    states = (states if isinstance(states, paddle.Tensor) else states[0]).astype("float32")
    (states * paddle.linspace(-1, 1, states.shape[-1])).sum().backward()
    arrays = [states.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]
    arrays = [array.astype("float32").numpy() for array in arrays]
    model.clear_gradients()
    return arrays


def kernels(device: str) -> list[tuple[str, str, str]]:
    """Compare model.attention=sdpa and train.compile with PaddleNLP's own layers, on the same device in the same precision."""
    import paddle

    from paddle_ft.models.attention import use_attention
    from paddle_ft.models.compile import compile_stacks

    paddle.set_device(device)
    rows = []
    for name in ("bert", "bart", "gpt", "gpt, no mask"):
        for precision, amp, tolerance in PRECISIONS[: 1 if device == "cpu" else None]:
            model, inputs = make_family(name)
            plain = states_and_gradients(model, inputs, amp)
            for label, change in (("sdpa", lambda m: use_attention(m, "sdpa")), ("sdpa and compiled", compile_stacks)):
                change(model)
                changed = states_and_gradients(model, inputs, amp)
                scale = [np.abs(plain[0]).max(), *[max(np.abs(x).max() for x in plain[1:])] * (len(plain) - 1)]
                difference = max(float(np.abs(x - y).max() / z) for x, y, z in zip(changed, plain, scale, strict=True))
                verdict = "ok" if difference < tolerance else "FAILED"
                check = f"{name}, {precision}: {label} against plain attention"
                rows.append((check, f"largest relative difference {difference:.1e}", verdict))
    return rows


# name -> settings, and the number of devices
LOOPS = {
    "fp32": ([], 1),
    "fp32, adapters (LoRA)": (["model.lora={rank: 8}"], 1),
    "fp32, recompute": (["train.recompute=true"], 1),
    "fp32, compiled": (["train.compile=true"], 1),
    "bfloat16 O1": (["train.use_amp=true", "train.amp_dtype=bfloat16"], 1),
    "float16 O1": (["train.use_amp=true"], 1),
    "float16 O2": (["train.use_amp=true", "train.amp_level=O2"], 1),
    "float16 O1, recompute": (["train.use_amp=true", "train.recompute=true"], 1),
    "fp32, data parallel": ([], 2),
    "fp32, stage2": (["train.sharding=stage2"], 2),
    "fp32, stage3": (["train.sharding=stage3"], 2),
    "float16 O1, stage3": (["train.use_amp=true", "train.sharding=stage3"], 2),
}


def loops(device: str, count: int) -> list[tuple[str, str, str]]:
    """Train the sample with train.py for each entry of LOOPS, and check that the loss falls.

    Args:
        device: "gpu:0" or "cpu".
        count: number of available devices.

    Returns:
        Rows of the table.
    """
    rows = []
    for name, (settings, devices) in LOOPS.items():
        if device == "cpu" and "train.use_amp=true" in settings:
            continue
        steps = 200 if device != "cpu" else 10
        label = f"train.py --sample, {steps} steps, {name}, {devices} process{'es' if devices > 1 else ''}"
        if devices > count:
            rows.append((label, f"not run: there is {count} GPU", "-"))
            continue
        with tempfile.TemporaryDirectory() as folder:
            group = ["--devices", "cpu:2" if device == "cpu" else "0,1"] if devices > 1 else []
            command = [
                sys.executable, "train.py", "--config", "bart_lcsts", "--sample", f"device={device.split(':')[0]}", *group,
                f"output_dir={folder}/run", f"train.max_steps={steps}", f"train.logging_steps={steps // 2}",
                "eval.before_training=false", "data.limit_validation=32", "data.limit_test=32", *settings,
            ]  # fmt: skip
            completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if completed.returncode:
                rows.append((label, completed.stderr.strip().splitlines()[-1][:150], "FAILED"))
                continue
            events = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
            first, last = (event["loss"] for event in events if event["event"] == "train")
            rows.append((label, f"loss {first:.3f} -> {last:.3f}", "ok" if last < first else "FAILED"))
    return rows


VARIANTS = (("plain attention", "plain", False), ("sdpa", "sdpa", False), ("sdpa, compiled", "sdpa", True))


def throughput(device: str, size: dict, rows: int, source: int, target: int) -> list[tuple[str, str, str]]:
    """Time training steps with dropout and AdamW, and generation, on a BART of the given size."""
    import paddle

    from paddle_ft.generation import GenerationOptions, generate
    from paddle_ft.models.attention import use_attention
    from paddle_ft.models.compile import compile_stacks

    paddle.set_device(device)
    table = []
    batch = make_batch(size, rows, source, target)
    for (name, amp, _), (label, attention, compiled) in product(PRECISIONS[: 1 if device == "cpu" else None], VARIANTS):
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
        table.append((f"training, {name}, {label}, {rows} x {source} -> {target}", f"{rows / seconds:.1f} samples/s{memory}", "-"))
    options = GenerationOptions(max_length=target, num_beams=4)
    model.eval()
    seconds = timed(lambda: generate(model, batch["input_ids"], batch["attention_mask"], options), device, 2)
    table.append((f"generation, 4 beams, {rows} x {source} -> {target}", f"{rows / seconds:.1f} texts/s", "-"))
    return table


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


def main() -> int:
    """Run the command line. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu", choices=["gpu", "cpu"], help="cpu: try the script itself, small (default: gpu)")
    options = parser.parse_args()
    import_frameworks_quietly()
    import paddle

    if options.device == "gpu" and not (paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count()):
        message = "error: Paddle finds no GPU that it can use. Is requirements-gpu.txt installed? --device cpu tries the script."
        print(message, file=sys.stderr)
        return 2
    device = "gpu:0" if options.device == "gpu" else "cpu"
    name = paddle.device.cuda.get_device_name(0) if options.device == "gpu" else platform.processor() or "CPU"
    print(f"{name}, Paddle {paddle.__version__}, CUDA {paddle.version.cuda()}, {datetime.date.today()}\n")
    count = paddle.device.cuda.device_count() if options.device == "gpu" else 2
    rows = parity(device) + kernels(device) + loops(device, count)
    rows += throughput(device, *((BASE, 18, 128, 32) if options.device == "gpu" else (SMALL, 6, 24, 10)))
    print("| check | result | verdict |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    return 1 if any(verdict == "FAILED" for *_, verdict in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
