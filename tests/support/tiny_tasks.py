"""A tiny new model for each task, on rows that a test writes: what is tried is --check, which evaluates and trains two steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_ft.config.load import load_config
from paddle_ft.config.schema import BaseConfig
from tests.support import tiny_lyrics, tiny_runs
from tests.support.tiny_causal_lm import SIZES as GPT
from tests.support.tiny_classification import write_jsonl

ENCODER = (
    "{model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32,"
    " max_position_embeddings: 32}"
)
Row = dict[str, str]


@dataclass(frozen=True)
class TinyTask:
    """A task with a tiny model.

    Attributes:
        recipe: the recipe whose task it is.
        settings: what makes the model and its texts tiny.
        fields: the names of the text, and of the target or label; None: there is no second one.
        positions: the setting with the length of a text in tokens.
    """

    recipe: str
    settings: tuple[str, ...]
    fields: tuple[str, str | None]
    positions: str

    def row(self, text: str, other: str = "") -> Row:
        """Return a row with a text, and with another text or a label where the task has one."""
        first, second = self.fields
        return {first: text, second: other} if second else {first: text}

    def config(self, folder: Path, rows: list[Row], *settings: str, validation: list[Row] | None = None) -> BaseConfig:
        """Return the configuration for rows, which are written into a folder."""
        train = write_jsonl(folder / "train.jsonl", rows)
        dev = write_jsonl(folder / "dev.jsonl", rows if validation is None else validation)
        return load_config(self.recipe, [
            "device=cpu", f"output_dir={folder / 'run'}", "model.pretrained=null", *self.settings, "data.source=null",
            "data.columns={}", f"data.train={train}", f"data.validation={dev}", "data.test=none", "data.cache=false",
            "train.train_batch_size=2", "train.max_steps=2", "eval.bootstrap_samples=100", *settings,
        ])  # fmt: skip


TASKS = {
    "summarization": TinyTask(
        "bart_lcsts",
        (f"model.config={tiny_runs.SIZES}", "task.max_source_length=24", "task.max_target_length=12", "generation.num_beams=2"),
        ("source", "target"), "task.max_source_length",
    ),
    "lyrics": TinyTask(
        "bart_lyrics",
        (f"model.config={tiny_lyrics.SIZES}", "model.new_vocabulary=120", "task.max_source_length=24", "task.max_target_length=16",
         "task.prefix=false", "task.only=null", "task.generated_lines=4"),
        ("lyrics", None), "task.max_source_length",
    ),
    "classification": TinyTask(
        "bert_sst2",
        (f"model.config={ENCODER}", "model.new_vocabulary=120", "task.labels=null", "task.round_labels=false",
         "task.max_text_length=24"),
        ("text", "label"), "task.max_text_length",
    ),
    "masked_lm": TinyTask(
        "distilbert_imdb_mlm",
        (f"model.config={ENCODER}", "model.new_vocabulary=120", "task.chunk_size=16", "task.train_chunks=null",
         "task.eval_chunks=null"),
        ("text", None), "task.chunk_size",
    ),
    "causal_lm": TinyTask(
        "gpt2_booksum",
        ("model.config={" + ", ".join(f"{key}: {value}" for key, value in GPT.items()) + "}", "model.new_vocabulary=300",
         "task.max_text_length=24", "task.metadata=[]"),
        ("text", None), "task.max_text_length",
    ),
}  # fmt: skip
