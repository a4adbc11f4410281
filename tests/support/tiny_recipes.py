"""Recipes of tiny models in the working directory, for tests that run what a user reads: examples in docstrings and pages.

A file named like a recipe, in the working directory, is found before the recipe itself. So `train("bart_lcsts", sample=True)` takes
seconds.
"""

from pathlib import Path

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config, parse_override
from tests.support import tiny_classification, tiny_runs
from tests.support.tiny_causal_lm import SIZES


def tiny_settings(folder: Path, *settings: str) -> dict:
    """Return bart_lcsts's overrides for a training of seconds in `folder`/run, as the mapping that paddle_ft.train takes."""
    return dict(parse_override(text) for text in tiny_runs.overrides(folder, *settings))


def _write(path: Path, name: str, overrides: list[str], steps: int = 4) -> None:
    text = to_yaml(load_config(name, [*overrides, f"output_dir=runs/{name}"]))
    assert "sample: false\n" in text
    path.write_text(text.replace("sample: false\n", f"sample:\n  train.max_steps: {steps}\n"), encoding="utf-8")


def write_recipes(folder: Path) -> None:
    """Write tiny versions of bart_lcsts, distilbert_qqp and gpt2_booksum, and my_test.tsv, into a folder.

    The folder must become the working directory.
    """
    _write(folder / "bart_lcsts", "bart_lcsts", tiny_runs.overrides(folder / "data"))
    tiny_runs.write_pairs(folder / "my_test.tsv", tiny_runs.PAIRS[:3])
    pairs = tiny_classification.overrides(folder / "questions", tiny_classification.PAIRS)
    _write(folder / "distilbert_qqp", "distilbert_qqp", pairs)
    stories = folder / "stories.txt"
    stories.write_text("the sea\n" * 10, encoding="utf-8")
    sizes = ", ".join(f"{key}: {value}" for key, value in {**SIZES, "hidden_size": 32, "initializer_range": 0.1}.items())
    _write(folder / "gpt2_booksum", "gpt2_booksum", [
        "device=cpu", "model.pretrained=null", f"model.config={{{sizes}}}", "model.new_vocabulary=257", "data.source=null",
        f"data.train={stories}", "data.cache=false", "task.max_text_length=16", "train.train_batch_size=7",
        "train.learning_rate=0.02", "eval.bootstrap_samples=100", "eval.eval_steps=1000",
    ], steps=60)  # fmt: skip
