"""Training throughput beside the peers: transformers' Trainer on torch, and PaddleNLP's own Trainer.

    python benchmarks/train_speed.py --peer-python /path/to/python-with-torch-and-transformers

The same model sizes (random weights), the same token ids in the same batch size, dropout on, AdamW, one process after the other,
medians of --repeats. Prints a Markdown table of samples/s and of ratios; machine, versions and date stand above it. With and
without grouping by length: padding is part of what a trainer is good or bad at.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from paddle_ft.runtime import mkl_path  # noqa: E402

# what SST-2's and LCSTS's rows are like: tokens a row, drawn once
WORKLOADS = {
    "classification": {"batch": 32, "vocab": 30522, "mean": 13, "spread": 9, "low": 4, "high": 60,
                       "about": "BERT 6 x 384 (MiniLM's size), batch 32, rows as long as SST-2's"},
    "summarization": {"batch": 18, "vocab": 7000, "mean": 106, "spread": 18, "low": 60, "high": 150,
                      "about": "BART 256 x 3+3, batch 18, rows as long as LCSTS's"},
}  # fmt: skip
WARMUP = 3  # steps that are not counted


def make_rows(name: str, count: int) -> list[dict]:
    work, rng = WORKLOADS[name], np.random.default_rng(0)
    lengths = np.clip(rng.gamma((work["mean"] / work["spread"]) ** 2, work["spread"] ** 2 / work["mean"], count),
                      work["low"], work["high"]).astype(int)  # fmt: skip
    rows = []
    for length in lengths:
        row = {"input_ids": rng.integers(10, work["vocab"], int(length)).tolist()}
        if name == "classification":
            row["labels"] = int(rng.integers(0, 2))
        else:
            row["labels"] = rng.integers(10, work["vocab"], int(rng.integers(12, 26))).tolist()
        rows.append(row)
    return rows


def pad(rows: list[list[int]], value: int) -> np.ndarray:
    out = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def collate(rows: list[dict], name: str) -> dict[str, np.ndarray]:
    ids = [row["input_ids"] for row in rows]
    batch = {"input_ids": pad(ids, 0), "attention_mask": pad([[1] * len(i) for i in ids], 0)}
    if name == "classification":
        return {**batch, "labels": np.array([row["labels"] for row in rows])}
    labels = pad([row["labels"] for row in rows], -100)
    decoder = np.concatenate([np.full((len(rows), 1), 2), np.where(labels < 0, 0, labels)[:, :-1]], 1)
    return {**batch, "labels": labels, "decoder_input_ids": decoder}


# ---------------------------------------------------------------------------------------------------- the three trainers
def compiled(*arguments) -> float:
    return ours(*arguments, more=["train.compile=true"])


def ours(name: str, rows: list[dict], steps: int, grouped: bool, folder: str, more: list[str] = ()) -> float:
    from paddle_ft.runtime import prepare_cpu, quiet_frameworks

    prepare_cpu()
    quiet_frameworks()
    from paddle_ft.config import load_config
    from paddle_ft.rundir import RunDir
    from paddle_ft.tasks.base import Dataset, Task
    from paddle_ft.training.step import Stepper
    from paddle_ft.world import World

    class Plain(Task):
        best_metric = "loss"

        def collate(self, dataset, indices, rng):
            return collate([dataset.rows[i] for i in indices], name)

        def count_targets(self, batch):
            return int((batch["labels"] != -100).sum())

        def loss(self, batch):
            return paddle_loss(self.model, batch, name, "sum")

    config = load_config("bart_lcsts", [f"train.train_batch_size={WORKLOADS[name]['batch']}", f"train.max_steps={steps}",
                                        f"train.group_by_length={str(grouped).lower()}", *more])  # fmt: skip
    task = Plain(config)
    task.model = paddle_model(name)
    task.model.train()
    lengths = np.array([len(row["input_ids"]) for row in rows])
    stepper = Stepper(task, Dataset("train", rows, {}, lengths), RunDir(folder), World())
    samples = 0
    for step in range(steps):
        if step == WARMUP:
            began = time.perf_counter()
            samples = 0
        done, _ = stepper.take(step)
        samples += done.work.samples
    seconds = time.perf_counter() - began
    stepper.close()
    return samples / seconds


def paddle_model(name: str):
    import paddle
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration, BertConfig, BertForSequenceClassification

    paddle.seed(0)
    vocab = WORKLOADS[name]["vocab"]
    if name == "classification":
        return BertForSequenceClassification(
            BertConfig(vocab_size=vocab, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        )
    return BartForConditionalGeneration(
        BartConfig(vocab_size=vocab, d_model=256, encoder_layers=3, decoder_layers=3, encoder_attention_heads=4,
                   decoder_attention_heads=4, encoder_ffn_dim=1024, decoder_ffn_dim=1024, max_position_embeddings=512,
                   pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2)
    )  # fmt: skip


def paddle_loss(model, batch, name: str, reduction: str):
    import paddle.nn.functional as F

    inputs = {key: value for key, value in batch.items() if key != "labels"}
    logits = model(**inputs)
    return F.cross_entropy(logits.reshape([-1, logits.shape[-1]]), batch["labels"].reshape([-1]), reduction=reduction)


class Clock:
    """Seconds and steps after the warm-up, for both libraries' callbacks."""

    def __init__(self):
        self.began = None
        self.steps = 0

    def tick(self):
        self.steps += 1
        if self.steps == WARMUP:
            self.began = time.perf_counter()


def paddlenlp(name: str, rows: list[dict], steps: int, grouped: bool, folder: str) -> float:
    import paddle
    from paddlenlp.trainer import Trainer, TrainerCallback, TrainingArguments

    clock = Clock()

    class Tick(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            clock.tick()

    class Own(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False):
            return paddle_loss(model, inputs, name, "mean")

    class Data(paddle.io.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, i):
            return rows[i]

    arguments = TrainingArguments(output_dir=folder, per_device_train_batch_size=WORKLOADS[name]["batch"], max_steps=steps,
                                  learning_rate=1e-5, logging_steps=10**6, save_strategy="no",
                                  disable_tqdm=True, report_to=["none"], device="cpu")  # fmt: skip
    trainer = Own(model=paddle_model(name), args=arguments, train_dataset=Data(), callbacks=[Tick()],
                  data_collator=lambda batch: {k: paddle.to_tensor(v) for k, v in collate(batch, name).items()})  # fmt: skip
    trainer.train()
    return (steps - WARMUP) * WORKLOADS[name]["batch"] / (time.perf_counter() - clock.began)


def transformers(name: str, rows: list[dict], steps: int, grouped: bool, folder: str) -> float:
    import torch
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )  # fmt: skip

    torch.manual_seed(0)
    vocab, clock = WORKLOADS[name]["vocab"], Clock()
    if name == "classification":
        model = BertForSequenceClassification(
            BertConfig(vocab_size=vocab, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        )
    else:
        model = BartForConditionalGeneration(
            BartConfig(vocab_size=vocab, d_model=256, encoder_layers=3, decoder_layers=3, encoder_attention_heads=4,
                       decoder_attention_heads=4, encoder_ffn_dim=1024, decoder_ffn_dim=1024, max_position_embeddings=512,
                       attention_dropout=0.1, activation_dropout=0.1,
                       pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2)
        )  # fmt: skip

    class Tick(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            clock.tick()

    arguments = TrainingArguments(output_dir=folder, per_device_train_batch_size=WORKLOADS[name]["batch"], max_steps=steps,
                                  learning_rate=1e-5, logging_steps=10**6, save_strategy="no", report_to=[], use_cpu=True,
                                  group_by_length=grouped, disable_tqdm=True)  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Tick()],
                      data_collator=lambda batch: {k: torch.from_numpy(v) for k, v in collate(batch, name).items()})  # fmt: skip
    trainer.train()
    return (steps - WARMUP) * WORKLOADS[name]["batch"] / (time.perf_counter() - clock.began)


# ---------------------------------------------------------------------------------------------------- one table
TRAINERS = {"paddle_ft": ours, "compiled": compiled, "paddlenlp": paddlenlp, "transformers": transformers}


def worker(options) -> None:
    rows = make_rows(options.workload, options.rows)
    with tempfile.TemporaryDirectory() as folder:
        speed = TRAINERS[options.worker](options.workload, rows, options.steps, options.grouped, folder)
    print("RESULT " + json.dumps(speed))


def measure(trainer: str, name: str, grouped: bool, options) -> float:
    python = options.peer_python if trainer == "transformers" else sys.executable
    command = [python, __file__, "--worker", trainer, "--workload", name, "--steps", str(options.steps), "--rows",
               str(options.rows)] + (["--grouped"] if grouped else [])  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    if trainer == "paddlenlp" and not options.slow_mkl:
        environment.setdefault("MKL_DEBUG_CPU_TYPE", mkl_path() or "")
    speeds = []
    for _ in range(options.repeats):
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
        if line is None:
            raise SystemExit(f"{trainer} failed:\n{done.stderr[-3000:]}")
        speeds.append(json.loads(line.removeprefix("RESULT ")))
    return statistics.median(speeds)


def compare_compiled(options) -> None:
    print("| workload | paddle_ft | with train.compile | compiled / not |\n| --- | ---: | ---: | ---: |")
    for name in [options.workload] if options.workload else WORKLOADS:
        plain, fast = (measure(trainer, name, False, options) for trainer in ("paddle_ft", "compiled"))
        print(f"| {WORKLOADS[name]['about']} | {plain:.1f} | {fast:.1f} | {fast / plain:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="a python with torch, transformers and accelerate; without: no such column")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rows", type=int, default=3200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--slow-mkl", action="store_true", help="PaddleNLP's Trainer as installed, without MKL_DEBUG_CPU_TYPE=5")
    parser.add_argument("--compile", action="store_true", help="instead of peers: paddle_ft with and without train.compile")
    parser.add_argument("--workload", choices=list(WORKLOADS))
    parser.add_argument("--worker", choices=list(TRAINERS), help=argparse.SUPPRESS)
    parser.add_argument("--grouped", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads, fp32, {datetime.date.today()}\n")
    if options.compile:
        return compare_compiled(options)
    print("| workload | rows in a batch | paddle_ft | paddlenlp | transformers | ours / paddlenlp | ours / transformers |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in [options.workload] if options.workload else WORKLOADS:
        for grouped in (False, True):
            speeds = {"paddle_ft": measure("paddle_ft", name, grouped, options)}
            if not grouped:  # PaddleNLP's Trainer has no grouping by length
                speeds["paddlenlp"] = measure("paddlenlp", name, grouped, options)
            if options.peer_python:
                speeds["transformers"] = measure("transformers", name, grouped, options)
            cells = [f"{speeds[t]:.1f}" if t in speeds else "-" for t in ("paddle_ft", "paddlenlp", "transformers")]
            ratios = [f"{speeds['paddle_ft'] / speeds[t]:.2f}" if t in speeds else "-" for t in ("paddlenlp", "transformers")]
            kind = "grouped by length" if grouped else "random"
            print(f"| {WORKLOADS[name]['about']} | {kind} | " + " | ".join(cells + ratios) + " |", flush=True)


if __name__ == "__main__":
    main()
