"""The plan of a sweep of tiny classifications, whose test split has other rows than its validation split."""

from pathlib import Path

from paddle_ft.config.load import load_config
from paddle_ft.experiments.sweep_plan import Plan, make_plan
from tests.support.tiny_classification import ROWS, overrides, write_jsonl


def sweep_overrides(folder: Path, *settings: str) -> list[str]:
    """Return overrides for a sweep in `folder`/run."""
    given = overrides(folder, ROWS, "distilbert", *settings)
    test = write_jsonl(folder / "test.jsonl", ROWS[1:5])
    return [f"data.test={test}" if text.startswith("data.test=") and text not in settings else text for text in given]


def plan_of(folder: Path, *settings: str, **options) -> Plan:
    """Return the plan of a sweep. `options` are further arguments of make_plan."""
    return make_plan(lambda values: load_config("distilbert_sst2", values), sweep_overrides(folder, *settings), **options)
