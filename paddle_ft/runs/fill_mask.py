"""Predict masked words with a run's model, and with the model before training for comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_ft.runs.inference import open_run
from paddle_ft.system.errors import UserError

MaskGuesses = list[list[tuple[str, float]]]
"""For each mask of a text, the guesses (token, probability), likeliest first."""


@dataclass(frozen=True)
class TextGuesses:
    """The guesses for one text.

    Attributes:
        text: the text with its mask tokens.
        by_model: "before" (training) and "after" -> the model's guesses. A run that started from scratch has no "before".
    """

    text: str
    by_model: dict[str, MaskGuesses]

    def as_json(self) -> dict[str, Any]:
        """Return {"text", "before", "after"}, where each guess is {"token", "probability"}."""
        as_objects = {
            model: [[{"token": token, "probability": p} for token, p in guesses] for guesses in masks]
            for model, masks in self.by_model.items()
        }
        return {"text": self.text, **as_objects}


def fill_masks(path: str, texts: list[str], top: int) -> tuple[str, list[TextGuesses]]:
    """Predict the masked words of texts. This is the work of the command `fill-mask`.

    Args:
        path: directory of a masked_lm run.
        texts: texts with mask tokens.
        top: number of guesses for each mask.

    Returns:
        The tokenizer's mask token, and the guesses for each text.

    Raises:
        UserError: the run has another task, or a text has no mask or too many tokens.
    """
    task = open_run(path)
    return task.tokenizer.mask_token, guess_masks(task, path, texts, top, task_before_training)


def guess_masks(task: Any, path: str, texts: list[str], top: int, untrained: Callable[[Any], Any]) -> list[TextGuesses]:
    """Return the guesses for the masked words of each text, with the model of a loaded run.

    Args:
        task: the run's task, with its model.
        path: the run's directory, for messages.
        texts: texts with mask tokens.
        top: number of guesses for each mask.
        untrained: returns the task with the model before training. It is not called if the run started from scratch.

    Raises:
        UserError: the run has another task, or a text has no mask or too many tokens.
    """
    if task.name != "masked_lm":
        raise UserError(f"fill-mask: {path} is a run of {task.name}; only runs of masked_lm can predict masked words.")
    guesses = {"after": task.fill(texts, top, "after")}
    if task.config.model.pretrained is not None:
        guesses = {"before": untrained(task).fill(texts, top, "before"), **guesses}
    return [TextGuesses(text, {model: masks[i] for model, masks in guesses.items()}) for i, text in enumerate(texts)]


def task_before_training(task: Any) -> Any:
    """Return the task with the pretrained model that the run started from.

    Raises:
        UserError: the model is not on this machine and cannot be downloaded.
    """
    from paddle_ft.models.adapt import adapt_model
    from paddle_ft.models.bundle import load_bundle

    untrained = type(task)(task.config)
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle(task.config.model, untrained.model_request(None), Path(folder))
        untrained.set_model(adapt_model(bundle, task.config))  # as the trained model is, so that both compute alike
    return untrained
