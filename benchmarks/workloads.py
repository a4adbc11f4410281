"""The workloads of the training benchmarks: models with random weights, and rows of the lengths in SST-2 and LCSTS."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# mean, spread, low and high describe the number of tokens in a row
WORKLOADS = {
    "classification": {"batch": 32, "vocab": 30522, "mean": 13, "spread": 9, "low": 4, "high": 60,
                       "about": "BERT 6 x 384 (MiniLM's size), batch 32, rows as long as SST-2's"},
    "summarization": {"batch": 18, "vocab": 7000, "mean": 106, "spread": 18, "low": 60, "high": 150,
                      "about": "BART 256 x 3+3, batch 18, rows as long as LCSTS's"},
}  # fmt: skip
BERT = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
BART = {"d_model": 256, "encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024, "max_position_embeddings": 512, "dropout": 0.1,
        "attention_dropout": 0.1, "activation_dropout": 0.1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "decoder_start_token_id": 2}  # fmt: skip


def make_rows(name: str, count: int) -> list[dict]:
    """Return random rows of a workload. They are the same for every trainer."""
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
    """Return rows of tokens as an array, padded with a value."""
    out = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


class Collate:
    """Make the batches of all trainers. Count the tokens of all batches, and the padding tokens among them."""

    def __init__(self, name: str):
        self.name, self.tokens, self.padding = name, 0, 0

    def __call__(self, rows: list[dict]) -> dict[str, np.ndarray]:
        ids = [row["input_ids"] for row in rows]
        batch = {"input_ids": pad(ids, 0), "attention_mask": pad([[1] * len(i) for i in ids], 0)}
        self.tokens += batch["attention_mask"].size
        self.padding += int((batch["attention_mask"] == 0).sum())
        if self.name == "classification":
            return {**batch, "labels": np.array([row["labels"] for row in rows])}
        labels = pad([row["labels"] for row in rows], -100)
        decoder = np.concatenate([np.full((len(rows), 1), 2), np.where(labels < 0, 0, labels)[:, :-1]], 1)
        return {**batch, "labels": labels, "decoder_input_ids": decoder}


def paddle_model(name: str):
    """Return the PaddleNLP model of a workload."""
    import paddle
    from paddlenlp.transformers import BartConfig, BartForConditionalGeneration, BertConfig, BertForSequenceClassification

    paddle.seed(0)
    vocab = WORKLOADS[name]["vocab"]
    if name == "classification":
        return BertForSequenceClassification(BertConfig(vocab_size=vocab, **BERT))
    return BartForConditionalGeneration(BartConfig(vocab_size=vocab, **BART))


def make_stepper(
    name: str, collate: Collate, rows: list[dict], steps: int, folder: str, *settings: str, plain_layers=False, world=None
):
    """Return paddle_ft's Stepper for a workload, with a model that is adapted as in a training.

    Args:
        name: the workload.
        collate: makes the batches.
        rows: the rows to train on.
        steps: number of steps in the learning rate schedule.
        folder: an empty folder for the run.
        settings: configuration overrides such as "train.compile=true".
        plain_layers: whether to keep Paddle's own layers.
        world: the processes that train together; default: this process alone.
    """
    from paddle_ft.system.runtime import import_frameworks_quietly, prepare_cpu

    prepare_cpu()
    import_frameworks_quietly()
    from paddle_ft.config.load import load_config
    from paddle_ft.models import losses
    from paddle_ft.models.adapt import adapt_model
    from paddle_ft.models.bundle import ModelBundle
    from paddle_ft.models.vocabulary import tie_head
    from paddle_ft.runs.directory import RunDirectory
    from paddle_ft.system.world import World
    from paddle_ft.tasks.base import Dataset, Task
    from paddle_ft.tasks.shared.seq2seq import Seq2Seq
    from paddle_ft.training.distributed.strategy import make_gradient_sync
    from paddle_ft.training.step import Stepper

    class Classification(Task):
        def collate_fn(self, dataset, indices, rng):
            return collate([dataset.rows[i] for i in indices])

        def count_targets(self, batch):
            return len(batch["labels"])

        def loss(self, batch):
            inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
            logits = self.bundle.architecture.classifier_logits(self.model, inputs)
            return losses.cross_entropy(logits, batch["labels"]).sum()

    class Summarization(Seq2Seq):
        def collate_fn(self, dataset, indices, rng):
            batch = collate([dataset.rows[i] for i in indices])
            flat = batch["labels"].reshape(-1)
            positions = np.flatnonzero(flat != -100)
            return {**batch, "target_positions": positions, "target_ids": flat[positions]}

    config = load_config("bart_lcsts", [f"train.train_batch_size={WORKLOADS[name]['batch']}", f"train.max_steps={steps}",
                                        "device=cpu", *settings])  # fmt: skip
    task = (Classification if name == "classification" else Summarization)(config)
    model = paddle_model(name)
    tie_head(model, from_scratch=True)
    bundle = ModelBundle(model, None, None, {})
    task.set_model(bundle if plain_layers else adapt_model(bundle, config, for_training=True))
    task.model.train()
    lengths = np.array([len(row["input_ids"]) for row in rows])
    world = world or World()
    sync = make_gradient_sync(world, task.model, config.train.sharding, config.train.sharding_engine)
    return Stepper(task, Dataset("train", rows, {}, lengths), RunDirectory(folder), world, sync)
