"""A GPT-2 of one tiny layer whose tokens are bytes, and the token ids of texts."""

import json
from pathlib import Path

import paddle
from paddlenlp.transformers import GPTConfig, GPTLMHeadModel
from tokenizers.pre_tokenizers import ByteLevel

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.tasks import find_task
from tests.support.tasks import give_model

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
         "max_position_embeddings": 32, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # fmt: skip
ALPHABET = sorted(ByteLevel.alphabet())
IDS = {letter: number for number, letter in enumerate([*ALPHABET, "<|endoftext|>"])}
BOS, EOS, PAD = 257, 258, 259


def save_checkpoint(folder: Path) -> Path:
    """Save a Paddle checkpoint with fixed weights and its tokenizer. Return the folder."""
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(IDS), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    paddle.seed(1)
    model = GPTLMHeadModel(GPTConfig(**SIZES, vocab_size=257))
    model.save_pretrained(str(folder), safe_serialization=True)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPTTokenizer"}))
    return folder


def make_task(checkpoint: Path, folder: Path, *settings: str):
    """Return the task with the model of a checkpoint, in evaluation mode. Its texts have at most eight tokens."""
    config = load_config("gpt2_booksum", [
        f"model.pretrained={checkpoint}", "data.cache=false", "task.max_text_length=8", "eval.bootstrap_samples=100", *settings,
    ])  # fmt: skip
    task = find_task("causal_lm")(config)
    give_model(task, folder / "tokenizer", None)
    task.model.eval()
    return task


def text_rows(*texts: str, **columns) -> Rows:
    """Return a row for each text. The columns are the same in all rows."""
    return Rows([{"text": text, **columns} for text in texts])


def text_ids(text: str) -> list[int]:
    """Return the token ids of ASCII letters."""
    return [IDS[letter] for letter in text]
