"""Define what a run gives back: an evaluation and a plot, each of which a notebook can show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paddle_ft.system.errors import UserError


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation. In a notebook it shows a table and a few predictions.

    Attributes:
        split: the split that was evaluated.
        metrics: scores by name, with 95 % bootstrap intervals under "<name>_ci".
        baseline: {"name": ..., split: scores} of a baseline on the same data; {} if there is no training data to make it from.
        predictions: a dictionary for each prediction.
    """

    split: str
    metrics: dict[str, Any]
    baseline: dict[str, Any]
    predictions: list[dict[str, Any]] = field(repr=False)

    def __str__(self) -> str:
        from paddle_ft.reporting.tables import split_table

        return "\n".join(split_table(self.split, self.metrics, {"baseline": self.baseline})).rstrip()

    def __repr__(self) -> str:
        return f"<Evaluation on {self.split}>\n{self}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from paddle_ft.reporting.notebook import evaluation_html

        return evaluation_html(self.split, self.metrics, self.baseline, self.predictions)


@dataclass(frozen=True)
class Plot:
    """A plot of a run, which a notebook shows as an image.

    Attributes:
        path: its PNG file.
    """

    path: Path

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows."""
        return self.path.read_bytes()


class Plots(dict[str, Plot]):
    """The plots of a run by name. A name that is not there raises a UserError, which lists the names.

    Args:
        folder: the run's folder plots/, which need not exist.
    """

    def __init__(self, folder: Path):
        super().__init__({path.stem: Plot(path) for path in sorted(folder.glob("*.png"))})
        self.folder = folder

    def __missing__(self, name: str) -> Plot:
        if not self:
            raise UserError(f"{self.folder}: this run has no plots yet; they are drawn at its end, or by write_report().")
        raise UserError(f"{self.folder}: there is no plot {name!r}, only {', '.join(self)}.")
