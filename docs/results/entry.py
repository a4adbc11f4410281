"""The entries of the results page: what was run (entries/NAME.yaml, written by hand) and its figures (entries/NAME.json, measured).

A YAML file is one entry or a list of them. An entry without measured figures is shown empty, with its command.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FOLDER = Path(__file__).parent / "entries"


class Strict(BaseModel):
    """Base of what is read: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid")


class Figure(Strict):
    """A metric of a run that the page shows.

    Attributes:
        metric: its key in results.json.
        split: the split that it is measured on.
        label: what the page calls it, where the metric's key is not enough.
        baseline: what the baseline is, in words.
        variant: of a repetition, the title of the group of runs; "difference" for the difference of the second group.
    """

    metric: str
    split: str = "validation"
    label: str = ""
    baseline: str = ""
    variant: str = ""

    @property
    def key(self) -> str:
        """Its name in the measured figures."""
        return self.label or f"{self.metric}, {self.split}"


class Measured(Strict):
    """What a run gave.

    Attributes:
        date, machine, versions: when, where and with what it was measured.
        seeds: of each run.
        rows: split -> number of rows.
        figures: key of a Figure -> "value", and where there is one "interval" (95 %), "before" (training), "baseline",
            "baseline_interval" and "note", which is words about the value.
        table: of a command that prints Markdown tables, the tables.
    """

    date: str
    machine: str
    versions: str
    seeds: list[int] = [2022]
    rows: dict[str, int] = {}
    figures: dict[str, dict[str, Any]] = {}
    table: str = ""


class Entry(Strict):
    """A section of the page, or with an empty title a row of its first table.

    Attributes:
        name: what `python -m docs.results run` calls it.
        order: its place on the page.
        kind: how its figures are read: "train" and "repeat" from results.json in `run`, "table" and "tables" from the
            last and from all Markdown tables that the command prints, "text": it has none.
        recipe, tutorial: the recipe, and the tutorial's figure for it.
        stand_in: why it cannot be compared with the tutorial's figure; empty: it is the recipe as it stands.
        model, data: what was trained, and on what.
        command: what was run. Names in `models`, and PYTHON and DATA, stand for what the reader has.
        run: the directory that the command writes.
        files, models: the files in the folder of the data, and the names of directories with a model, that the command needs.
        needs: what else it needs, such as a GPU. Then it is run only if it is named.
        text: Markdown that follows the figures, written by hand.
    """

    name: str
    order: int = 0
    title: str = ""
    kind: Literal["train", "repeat", "table", "tables", "text"] = "train"
    recipe: str = ""
    tutorial: str = ""
    stand_in: str = ""
    model: str = ""
    data: str = ""
    command: str = ""
    run: str = ""
    files: list[str] = []
    models: list[str] = []
    needs: str = ""
    figures: list[Figure] = []
    text: str = ""
    measured: Measured | None = Field(None, exclude=True)
    path: Path = Field(Path(), exclude=True)


def load_entries(folder: Path = FOLDER) -> list[Entry]:
    """Return all entries in the order of the page. Exit with a message if a file cannot be read as entries."""
    entries = []
    for path in sorted(folder.glob("*.yaml")):
        measured = measured_in(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            for fields in content if isinstance(content, list) else [content]:
                entry = Entry(**fields, path=path)
                if entry.name in measured:
                    entry.measured = Measured(**measured[entry.name])
                entries.append(entry)
        except (yaml.YAMLError, ValidationError, TypeError, ValueError) as error:
            raise SystemExit(f"error: {path}: {error}") from None
    return sorted(entries, key=lambda entry: entry.order)


def measured_in(path: Path) -> dict[str, Any]:
    """Return name of an entry -> its measured figures, of a YAML file."""
    file = path.with_suffix(".json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def store(entry: Entry, measured: Measured) -> Path:
    """Write the figures of an entry beside its YAML file, and return the file."""
    content = measured_in(entry.path) | {entry.name: measured.model_dump(exclude_defaults=True)}
    file = entry.path.with_suffix(".json")
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
