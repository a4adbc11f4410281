"""The works of same_work.py: what paddle_ft and transformers' Trainer both do. The other Python imports this too.

Every number that both trainers are given stands here once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Work:
    """A training that both trainers run.

    Attributes:
        name: its name on the command line.
        title: what it is called in the table.
        recipe: the recipe of paddle_ft that it starts from.
        kind: "classification", "masked_lm" or "summarization".
        train, validation: the files in the folder of the data.
        fields: field of the task -> column of the files, by name, or by number without a header.
        checkpoint: what the training starts from: "minilm" or "tiny", a directory that the command names, or "new", a BART with
            random weights.
        metrics: what is compared.
        batch, learning_rate, epochs, warmup, epsilon: rows of a batch, peak of the schedule, passes, share of the steps for the
            linear warm-up, AdamW's epsilon.
        length: maximum tokens of a row; for masked_lm tokens of a block, for summarization of a source.
        grouped: whether batches have rows of similar length.
    """

    name: str
    title: str
    recipe: str
    kind: str
    train: str
    validation: str
    fields: dict[str, str | int]
    checkpoint: str
    metrics: tuple[str, ...]
    batch: int
    learning_rate: float
    epochs: int
    warmup: float
    epsilon: float
    length: int
    grouped: bool


WORKS = {
    work.name: work
    for work in (
        Work("mlm", "IMDb, masked LM", "distilbert_imdb_mlm", "masked_lm", "imdb/train.jsonl", "imdb/dev.jsonl", {"text": "text"},
             "tiny", ("perplexity",), 32, 5e-4, 1, 0.0, 1e-8, 128, False),
        Work("lcsts", "LCSTS, a small BART from scratch", "bart_lcsts", "summarization", "lcsts/train.tsv", "lcsts/val.tsv",
             {"source": 1, "target": 0}, "new", ("loss", "rouge1", "rouge2", "rougeL"), 18, 5e-4, 1, 0.1, 1e-6, 192, True),
        Work("qqp", "QQP", "distilbert_qqp", "classification", "qqp/train.tsv", "qqp/dev.tsv",
             {"text": "question1", "text_pair": "question2", "label": "is_duplicate"},
             "minilm", ("accuracy", "f1"), 32, 2e-5, 1, 0.1, 1e-8, 128, True),
        Work("sst2", "SST-2", "distilbert_sst2", "classification", "sst2/train.tsv", "sst2/dev.tsv",
             {"text": "sentence", "label": "label"}, "minilm", ("accuracy",), 32, 2e-5, 1, 0.1, 1e-8, 128, True),
    )
}  # fmt: skip
WEIGHT_DECAY, MAX_GRAD_NORM, EVAL_BATCH = 0.01, 1.0, 32
MASK_PROBABILITY = 0.15
TARGET_LENGTH = 40  # tokens of a summary, special ones included
BART = {"d_model": 256, "encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024, "max_position_embeddings": 512}  # fmt: skip
CHINESE_BERT = {"pad_token_id": 0, "bos_token_id": 101, "eos_token_id": 102, "decoder_start_token_id": 102,
                "forced_eos_token_id": 102}  # fmt: skip


def threads() -> int:
    """Return the number of threads of both trainers: OMP_NUM_THREADS if it is set, else all cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def overrides(work: Work, options, start: str | Path, seed: int) -> list[str]:
    """Return the settings of train.py with which paddle_ft does a work.

    Args:
        work: the work.
        options: the command line of same_work.py: data, rows and validation_rows.
        start: the directory of the checkpoint to start from.
        seed: the seed.
    """
    settings = {
        "model.pretrained": start, "data.source": "null", "data.name": "null", "data.test": "none", "seed": seed,
        "data.train": f"{options.data}/{work.train}", "data.validation": f"{options.data}/{work.validation}",
        "data.columns": "{" + ", ".join(f"{field}: {column}" for field, column in work.fields.items()) + "}",
        "train.train_batch_size": work.batch, "train.num_train_epochs": work.epochs, "train.learning_rate": work.learning_rate,
        "train.warmup_proportion": work.warmup, "train.adam_epsilon": work.epsilon, "train.weight_decay": WEIGHT_DECAY,
        "train.max_grad_norm": MAX_GRAD_NORM, "train.group_by_length": str(work.grouped).lower(), "train.logging_steps": 1,
        "eval.eval_batch_size": EVAL_BATCH, "eval.before_training": "false", "device": "cpu",
    }  # fmt: skip
    limits = {"data.limit_train": options.rows, "data.limit_validation": options.validation_rows}
    settings |= {name: limit for name, limit in limits.items() if limit}
    if work.kind == "classification":
        settings |= {"task.max_text_length": work.length}
        if work.name == "sst2":
            settings["task.round_labels"] = "false"
    elif work.kind == "masked_lm":
        settings |= {"task.chunk_size": work.length, "task.train_chunks": "null", "task.eval_chunks": "null"}
    else:
        settings |= {"task.max_source_length": work.length, "task.max_target_length": TARGET_LENGTH, "generation.num_beams": 1}
    return [f"{name}={value}" for name, value in settings.items()]
