"""A tiny classification: six sentences or four pairs of questions, and an encoder of one layer."""

import json
from pathlib import Path

import paddle

from paddle_ft.config.load import load_config
from paddle_ft.data.rows import Rows
from paddle_ft.tasks import find_task
from paddle_ft.training import run as training_run
from tests.support.tasks import give_model

SIZES = (
    "hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64, max_position_embeddings: 32,"
    " hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.0"
)
TEXTS = ["a good film", "a fine story", "we liked this film", "a bad film", "a poor story", "we hated this film"]
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, ["pos"] * 3 + ["neg"] * 3, strict=True)]
PAIRS = [
    {"text": "how old are you", "text_pair": "what is your age", "label": "1"},
    {"text": "how old are you", "text_pair": "where do you live", "label": "0"},
    {"text": "where do you live", "text_pair": "which town is your home", "label": "1"},
    {"text": "where do you live", "text_pair": "what is your age", "label": "0"},
]


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    """Write rows as JSON lines. Return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def overrides(folder: Path, rows: list[dict] = ROWS, model_type: str = "distilbert", *settings: str) -> list[str]:
    """Return overrides that make distilbert_sst2 a training of a few seconds in `folder`/run."""
    folder.mkdir(parents=True, exist_ok=True)
    data = write_jsonl(folder / "rows.jsonl", rows)
    return [
        f"output_dir={folder / 'run'}", "device=cpu", "model.pretrained=null",
        f"model.config={{model_type: {model_type}, {SIZES}}}", "model.new_vocabulary=120", "data.source=null", "data.columns={}",
        f"data.train={data}", f"data.validation={data}", f"data.test={data}", "data.cache=false", "task.labels=null",
        "task.round_labels=false", "task.max_text_length=24", "train.train_batch_size=4", "train.learning_rate=0.003",
        "train.num_train_epochs=2", "train.logging_steps=1", "eval.bootstrap_samples=100", *settings,
    ]  # fmt: skip


def make_task(folder: Path, rows: list[dict] = ROWS, model_type: str = "distilbert", *settings: str):
    """Return a task with its model, and its encoded training data."""
    config = load_config("distilbert_sst2", overrides(folder, rows, model_type, *settings))
    task = find_task("classification")(config)
    paddle.seed(1)
    give_model(task, folder / "tokenizer", Rows(rows))
    return task, task.encode(Rows(rows), "train")


def train(folder: Path, rows: list[dict] = ROWS, model_type: str = "distilbert", *settings: str, **flags):
    """Train in this process. Return the run's directory. `flags` are arguments of training.run.train, such as resume=True."""
    return training_run.train(load_config("distilbert_sst2", overrides(folder, rows, model_type, *settings)), **flags)
