"""Check what only a GPU can show: parity with the CPU, mixed precision, attention, several GPUs, throughput, memory.

    make gpu-check            (or: python benchmarks/gpu_check.py)

The script prints one table and writes it with all figures to a JSON file. The exit code is 1 if a check failed. Beside the speed of
a training step stands its model FLOP utilisation: the share of the device's peak, which is known for some GPUs
(benchmarks/gpu_flops.py) or given by --peak-tflops, else that of a large matrix product, which is measured. `--device cpu` runs the
same checks on a CPU with a small model, to show that the script itself works. Paddle has no mixed precision on a CPU, so the table
then says that it was not run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from paddle_ft.system.runtime import prepare_cpu  # noqa: E402

prepare_cpu()

import numpy as np  # noqa: E402
from gpu_flops import FORMULA  # noqa: E402
from gpu_models import BASE, PRECISIONS, SMALL, make_batch, make_family, make_model  # noqa: E402
from gpu_throughput import throughput  # noqa: E402

from paddle_ft.system.runtime import import_frameworks_quietly  # noqa: E402


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


def main() -> int:
    """Run the command line. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu", choices=["gpu", "cpu"], help="cpu: try the script itself, small (default: gpu)")
    parser.add_argument(
        "--peak-tflops",
        type=float,
        metavar="N",
        help="peak of the GPU for float16 and bfloat16 without sparsity, from its data sheet",
    )
    parser.add_argument("--output", type=Path, default=Path("gpu-check.json"), help="the JSON file (default: gpu-check.json)")
    options = parser.parse_args()
    if options.peak_tflops is not None and not options.peak_tflops > 0:
        parser.error("--peak-tflops must be more than 0")
    import_frameworks_quietly()
    import paddle

    if options.device == "gpu" and not (paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count()):
        message = "error: Paddle finds no GPU that it can use. Is requirements-gpu.txt installed? --device cpu tries the script."
        print(message, file=sys.stderr)
        return 2
    device = "gpu:0" if options.device == "gpu" else "cpu"
    name = paddle.device.cuda.get_device_name(0) if options.device == "gpu" else platform.processor() or "CPU"
    versions = {"paddle": paddle.__version__, "cuda": str(paddle.version.cuda()), "python": platform.python_version()}
    print(f"{name}, Paddle {versions['paddle']}, CUDA {versions['cuda']}, {datetime.date.today()}\n")
    count = paddle.device.cuda.device_count() if options.device == "gpu" else 2
    rows = parity(device) + kernels(device) + loops(device, count)
    sizes = (BASE, 18, 128, 32) if options.device == "gpu" else (SMALL, 6, 24, 10)
    speeds, figures = throughput(device, *sizes, options.peak_tflops)
    rows += speeds
    print("| check | result | verdict |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    checks = [dict(zip(("check", "result", "verdict"), row, strict=True)) for row in rows]
    report = {"device": name, "date": str(datetime.date.today()), **versions, "formula": FORMULA, "checks": checks,
              "training": figures}  # fmt: skip
    options.output.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nMFU: {FORMULA}.\n\nPlease send {options.output}.")
    return 1 if any(verdict == "FAILED" for *_, verdict in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
