"""Reads a run directory as it is: finished or not, with lines cut off by a crash or steps done twice after a resume."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from paddle_ft.system.errors import UserError


@dataclass
class Run:
    """Everything a run directory says about itself; what is missing is empty.

    Attributes:
        train: events of the training log, by step, each step once (its last writing counts).
        evaluations: split -> events of its evaluations, by step; step 0 is before training.
        predictions: split -> rows of predictions-<split>.jsonl.
        problems: what could not be read, one sentence each.
    """

    path: Path
    config_text: str = ""
    config: dict = field(default_factory=dict)
    train: list[dict] = field(default_factory=list)
    evaluations: dict[str, list[dict]] = field(default_factory=dict)
    results: dict = field(default_factory=dict)
    predictions: dict[str, list[dict]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_run(path: str | Path) -> Run:
    """Raises UserError where the directory is not there or holds no run (neither config.yaml nor metrics.jsonl)."""
    run = Run(Path(path))
    if not run.path.is_dir():
        raise UserError(f"{path}: there is no such run directory.")
    if not (run.path / "config.yaml").exists() and not (run.path / "metrics.jsonl").exists():
        raise UserError(f"{path}: holds no run (no config.yaml, no metrics.jsonl). Name the output_dir of a training.")
    _read_config(run)
    _read_results(run)
    _read_events(run)
    for file in sorted(run.path.glob("predictions-*.jsonl")):
        run.predictions[file.stem.removeprefix("predictions-")] = _json_lines(file, run.problems)
    return run


def _read_config(run: Run) -> None:
    file = run.path / "config.yaml"
    if not file.exists():
        run.problems.append("config.yaml is missing: the settings of this run are unknown.")
        return
    run.config_text = file.read_text(encoding="utf-8", errors="replace")
    try:
        config = yaml.safe_load(run.config_text)
    except yaml.YAMLError as error:
        run.problems.append(f"config.yaml is not valid YAML: {error}")
        return
    run.config = config if isinstance(config, dict) else {}


def _read_results(run: Run) -> None:
    file = run.path / "results.json"
    if not file.exists():
        run.problems.append("results.json is missing: the run has not finished, so there are no final figures.")
        return
    try:
        run.results = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        run.problems.append(f"results.json cannot be read: {error}")
        return
    if not run.results.get("metrics"):
        run.problems.append("The run has not finished: the figures are those of the latest evaluation.")


def _read_events(run: Run) -> None:
    """Sorts metrics.jsonl by kind and step. After a resume a step can stand there twice: the later line counts."""
    file = run.path / "metrics.jsonl"
    if not file.exists():
        run.problems.append("metrics.jsonl is missing: training has logged nothing.")
        return
    train: dict[int, dict] = {}
    evaluations: dict[str, dict[int, dict]] = {}
    for event in _json_lines(file, run.problems):
        step = event.get("step")
        if not isinstance(step, int):
            continue
        if event.get("event") == "train":
            train[step] = event
        elif event.get("event") == "eval":
            evaluations.setdefault(str(event.get("split", "validation")), {})[step] = event
    run.train = [train[step] for step in sorted(train)]
    run.evaluations = {split: [events[step] for step in sorted(events)] for split, events in evaluations.items()}


def _json_lines(file: Path, problems: list[str]) -> list[dict]:
    """The file's JSON objects. A line cut off in the middle is left out and told of."""
    rows, broken = [], []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            broken.append(str(number))
    if broken:
        lines = ", ".join(broken[:5]) + (" ..." if len(broken) > 5 else "")
        problems.append(f"{file.name}: {len(broken)} unreadable line(s) left out (line {lines}).")
    return rows


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


SCORE_NAMES = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
    "bleu4": "BLEU-4",
    "accuracy": "accuracy",
    "f1": "F1",
    "f1_macro": "macro F1",
    "matthews": "Matthews correlation",
    "ece": "calibration error (ECE)",
    "perplexity": "perplexity",
    "loss": "loss",
}
_NOT_SCORES = ("step", "epoch", "seconds", "examples", "rows", "tokens", "samples_per_second", "target_tokens_per_second")


def score_names(metrics: dict) -> list[str]:
    """The numbers of an evaluation, in a reader's order: known scores first, loss last of them, then others by name."""
    present = [name for name, value in metrics.items() if is_number(value) and name not in _NOT_SCORES]
    known = [name for name in SCORE_NAMES if name in present]
    return known + sorted(name for name in present if name not in SCORE_NAMES)


def score_label(name: str) -> str:
    return SCORE_NAMES.get(name, name.replace("_", " "))
