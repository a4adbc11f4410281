"""Directories of finished runs with the scores and predictions that a test chooses, written without a training."""

import json
from pathlib import Path

import numpy as np

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.load import load_config
from paddle_ft.metrics.classification import classification_scores
from paddle_ft.runs.directory import RunDirectory

NAMES = ["negative", "positive"]


def write_run(path: Path, recipe: str, metrics: dict, predictions: list[dict], settings=(), **more) -> Path:
    """Write a finished run with scores on test. `more` are further entries of results.json. Return the path."""
    config = load_config(recipe, [f"output_dir={path}", *settings])
    run = RunDirectory(path)
    path.mkdir(parents=True)
    run.write_config(to_yaml(config))
    results = {"task": config.task.name, "status": "finished", "seed": config.seed, "sample": False, "metrics": {"test": metrics},
               "data": {"test": {"rows": len(predictions)}}}  # fmt: skip
    run.write_results(results | more)
    run.write_predictions("test", predictions)
    return path


def write_classifier(path: Path, right: list[bool], settings=(), events=(), texts=None, **more) -> Path:
    """Write a classifier that has these rows right, each with a probability of 0.9 for its prediction. Return the path."""
    labels = np.arange(len(right)) % 2
    predicted = np.where(right, labels, 1 - labels)
    probabilities = np.where(np.eye(2)[predicted] == 1, 0.9, 0.1)
    texts = texts or [f"text {number}" for number in range(len(right))]
    predictions = [
        {
            "text": text,
            "label": NAMES[label],
            "prediction": NAMES[guess],
            "probability of the label": 90.0 if label == guess else 10.0,
        }
        for text, label, guess in zip(texts, labels, predicted, strict=True)
    ]
    losses = -np.log(probabilities[np.arange(len(right)), labels])
    metrics = {"loss": float(losses.mean()), **classification_scores(labels, probabilities, bootstrap=100)}
    data = {"test": {"rows": len(right)}, "label_names": NAMES}
    write_run(path, "distilbert_sst2", metrics, predictions, settings, data=data, **more)
    run = RunDirectory(path)
    run.write_losses("test", [{"nll": float(loss), "targets": 1} for loss in losses])
    for event in events:
        run.log(event)
    return path


def change_results(path: Path, **entries) -> None:
    """Replace entries of a run's results.json."""
    file = path / "results.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | entries), encoding="utf-8")
