"""Recipes of tiny models in the working directory, for tests that run what a user reads: examples in docstrings and pages.

A file named like a recipe, in the working directory, is found before the recipe itself. So `train("bart_lcsts", sample=True)` takes
seconds.
"""

from pathlib import Path

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config, parse_override
from tests.support import tiny_causal_lm, tiny_classification, tiny_runs

SAMPLE_BLOCK = "sample:\n  train.max_steps: 4\n"
STORIES = "".join(f'{{"text": "the sea and the ship {n}"}}\n' for n in range(8))


def tiny_settings(folder: Path, *settings: str) -> dict:
    """Return bart_lcsts's overrides for a training of seconds in `folder`/run, as the mapping that paddle_ft.train takes."""
    return dict(parse_override(text) for text in tiny_runs.overrides(folder, *settings))


def _write(path: Path, name: str, overrides: list[str]) -> None:
    text = to_yaml(load_config(name, [*overrides, f"output_dir=runs/{name}"]))
    assert "sample: false\n" in text
    path.write_text(text.replace("sample: false\n", SAMPLE_BLOCK), encoding="utf-8")


def write_recipes(folder: Path) -> None:
    """Write tiny versions of bart_lcsts, distilbert_qqp and gpt2_booksum, and my_test.tsv, into a folder.

    The folder must become the working directory.
    """
    _write(folder / "bart_lcsts", "bart_lcsts", tiny_runs.overrides(folder / "data"))
    tiny_runs.write_pairs(folder / "my_test.tsv", tiny_runs.PAIRS[:3])
    pairs = tiny_classification.overrides(folder / "questions", tiny_classification.PAIRS)
    _write(folder / "distilbert_qqp", "distilbert_qqp", pairs)
    checkpoint = tiny_causal_lm.save_checkpoint(folder / "tiny-gpt2")
    stories = folder / "stories.jsonl"
    stories.write_text(STORIES, encoding="utf-8")
    _write(folder / "gpt2_booksum", "gpt2_booksum", [
        f"model.pretrained={checkpoint}", "device=cpu", "data.source=null", "data.columns={}", f"data.train={stories}",
        f"data.validation={stories}", f"data.test={stories}", "data.cache=false", "task.max_text_length=32",
        "train.train_batch_size=4", "eval.bootstrap_samples=100", "train.max_steps=2",
    ])  # fmt: skip
