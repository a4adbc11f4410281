"""What only a GPU can show: parity with the CPU, mixed precision, attention, sharing among GPUs, throughput, memory.

    make gpu-check            (or: python benchmarks/gpu_check.py)

Prints one table to send back. `--device cpu` runs the same checks on a CPU, small, to show that the script itself works; mixed
precision, which Paddle has on no CPU, is then left out and said to be.
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

from paddle_ft.system.runtime import import_frameworks_quietly, peak_memory_mb  # noqa: E402

SMALL = {"d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "heads": 4, "ffn": 128, "vocab": 300, "positions": 128}
BASE = {"d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "heads": 12, "ffn": 3072, "vocab": 21128, "positions": 512}
PRECISIONS = (("fp32", None, 1e-4), ("bfloat16 O1", "bfloat16", 5e-2), ("float16 O1", "float16", 1e-2))  # tolerance


def make_model(size: dict, dropout: float):
    import paddle
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration

    from paddle_ft.models.vocabulary import tie_head

    paddle.seed(1)
    config = BartConfig(
        vocab_size=size["vocab"], d_model=size["d_model"], encoder_layers=size["encoder_layers"],
        decoder_layers=size["decoder_layers"], encoder_attention_heads=size["heads"], decoder_attention_heads=size["heads"],
        encoder_ffn_dim=size["ffn"], decoder_ffn_dim=size["ffn"], max_position_embeddings=size["positions"], dropout=dropout,
        attention_dropout=dropout, activation_dropout=0.0, pad_token_id=0, bos_token_id=2, eos_token_id=3,
        decoder_start_token_id=3, forced_eos_token_id=3, init_std=0.05,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    tie_head(model, from_scratch=True)
    return model


def make_batch(size: dict, rows: int, source: int, target: int) -> dict[str, np.ndarray]:
    """A padded batch: every second row is half as long."""
    rng = np.random.default_rng(0)
    ids = rng.integers(4, size["vocab"], (rows, source))
    mask = np.ones_like(ids)
    mask[1::2, source // 2 :] = 0
    ids[mask == 0] = 0
    labels = rng.integers(4, size["vocab"], (rows, target))
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def loss_and_gradient(model, batch: dict, device: str, amp: str | None = None):
    """(loss, gradient of the embedding as fp32 array) of one batch."""
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


def make_family(name: str):
    """A small model without dropout, in training mode, and its inputs with padding on the right."""
    import paddle
    from paddlenlp.transformers import BertConfig, BertModel, GPTConfig, GPTModel

    inputs = {key: paddle.to_tensor(value) for key, value in make_batch(SMALL, 6, 24, 16).items()}
    labels = inputs.pop("labels")
    paddle.seed(1)
    if name == "bart":
        model, inputs["decoder_input_ids"] = make_model(SMALL, 0.0).bart, labels
    else:
        config, cls = (BertConfig, BertModel) if name == "bert" else (GPTConfig, GPTModel)
        model = cls(config(vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                           max_position_embeddings=128, pad_token_id=0, initializer_range=0.05, hidden_dropout_prob=0.0,
                           attention_probs_dropout_prob=0.0))  # fmt: skip
    if name == "gpt, no mask":
        del inputs["attention_mask"]
    model.train()
    return model, inputs


def states_and_gradients(model, inputs: dict, amp: str | None) -> list[np.ndarray]:
    """Last hidden states, and the gradient of every parameter, as fp32 arrays."""
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
    """model.attention=sdpa and train.compile against PaddleNLP's own layers, on the same device in the same precision."""
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
                found = states_and_gradients(model, inputs, amp)
                scale = [np.abs(plain[0]).max(), *[max(np.abs(x).max() for x in plain[1:])] * (len(plain) - 1)]
                difference = max(float(np.abs(x - y).max() / z) for x, y, z in zip(found, plain, scale, strict=True))
                verdict = "ok" if difference < tolerance else "FAILED"
                what = f"{name}, {precision}: {label} against plain attention"
                rows.append((what, f"largest relative difference {difference:.1e}", verdict))
    return rows


# settings, and how many devices
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
    """The real training on the sample, with every precision and way to train: the loss must fall. count: devices there are."""
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
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                rows.append((label, done.stderr.strip().splitlines()[-1][:150], "FAILED"))
                continue
            events = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
            first, last = (event["loss"] for event in events if event["event"] == "train")
            rows.append((label, f"loss {first:.3f} -> {last:.3f}", "ok" if last < first else "FAILED"))
    return rows


VARIANTS = (("plain attention", "plain", False), ("sdpa", "sdpa", False), ("sdpa, compiled", "sdpa", True))


def throughput(device: str, size: dict, rows: int, source: int, target: int) -> list[tuple[str, str, str]]:
    """Training steps with dropout and AdamW, and generation, on a model of BART-base's size."""
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
    """Seconds a call, the device's queue emptied before and after."""
    import paddle

    wait = paddle.device.synchronize if device != "cpu" else (lambda: None)
    wait()
    began = time.perf_counter()
    for _ in range(times):
        action()
    wait()
    return (time.perf_counter() - began) / times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="gpu", choices=["gpu", "cpu"])
    options = parser.parse_args()
    import_frameworks_quietly()
    import paddle

    if options.device == "gpu" and not (paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count()):
        print("error: no GPU that this Paddle can use (is requirements-gpu.txt installed?). --device cpu tries the script.")
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
