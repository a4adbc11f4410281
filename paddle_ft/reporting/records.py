"""Read the directory of a run into one record.

The run may be unfinished. A crash may have cut off a line of a log, and a resumed run may have logged steps twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from paddle_ft.config.yaml_text import parse_yaml
from paddle_ft.metrics.registry import known_metrics
from paddle_ft.runs.stored import check_results, parse_json
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import is_number

# Numbers in a logged evaluation that are not scores.
EVENT_FIELDS = ("step", "epoch", "seconds", "examples", "rows", "samples_per_second", "target_tokens_per_second")
NO_SPLITS = "There are no scores, because the run has neither a validation nor a test split (data.validation, data.test)."
SECTIONS = ("task", "model", "data", "train", "eval", "generation", "tracking")  # of config.yaml


@dataclass
class Run:
    """The content of a run's directory. Attributes whose file is missing are empty.

    Attributes:
        path: the directory.
        config_text: the text of config.yaml.
        config: the content of config.yaml.
        train: training events, sorted by step. If a step was logged twice, the last event counts.
        evaluations: split -> its evaluation events, sorted by step. Step 0 is before training.
        results: the content of results.json.
        predictions: split -> the rows of predictions-<split>.jsonl.
        problems: one sentence for each file or line that could not be read.
    """

    path: Path
    config_text: str = ""
    config: dict = field(default_factory=dict)
    train: list[dict] = field(default_factory=list)
    evaluations: dict[str, list[dict]] = field(default_factory=dict)
    results: dict = field(default_factory=dict)
    predictions: dict[str, list[dict]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The name of the recipe, or of the directory if the recipe is unknown."""
        return str(self.config.get("recipe") or self.path.resolve().name)

    @property
    def task(self) -> str:
        """The name of the task."""
        task = self.results.get("task") or self.config.get("task") or "unknown task"
        return str(task.get("name", "unknown task") if isinstance(task, dict) else task)

    @property
    def finished(self) -> bool:
        """Whether the training has ended. Without a validation and a test split there are no scores even then."""
        return self.results.get("status") == "finished" or bool(self.results.get("metrics"))

    @property
    def decisions(self) -> list[str]:
        """What was decided for the user, one sentence each. Runs of version 0.1 have none."""
        decisions = self.results.get("decisions")
        return [str(decision) for decision in decisions] if isinstance(decisions, list) else []

    @property
    def sample(self) -> bool:
        """Whether this is a sample run."""
        return bool(self.results.get("sample", self.config.get("sample")))


def read_run(path: str | Path) -> Run:
    """Return the content of a run's directory.

    Raises:
        UserError: there is no such directory, or it has neither config.yaml nor metrics.jsonl.
    """
    run = Run(Path(path))
    if not run.path.is_dir():
        raise UserError(f"{path}: there is no such run directory.")
    if not (run.path / "config.yaml").exists() and not (run.path / "metrics.jsonl").exists():
        raise UserError(f"{path}: contains no run (no config.yaml, no metrics.jsonl). Name the output_dir of a training.")
    _read_config(run)
    _read_results(run)
    _read_events(run)
    for file in sorted(run.path.glob("predictions-*.jsonl")):
        run.predictions[file.stem.removeprefix("predictions-")] = _json_lines(file, run.problems)
    return run


def read_losses(run: Run, split: str) -> list[dict]:
    """Return the rows of losses-<split>.jsonl, [] if the file does not exist or is damaged. Version 0.1 did not write it."""
    file = run.path / f"losses-{split}.jsonl"
    problems: list[str] = []
    rows = _json_lines(file, problems) if file.exists() else []
    is_complete = all(is_number(row.get(name)) for row in rows for name in ("nll", "targets"))
    return rows if is_complete and not problems else []


def _read_config(run: Run) -> None:
    file = run.path / "config.yaml"
    if not file.exists():
        run.problems.append("config.yaml is missing: the settings of this run are unknown.")
        return
    run.config_text = file.read_text(encoding="utf-8", errors="replace")
    try:
        config, _ = parse_yaml(run.config_text, "config.yaml")
    except UserError as error:
        run.problems.append(str(error))
        return
    if not isinstance(config, dict):
        run.problems.append("config.yaml is damaged: it has no sections.")
        return
    damaged = [name for name in SECTIONS if not isinstance(config.get(name), dict | None)]
    run.problems += [f"config.yaml: {name}: damaged and left out: it is no section." for name in damaged]
    run.config = {key: value for key, value in config.items() if key not in damaged}


def _read_results(run: Run) -> None:
    file = run.path / "results.json"
    if not file.exists():
        run.problems.append("results.json is missing: the run has not finished, so there are no final scores.")
        return
    try:
        run.results, problems = check_results(file.read_text(encoding="utf-8"))
    except ValueError as error:
        run.problems.append(f"results.json cannot be read: {error}")
        return
    run.problems += [f"results.json: damaged and left out: {problem}" for problem in problems]
    if not run.finished:
        run.problems.append("The run has not finished: the scores are those of the latest evaluation.")
    elif not run.results.get("metrics"):
        run.problems.append(f"{NO_SPLITS} Its model is that of the last step.")


def _read_events(run: Run) -> None:
    """Sort the events of metrics.jsonl by kind and step. If a step was logged twice, the later line counts."""
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
    """Return the JSON objects in a file. Other lines are left out and reported in `problems`."""
    rows, broken_lines = [], []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            broken_lines.append(str(number))
    if broken_lines:
        numbers = ", ".join(broken_lines[:5]) + (" ..." if len(broken_lines) > 5 else "")
        problems.append(f"{file.name}: {len(broken_lines)} unreadable line(s) left out (line {numbers}).")
    return rows


def score_keys(metrics: dict) -> list[str]:
    """Return the keys of the scores in an evaluation: known metrics in the registry's order, then others in alphabetical order."""
    known = known_metrics()
    keys = [key for key, value in metrics.items() if is_number(value) and key not in EVENT_FIELDS]
    in_report = [key for key, metric in known.items() if key in keys and metric.in_report]
    return in_report + sorted(key for key in keys if key not in known)
