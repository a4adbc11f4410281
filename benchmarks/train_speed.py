"""Compare the speed of training: paddle_ft, PaddleNLP's own Trainer and, with --peer-python, transformers' Trainer on torch.

    python benchmarks/train_speed.py --peer-python /path/to/python-with-torch-and-transformers

All train models of the same size with random weights, on the same rows, with the same batch size, dropout and AdamW. They run one
after the other, each in its own process. The script prints Markdown tables of samples/s, ratios, share of padding and peak memory,
all of them medians. Rows are batched at random and grouped by length, because a trainer also wins or loses time by its padding.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from peers import AVX2, training_arguments, versions
from workloads import BART, BERT, WORKLOADS, Collate, make_rows, make_stepper, paddle_model

from paddle_ft.system.runtime import mkl_cpu_type

WARMUP = 3  # steps that are not timed


# ---------------------------------------------------------------------------------------------------- the trainers
def paddle_ft(name: str, rows: list[dict], steps: int, grouped: bool, folder: str, collate: Collate, *settings: str) -> float:
    """Train with paddle_ft. Return samples/s."""
    stepper = make_stepper(name, collate, rows, steps, folder, f"train.group_by_length={str(grouped).lower()}", *settings)
    samples = 0
    for step in range(steps):
        if step == WARMUP:
            started = time.perf_counter()
            samples = 0
        result, _ = stepper.train_step(step)
        samples += result.batches.samples
    seconds = time.perf_counter() - started
    stepper.close()
    return samples / seconds


def compiled(*arguments) -> float:
    """Train with paddle_ft and train.compile. Return samples/s."""
    return paddle_ft(*arguments, "train.compile=true")


class Clock:
    """Count steps, and store the time at the end of the warm-up. The callbacks of both libraries call `tick`."""

    def __init__(self):
        self.started = None
        self.steps = 0

    def tick(self):
        self.steps += 1
        if self.steps == WARMUP:
            self.started = time.perf_counter()


def paddlenlp(name: str, rows: list[dict], steps: int, grouped: bool, folder: str, collate: Collate) -> float:
    """Train with PaddleNLP's Trainer. Return samples/s."""
    import paddle
    import paddle.nn.functional as F
    from paddlenlp.trainer import Trainer, TrainerCallback, TrainingArguments

    clock = Clock()

    class Tick(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            clock.tick()

    class PlainTrainer(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False):
            logits = model(**{key: value for key, value in inputs.items() if key != "labels"})
            return F.cross_entropy(logits.reshape([-1, logits.shape[-1]]), inputs["labels"].reshape([-1]))

    class Data(paddle.io.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, i):
            return rows[i]

    arguments = TrainingArguments(output_dir=folder, per_device_train_batch_size=WORKLOADS[name]["batch"], max_steps=steps,
                                  learning_rate=1e-5, logging_steps=10**6, save_strategy="no",
                                  disable_tqdm=True, report_to=["none"], device="cpu")  # fmt: skip
    trainer = PlainTrainer(model=paddle_model(name), args=arguments, train_dataset=Data(), callbacks=[Tick()],
                  data_collator=lambda batch: {k: paddle.to_tensor(v) for k, v in collate(batch).items()})  # fmt: skip
    trainer.train()
    return (steps - WARMUP) * WORKLOADS[name]["batch"] / (time.perf_counter() - clock.started)


def transformers(name: str, rows: list[dict], steps: int, grouped: bool, folder: str, collate: Collate) -> float:
    """Train with transformers' Trainer, in the other Python. Return samples/s."""
    import torch
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainerCallback,
    )

    torch.manual_seed(0)
    vocab, clock = WORKLOADS[name]["vocab"], Clock()
    if name == "classification":
        model = BertForSequenceClassification(BertConfig(vocab_size=vocab, **BERT))
    else:
        model = BartForConditionalGeneration(BartConfig(vocab_size=vocab, **BART))

    class Tick(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            clock.tick()

    arguments = training_arguments(grouped, output_dir=folder, per_device_train_batch_size=WORKLOADS[name]["batch"],
                                   max_steps=steps, learning_rate=1e-5, logging_steps=10**6, save_strategy="no", report_to=[],
                                   use_cpu=True, disable_tqdm=True)  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Tick()],
                      data_collator=lambda batch: {k: torch.from_numpy(v) for k, v in collate(batch).items()})  # fmt: skip
    trainer.train()
    return (steps - WARMUP) * WORKLOADS[name]["batch"] / (time.perf_counter() - clock.started)


TRAINERS = {"paddle_ft": paddle_ft, "compiled": compiled, "paddlenlp": paddlenlp, "transformers": transformers}
PACKAGES = {"paddlenlp": ("paddlepaddle", "paddlenlp"), "transformers": ("transformers", "torch")}


# ---------------------------------------------------------------------------------------------------- measuring
def worker(options) -> None:
    """Train with one trainer in this process. Print its speed, padding and memory."""
    rows, collate = make_rows(options.workload, options.rows), Collate(options.workload)
    with tempfile.TemporaryDirectory() as folder:
        speed = TRAINERS[options.worker](options.workload, rows, options.steps, options.grouped, folder, collate)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    figures = {"speed": speed, "padding": collate.padding / collate.tokens, "memory": memory}
    print("RESULT " + json.dumps(figures | {"versions": versions(*PACKAGES.get(options.worker, ("paddlepaddle",)))}))


def measure(trainer: str, name: str, grouped: bool, options, **settings: str) -> dict[str, Any]:
    """Run a trainer in several processes.

    Returns:
        Medians of speed (samples/s), padding (share of the tokens) and memory (peak, MB), and "versions" as text.
    """
    python = options.peer_python if trainer == "transformers" else sys.executable
    command = [python, __file__, "--worker", trainer, "--workload", name, "--steps", str(options.steps), "--rows",
               str(options.rows)] + (["--grouped"] if grouped else [])  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), **(AVX2 if options.avx2 else {}), **settings}
    if trainer == "paddlenlp" and not options.slow_mkl:
        environment.setdefault("MKL_DEBUG_CPU_TYPE", mkl_cpu_type() or "")
    results = []
    for _ in range(options.repeats):
        completed = subprocess.run(command, capture_output=True, text=True, env=environment)
        line = next((line for line in completed.stdout.splitlines() if line.startswith("RESULT ")), None)
        if line is None:
            raise SystemExit(f"error: {trainer} failed:\n{completed.stderr[-3000:]}")
        results.append(json.loads(line.removeprefix("RESULT ")))
    medians = {key: statistics.median(result[key] for result in results) for key in ("speed", "padding", "memory")}
    return {**medians, "versions": results[0]["versions"]}


def compare_peers(options, name: str) -> None:
    """Print the table of a workload: paddle_ft beside the other trainers."""
    columns = ["paddle_ft", "paddlenlp", *(["transformers"] if options.peer_python else [])]
    print(f"\n{WORKLOADS[name]['about']}\n\n| rows in a batch | trainer | samples/s | paddle_ft is | padding | peak memory, MB |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    used = {}
    for grouped in (False, True):
        own_speed = None
        for trainer in columns:
            if grouped and trainer == "paddlenlp":
                continue  # it has no grouping by length
            result = measure(trainer, name, grouped, options)
            own_speed, used[trainer] = own_speed or result["speed"], result["versions"]
            ratio = "" if trainer == "paddle_ft" else f"{own_speed / result['speed']:.2f} x"
            print(f"| {'grouped by length' if grouped else 'random'} | {trainer} | {result['speed']:.1f} | {ratio} |"
                  f" {result['padding']:.0%} | {result['memory']:,.0f} |", flush=True)  # fmt: skip
    print(f"\n{'; '.join(f'{trainer}: {text}' for trainer, text in used.items())}", flush=True)


def compare_compiled(options, name: str) -> None:
    """Print the row of a workload: paddle_ft with and without train.compile."""
    plain, fast = (measure(trainer, name, False, options)["speed"] for trainer in ("paddle_ft", "compiled"))
    print(f"| {WORKLOADS[name]['about']} | {plain:.1f} | {fast:.1f} | {fast / plain:.2f} |", flush=True)


def compare_settings(options, name: str) -> None:
    """Print the rows of a workload: the CPU settings that paddle_ft chooses, then each of them undone."""
    undone = {
        "as chosen": {},  # the first entry: the others are divided by its speed
        "one thread": {"OMP_NUM_THREADS": "1"},
        "MKL as installed (0)": {"MKL_DEBUG_CPU_TYPE": "0"},
        "MKL's AVX2 code (5)": {"MKL_DEBUG_CPU_TYPE": "5"},
        "strided views": {"FLAGS_use_stride_kernel": "1"},
        "freed memory as glibc does it": {"GLIBC_TUNABLES": ""},  # paddle_ft leaves glibc alone where this variable exists
    }
    speed_as_chosen = None
    for label, settings in undone.items():
        speed = measure("paddle_ft", name, False, options, **settings)["speed"]
        speed_as_chosen = speed_as_chosen or speed
        print(f"| {WORKLOADS[name]['about']} | {label} | {speed:.1f} | {speed / speed_as_chosen:.2f} |", flush=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peer-python", metavar="PYTHON", help="a python with torch, transformers and accelerate (default: leave them out)"
    )
    parser.add_argument("--steps", type=int, default=40, metavar="N", help="training steps, warm-up included (default: 40)")
    parser.add_argument("--rows", type=int, default=3200, metavar="N", help="rows to train on (default: 3200)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each trainer; the median counts (default: 3)")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=cores, metavar="N", help="threads of each trainer (default: all cores)")
    parser.add_argument("--slow-mkl", action="store_true", help="run PaddleNLP's Trainer as installed, with MKL's slow path on AMD")
    parser.add_argument("--avx2", action="store_true", help="hide AVX-512 from all trainers")
    parser.add_argument("--compile", action="store_true", help="no other trainer: paddle_ft with and without train.compile")
    parser.add_argument("--settings", action="store_true", help="no other trainer: paddle_ft with each of its CPU settings undone")
    parser.add_argument("--workload", choices=list(WORKLOADS), help="only this workload (default: all)")
    parser.add_argument("--worker", choices=list(TRAINERS), help=argparse.SUPPRESS)
    parser.add_argument("--grouped", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)
    processor, arithmetic = platform.processor() or platform.machine(), "fp32, AVX2 alone" if options.avx2 else "fp32"
    print(f"{processor}, {options.threads} threads, {arithmetic}, {datetime.date.today()}\n")
    compare = compare_peers
    if options.compile:
        compare = compare_compiled
        print("| workload | paddle_ft | with train.compile | compiled / not |\n| --- | ---: | ---: | ---: |")
    elif options.settings:
        compare = compare_settings
        print("| workload | setting | samples/s | ratio |\n| --- | --- | ---: | ---: |")
    for name in [options.workload] if options.workload else WORKLOADS:
        compare(options, name)


if __name__ == "__main__":
    main()
