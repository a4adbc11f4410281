"""The half of same_work.py that runs in the other Python: makes the checkpoint that both start from, and trains with transformers.

    python benchmarks/same_work.py --data FOLDER --minilm DIRECTORY --peer-python PYTHON      starts this

It reads and tokenises the rows by itself. Only the evaluation masks of the masked language model come from paddle_ft.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

from peers import training_arguments, versions
from works import (
    BART,
    CHINESE_BERT,
    EVAL_BATCH,
    MASK_PROBABILITY,
    MAX_GRAD_NORM,
    TARGET_LENGTH,
    WEIGHT_DECAY,
    WORKS,
    Work,
    threads,
)


def model_class(work: Work):
    """Return the class of transformers for a work."""
    import transformers

    names = {"classification": "AutoModelForSequenceClassification", "masked_lm": "AutoModelForMaskedLM",
             "summarization": "BartForConditionalGeneration"}  # fmt: skip
    return getattr(transformers, names[work.kind])


def make_start(work: Work, source: str, seed: int, folder: str, dropout: bool) -> None:
    """Write the checkpoint that both start from: with the head, or the whole model, that the seed draws.

    The directory appears when it is whole.
    """
    import torch
    from transformers import AutoTokenizer, BartConfig

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(source)
    if work.checkpoint == "new":
        model = model_class(work)(BartConfig(vocab_size=len(tokenizer), **BART, **CHINESE_BERT))
    else:
        model = model_class(work).from_pretrained(source, **({"num_labels": 2} if work.kind == "classification" else {}))
    if not dropout:
        for name in ("dropout", "attention_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob"):
            if hasattr(model.config, name):
                setattr(model.config, name, 0.0)
    partial = f"{folder}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # of an interruption
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    os.replace(partial, folder)


def read_rows(path: Path, work: Work, limit: int) -> list[dict]:
    """Return the first rows of a file by the task's fields; a limit of 0 means all."""
    if path.suffix == ".jsonl":
        with open(path, encoding="utf-8") as file:
            table = [json.loads(line) for line in file]
    else:
        with open(path, encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            by_name = isinstance(next(iter(work.fields.values())), str)
            header = next(lines) if by_name else None
            table = [dict(zip(header or range(len(line)), line, strict=True)) for line in lines]
    return [{field: row[column] for field, column in work.fields.items()} for row in table[: limit or None]]


def classification_features(tokenizer, rows: list[dict], work: Work) -> list[dict]:
    """Return what the model reads of each row."""
    pairs = [row["text_pair"] for row in rows] if "text_pair" in work.fields else None
    encoded = tokenizer([row["text"] for row in rows], pairs, truncation=True, max_length=work.length)
    return [{**{name: encoded[name][i] for name in encoded}, "labels": int(row["label"])} for i, row in enumerate(rows)]


def summarization_features(tokenizer, rows: list[dict], work: Work) -> list[dict]:
    """Return source and target ids of each row."""
    sources = tokenizer([row["source"] for row in rows], truncation=True, max_length=work.length)["input_ids"]
    targets = tokenizer([row["target"] for row in rows], truncation=True, max_length=TARGET_LENGTH)["input_ids"]
    return [
        {"input_ids": source, "attention_mask": [1] * len(source), "labels": target}
        for source, target in zip(sources, targets, strict=True)
    ]


def masked_lm_blocks(tokenizer, rows: list[dict], work: Work) -> list[dict]:
    """Return the texts, joined and cut into blocks. A shorter last block is left out."""
    flat = [token for ids in tokenizer([row["text"] for row in rows])["input_ids"] for token in ids]
    return [{"input_ids": flat[i : i + work.length]} for i in range(0, len(flat) - work.length + 1, work.length)]


def make_features(tokenizer, rows: list[dict], work: Work) -> list[dict]:
    """Return what the model reads."""
    makers = {"classification": classification_features, "summarization": summarization_features, "masked_lm": masked_lm_blocks}
    return makers[work.kind](tokenizer, rows, work)


def make_collator(tokenizer, model, work: Work):
    """Return what makes a batch of features."""
    from transformers import DataCollatorForLanguageModeling, DataCollatorForSeq2Seq, DataCollatorWithPadding

    if work.kind == "masked_lm":
        return DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASK_PROBABILITY)
    return DataCollatorForSeq2Seq(tokenizer, model) if work.kind == "summarization" else DataCollatorWithPadding(tokenizer)


def batches(features: list[dict], tokenizer):
    """Yield padded batches of features for evaluation, in order."""
    import torch

    fill = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": 0, "labels": -100}
    for start in range(0, len(features), EVAL_BATCH):
        part, batch = features[start : start + EVAL_BATCH], {}
        for name in part[0]:
            values = [row[name] for row in part]
            if isinstance(values[0], list):
                width = max(map(len, values))
                values = [value + [fill[name]] * (width - len(value)) for value in values]
            batch[name] = torch.tensor(values)
        yield batch


def evaluate(model, tokenizer, work: Work, features: list[dict]) -> dict:
    """Return what same_work.py scores: the probabilities, or the texts and the loss for each target token."""
    import torch

    result: dict = {"probabilities": [], "texts": []}
    nll = targets = 0
    model.eval()
    with torch.no_grad():
        for batch in batches(features, tokenizer):
            output = model(**batch)
            if work.kind == "classification":
                result["probabilities"] += output.logits.softmax(-1).tolist()
                continue
            count = int((batch["labels"] != -100).sum())
            nll, targets = nll + float(output.loss) * count, targets + count
            if work.kind == "summarization":
                ids = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], num_beams=1,
                                     do_sample=False, max_length=TARGET_LENGTH + 1, min_length=0)  # fmt: skip
                result["texts"] += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return result | ({"loss": nll / targets, "perplexity": math.exp(nll / targets)} if targets else {})


def masked_validation(path: str, blocks: list[dict]) -> list[dict]:
    """Return the evaluation blocks with the masks of paddle_ft. Stop if they are not the blocks that were cut here."""
    masked = json.loads(Path(path).read_text(encoding="utf-8"))
    original = [
        [token if label == -100 else label for token, label in zip(row["input_ids"], row["labels"], strict=True)] for row in masked
    ]
    if original != [block["input_ids"] for block in blocks]:
        raise SystemExit("error: paddle_ft and transformers cut the validation texts into different blocks")
    return [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in masked]


def train(options) -> dict:
    """Train with transformers' Trainer, and evaluate the model after the last step."""
    import torch
    from transformers import AutoTokenizer, Trainer

    torch.set_num_threads(threads())
    work = replace(WORKS[options.work], epochs=options.epochs or WORKS[options.work].epochs)
    tokenizer = AutoTokenizer.from_pretrained(options.start)
    rows = read_rows(Path(options.data, work.train), work, options.rows)
    features = make_features(tokenizer, rows, work)
    validation = make_features(tokenizer, read_rows(Path(options.data, work.validation), work, options.validation_rows), work)
    if options.masked:
        validation = masked_validation(options.masked, validation)
    steps = -(-len(features) // work.batch) * work.epochs
    arguments = training_arguments(
        grouped=work.grouped, output_dir=f"{options.output}.trainer", num_train_epochs=work.epochs,
        per_device_train_batch_size=work.batch, learning_rate=work.learning_rate,
        warmup_steps=int(steps * work.warmup),  # as paddle_ft computes it; version 5 has no warmup_ratio
        weight_decay=WEIGHT_DECAY, max_grad_norm=MAX_GRAD_NORM, adam_epsilon=work.epsilon, seed=options.seed, use_cpu=True,
        report_to=[], save_strategy="no", logging_steps=20,
    )  # fmt: skip
    model = model_class(work).from_pretrained(options.start)
    losses = []

    class Recorder(Trainer):
        def training_step(self, *inputs, **settings):
            loss = super().training_step(*inputs, **settings)
            losses.append(float(loss))
            return loss

    trainer = Recorder(model, arguments, make_collator(tokenizer, model, work), features)
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    return {**evaluate(model, tokenizer, work, validation), "train_rows": len(features), "validation_rows": len(validation),
            "losses": losses, "steps": steps, "seconds": seconds, "samples_per_second": len(features) * work.epochs / seconds,
            "versions": versions("transformers", "torch")}  # fmt: skip


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["start", "train"], help="write the checkpoint to start from, or train")
    parser.add_argument("--work", required=True, choices=WORKS, help="the work")
    parser.add_argument("--start", required=True, metavar="DIRECTORY", help="the checkpoint that both start from")
    parser.add_argument("--seed", required=True, type=int, help="the seed")
    parser.add_argument(
        "--source", metavar="DIRECTORY", help="start: the checkpoint without the head, or the tokenizer of a new model"
    )
    parser.add_argument("--no-dropout", action="store_true", help="start: set dropout to 0")
    parser.add_argument("--data", metavar="FOLDER", help="train: the folder of the data")
    parser.add_argument("--rows", type=int, default=0, help="train: use only the first rows (default: 0, all)")
    parser.add_argument("--validation-rows", type=int, default=0, help="train: score only the first rows (default: 0, all)")
    parser.add_argument("--epochs", type=int, help="train: passes over the rows (default: those of the work)")
    parser.add_argument("--masked", metavar="FILE", help="train: the masked validation blocks of paddle_ft")
    parser.add_argument("--output", metavar="FILE", help="train: where to write the result")
    options = parser.parse_args()
    if options.verb == "start":
        make_start(WORKS[options.work], options.source, options.seed, options.start, not options.no_dropout)
    else:
        Path(options.output).write_text(json.dumps(train(options), ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
