"""Runs of tiny models for the demo page, one for each task. Each is trained once, in a second or two."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.training import run as training_run
from tests.support import tiny_classification, tiny_masked_lm, tiny_runs
from tests.support.tiny_causal_lm import SIZES as GPT_SIZES
from tests.support.tiny_classification import write_jsonl
from tests.support.tiny_lyrics import BIRDS, FISH, SIZES

STORIES = ["the fisher and the sea", "the king and the fox", "the fox and the fisher"]
SHORT = ("device=cpu", "data.cache=false", "eval.bootstrap_samples=100", "eval.before_training=false")


WRITES = ("train.num_train_epochs=40", "eval.eval_steps=1000", "train.logging_steps=50", "eval.before_training=false")


def _train(name: str, *settings: str) -> Path:
    return training_run.train(load_config(name, [*SHORT, *settings])).path


def summarization(folder: Path, *settings: str) -> Path:
    """Return a run of bart_lcsts in `folder`/run."""
    return training_run.train(load_config("bart_lcsts", tiny_runs.overrides(folder, *WRITES, *settings))).path


def sentences(folder: Path) -> Path:
    """Return a run that classifies sentences."""
    return tiny_classification.train(folder).path


def questions(folder: Path) -> Path:
    """Return a run that classifies pairs of questions."""
    return tiny_classification.train(folder, tiny_classification.PAIRS).path


def lyrics(folder: Path) -> Path:
    """Return a run of bart_lyrics with two genres."""
    folder.mkdir(parents=True, exist_ok=True)
    songs = [{"lyrics": "\n".join(lines), "genre": genre} for lines, genre in ((FISH, "pop"), (BIRDS, "folk"))]
    data = write_jsonl(folder / "songs.jsonl", songs)
    return _train(
        "bart_lyrics", f"output_dir={folder / 'run'}", "model.pretrained=null", "model.new_vocabulary=120", f"model.config={SIZES}",
        "data.source=null", "data.columns={}", f"data.train={data}", f"data.validation={data}", f"data.test={data}",
        "task.prefix=true", "task.only=null", "task.max_source_length=24", "task.max_target_length=16",
        "train.train_batch_size=6", "train.num_train_epochs=6", "train.learning_rate=0.02", "train.logging_steps=50",
        "eval.eval_steps=1000",
    )  # fmt: skip


def masked_lm(folder: Path, pretrained: Path | None = None) -> Path:
    """Return a run of distilbert_imdb_mlm, from scratch or from a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    words = tiny_masked_lm.write_vocabulary(folder / "words")
    data = folder / "texts.jsonl"
    texts = ["the film playing the good filmmaker .", "a bad film ."]
    write_jsonl(data, [{"text": text} for text in texts * 6])
    start = [f"model.pretrained={pretrained}"] if pretrained else [
        "model.pretrained=null", f"model.config={tiny_masked_lm.SIZES}", f"model.tokenizer={words}"]  # fmt: skip
    return _train(
        "distilbert_imdb_mlm", f"output_dir={folder / 'run'}", *start, "data.source=null", "data.columns={}", f"data.train={data}",
        f"data.validation={data}", "data.test=none", "task.chunk_size=12", "task.train_chunks=null", "task.eval_chunks=null",
        "train.train_batch_size=4", "train.num_train_epochs=2", "train.logging_steps=50", "eval.eval_steps=1000",
    )  # fmt: skip


def causal_lm(folder: Path) -> Path:
    """Return a run of gpt2_booksum."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "stories.jsonl"
    write_jsonl(data, [{"text": text} for text in STORIES * 4])
    sizes = ", ".join(f"{key}: {value}" for key, value in {**GPT_SIZES, "max_position_embeddings": 64}.items())
    return _train(
        "gpt2_booksum", f"output_dir={folder / 'run'}", "model.pretrained=null", f"model.config={{{sizes}}}",
        "model.new_vocabulary=300", "data.source=null", "data.columns={}", f"data.train={data}", "task.max_text_length=32",
        "task.metadata=[]", "train.train_batch_size=4", "train.num_train_epochs=2", "train.logging_steps=50",
        "eval.eval_steps=1000",
    )  # fmt: skip


def copy_of(name: str, factory: pytest.TempPathFactory) -> Path:
    """Return a copy of a task's run, for the tests of a module. The worker that needs the run first trains it for all workers."""
    base = factory.getbasetemp()
    common = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "runs-of-all-tests"
    common.mkdir(exist_ok=True)
    original, done = common / name, common / f"{name}.done"
    with open(common / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(original, ignore_errors=True)  # of a worker that was interrupted
            original.mkdir()
            globals()[name](original)
            done.touch()
    return shutil.copytree(original, factory.mktemp(name), dirs_exist_ok=True) / "run"
