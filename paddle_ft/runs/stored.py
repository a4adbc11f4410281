"""Check what is in the files that a run has written: somebody may have edited them, or a copy may be damaged."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

MOST_DIGITS = 19  # of a whole number; nothing that a run writes has more than 64 bits


class _Stored(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Best(_Stored):
    """The best checkpoint: the metric that chose it, its value, and the step."""

    metric: str
    value: float
    step: int


class _Baseline(_Stored):
    """The name of the baseline, and its scores on each split."""

    __pydantic_extra__: dict[str, dict[str, Any]]

    name: str | None = None


class _Results(_Stored):
    """The entries of results.json that are read by name. All may be missing, because they are written one after the other."""

    task: str | None = None
    status: str | None = None
    sample: bool | None = None
    data: dict[str, Any] | None = None
    model: dict[str, Any] | None = None
    train: dict[str, Any] | None = None
    versions: dict[str, str] | None = None
    decisions: list[str] | None = None
    best: _Best | None = None
    metrics: dict[str, dict[str, Any]] | None = None
    before_training: dict[str, dict[str, Any]] | None = None
    baseline: _Baseline | None = None
    other_baselines: dict[str, dict[str, dict[str, Any]]] | None = None


def parse_json(text: str) -> Any:
    """Parse JSON of a run. Raise ValueError for what is no JSON, is nested too deeply, or has a whole number beyond 64 bits."""
    try:
        return json.loads(text, parse_int=_parse_int)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _parse_int(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"the number {digits[:MOST_DIGITS]}... is too large")
    return int(digits)


def check_results(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return the content of results.json without its damaged entries, and one sentence for each of those.

    Args:
        text: the text of the file.

    Raises:
        ValueError: the text is no JSON object.
    """
    content = parse_json(text)
    if not isinstance(content, dict):
        raise ValueError(f"it is no JSON object but a {type(content).__name__}")
    problems: dict[int | str, str] = {}
    try:
        _Results.model_validate(content)
    except ValidationError as error:
        for details in error.errors():
            key = ".".join(map(str, details["loc"]))
            problems.setdefault(details["loc"][0], f"{key}: {details['msg'].replace('Input should be', 'must be')}")
    return {key: value for key, value in content.items() if key not in problems and value is not None}, list(problems.values())
