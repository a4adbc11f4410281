"""Compare a classifier's accuracy on SST-2 after training with paddle_ft and with transformers' Trainer.

    python benchmarks/sst2_accuracy.py --model DIRECTORY --data FOLDER --peer-python PYTHON

Both train the same checkpoint on the same rows with the same settings, one after the other: one epoch, learning rate 2e-5, batch
32, 128 tokens, linear warm-up over a tenth of the steps, weight decay 0.01, gradient norm 1, rows grouped by length, fp32. The
script prints a Markdown table: accuracy on dev.tsv, minutes, samples/s.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import training_arguments, versions

ROOT = Path(__file__).resolve().parent.parent


def train_paddle_ft(options, folder: str) -> dict:
    """Train with paddle_ft. Return accuracy in percent, seconds, samples/s and versions."""
    command = [
        sys.executable, str(ROOT / "train.py"), "--config", "distilbert_sst2", f"output_dir={folder}/run",
        f"model.pretrained={options.model}", "data.source=null", f"data.train={options.data}/train.tsv",
        f"data.validation={options.data}/dev.tsv", "data.test=null", "data.columns={text: sentence}", "task.round_labels=false",
        "train.num_train_epochs=1", "eval.before_training=false", f"seed={options.seed}",
        *([f"data.limit_train={options.rows}"] if options.rows else []),
    ]  # fmt: skip
    if code := subprocess.run(command).returncode:
        raise SystemExit(code)  # train.py has already printed the error
    results = json.loads(Path(folder, "run", "results.json").read_text())
    return {"accuracy": results["metrics"]["validation"]["accuracy"], "seconds": results["train"]["seconds"],
            "samples_per_second": results["train"]["samples_per_second"],
            "versions": versions("paddlepaddle", "paddlenlp")}  # fmt: skip


def train_transformers(options) -> dict:
    """Train with transformers' Trainer, in the other Python. Return accuracy in percent, seconds, samples/s and versions."""
    import csv

    import numpy as np
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
    )

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tokenizer = AutoTokenizer.from_pretrained(options.model)

    def read(name: str, count: int | None) -> list[dict]:
        with open(Path(options.data, name), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:count]
        encoded = tokenizer([row["sentence"] for row in rows], truncation=True, max_length=128)
        return [
            {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": int(row["label"])}
            for ids, row in zip(encoded["input_ids"], rows, strict=True)
        ]

    train, dev = read("train.tsv", options.rows or None), read("dev.tsv", None)
    warmup_steps = -(-len(train) // 32) // 10  # as paddle_ft computes it; version 5 has no warmup_ratio
    arguments = training_arguments(
        grouped=True, output_dir=options.folder, num_train_epochs=1, per_device_train_batch_size=32, per_device_eval_batch_size=64,
        learning_rate=2e-5, warmup_steps=warmup_steps, weight_decay=0.01, max_grad_norm=1.0, adam_epsilon=1e-8, seed=options.seed,
        use_cpu=True, report_to=[], save_strategy="no", logging_steps=200,
    )  # fmt: skip
    torch.manual_seed(options.seed)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=2)
    trainer = Trainer(model, arguments, DataCollatorWithPadding(tokenizer), train, dev)
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    output = trainer.predict(dev)
    accuracy = 100 * float(np.mean(output.predictions.argmax(-1) == output.label_ids))
    return {"accuracy": accuracy, "seconds": seconds, "samples_per_second": len(train) / seconds,
            "versions": versions("transformers", "torch")}  # fmt: skip


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", required=True, metavar="DIRECTORY", help="a BERT checkpoint in Hugging Face's layout, such as all-MiniLM-L6-v2"
    )
    parser.add_argument("--data", required=True, metavar="FOLDER", help="GLUE's SST-2: a folder with train.tsv and dev.tsv")
    parser.add_argument(
        "--peer-python", metavar="PYTHON", help="a python with torch, transformers and accelerate (default: leave them out)"
    )
    parser.add_argument("--seed", type=int, default=2022, metavar="N", help="seed of both trainers (default: 2022)")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="only the first N training rows (default: 0, all)")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        print("RESULT " + json.dumps(train_transformers(options)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        results["paddle_ft"] = train_paddle_ft(options, folder)
        if options.peer_python:
            command = [options.peer_python, __file__, *sys.argv[1:], "--folder", f"{folder}/peer"]
            completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            line = next(line for line in completed.stdout.splitlines() if line.startswith("RESULT "))
            results["transformers' Trainer"] = json.loads(line.removeprefix("RESULT "))
    print(f"\n{len(os.sched_getaffinity(0))} threads, fp32, seed {options.seed}, {datetime.date.today()}\n")
    print("| | dev accuracy | training, minutes | samples/s |\n| --- | ---: | ---: | ---: |")
    for name, result in results.items():
        print(f"| {name} | {result['accuracy']:.2f} | {result['seconds'] / 60:.1f} | {result['samples_per_second']:.1f} |")
    used = "; ".join(f"{name}: {result['versions']}" for name, result in results.items())
    print(f"\n{used}")


if __name__ == "__main__":
    main()
