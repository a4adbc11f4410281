"""The examples of the OpenAPI page, from the run's own predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from paddle_ft.reporting.records import read_run
from paddle_ft.serving.writing import writes_by_flags
from paddle_ft.tasks.base import Task
from paddle_ft.tasks.lyrics.pairs import split_source

PLACEHOLDER = "..."
LONGEST = 300  # characters of an example
SAMPLED = {"temperature": 0.8, "top_p": 0.95, "seed": 1}


@dataclass(frozen=True)
class Examples:
    """Requests that the run can answer.

    Attributes:
        name: name of the run.
        predict: title -> a body for POST /predict.
        generate: title -> a body for POST /generate; empty if the task does not write texts.
    """

    name: str
    predict: dict[str, dict[str, Any]]
    generate: dict[str, dict[str, Any]]

    @staticmethod
    def body(model: type[BaseModel], examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Return the description of a request's body for the OpenAPI page.

        Args:
            model: its fields.
            examples: title -> an example.
        """
        shown = {title: {"value": value} for title, value in examples.items()}
        content = {"application/json": {"schema": model.model_json_schema(), "examples": shown}}
        return {"requestBody": {"required": True, "content": content}}


def find_examples(path: Path, task: type[Task], public: bool) -> Examples:
    """Return examples for a run.

    Args:
        path: the run's directory.
        task: its task.
        public: whether anyone may see them. Then no text and no name of the run is in them.
    """
    predictions = read_run(path).predictions
    rows = predictions.get("test") or predictions.get("validation") or []
    texts = [row for row in rows if isinstance(_text(task, row), str) and _text(task, row).strip()]
    row = min(texts, key=lambda row: abs(len(_text(task, row)) - 80), default={"text": PLACEHOLDER})
    text = PLACEHOLDER if public else _text(task, row)[:LONGEST]
    if task.takes_pairs and "text_pair" in row:
        pair = [text, PLACEHOLDER if public else row["text_pair"]]
        predict: dict[str, dict[str, Any]] = {"pairs": {"pairs": [pair]}}
    else:
        predict = {"texts": {"texts": [text]}}
    return Examples(task.name if public else path.resolve().name, predict, _writing(task, text))


def _text(task: type[Task], row: dict[str, Any]) -> Any:
    return row.get(task.required_fields[0], row.get("source", row.get("text")))


def _writing(task: type[Task], text: str) -> dict[str, dict[str, Any]]:
    """Return examples for /generate; those of a task of the user's own name no fields that it may not have."""
    names = {flag.name for flag in task.generation_flags}
    if not writes_by_flags(task):
        return {"text": {"text": text}, "streamed": {"text": text, "beams": 1, "stream": True}}
    if "seed_line" in names:
        prefix, lines = split_source(text)
        genre = {"genre": prefix.removeprefix("<style:").removesuffix(">")} if prefix else {}
        return {"song": {"seed_line": lines[-1], **genre, "lines": 4, "seed": 1}}
    if "prompt" in names:
        prompt = " ".join(text.split()[:8])
        return {"text": {"prompt": prompt, "length": 40, **SAMPLED},
                "streamed": {"prompt": prompt, "length": 40, "stream": True}}  # fmt: skip
    return {"text": {}}
