"""A tiny study: a masked language model of one layer, and a classifier from scratch and from that checkpoint."""

from pathlib import Path

from paddle_ft.experiments.study_file import read_study
from paddle_ft.experiments.study_plan import StudyPlan, make_plan
from tests.support.tiny_classification import ROWS, SIZES, write_jsonl

STUDY = """\
title: Adaptation
question: Does it help?
seeds: 2
stages:
  adapted:
    recipe: distilbert_imdb_mlm
    settings: {task.chunk_size: 8, task.train_chunks: null, task.eval_chunks: null}
  classifier:
    recipe: distilbert_imdb_cls
    settings: {task.labels: null, task.max_text_length: 8, data.test: none}
    series:
      scratch: {}
      adapted: {model.pretrained: "${adapted.best}", model.config: null, model.new_vocabulary: null}
    x: {setting: data.limit_train, values: [4, null], label: rows}
metrics: [accuracy, loss]
"""


def write_study(folder: Path, text: str = STUDY) -> Path:
    """Write a study and return its path."""
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def overrides(folder: Path) -> list[str]:
    """Return settings that make the study one of seconds, in `folder`/study."""
    rows = [row for pair in zip(ROWS[:3], ROWS[3:], strict=True) for row in pair]  # both classes are in the first rows
    data = write_jsonl(folder / "rows.jsonl", rows)
    return [
        f"output_dir={folder / 'study'}", "device=cpu", "model.pretrained=null",
        f"model.config={{model_type: distilbert, {SIZES}}}",
        "model.new_vocabulary=120", "data.source=null", f"data.train={data}", f"data.validation={data}",
        "data.cache=false", "train.train_batch_size=4", "train.num_train_epochs=2", "eval.bootstrap_samples=100",
    ]  # fmt: skip


def tiny_plan(folder: Path, num_seeds: int | None = None, *settings: str) -> StudyPlan:
    """Return the plan of the tiny study."""
    return make_plan(read_study(str(write_study(folder))), [*overrides(folder), *settings], num_seeds, "the command")
