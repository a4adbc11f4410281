"""Log figures to experiment trackers: Weights & Biases and VisualDL.

If a tracker fails, a warning is printed and the run continues without it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from paddle_ft.config.describe import to_yaml
from paddle_ft.config.schema import BaseConfig
from paddle_ft.system.formatting import is_number
from paddle_ft.system.progress import print_info

# What wandb reads. Without a limit it waits at the end of a training as long as it takes, even if its server is gone.
WANDB_LIMITS = {"WANDB_FINISH_TIMEOUT": "120", "WANDB_FINISH_TIMEOUT_RAISES": "true"}  # the first in seconds


class Tracker(Protocol):
    """The interface of a tracker.

    Attributes:
        name: the tracker's name in messages.
        id: the run's id at the tracker's service, or None.
    """

    name: str
    id: str | None

    def log_scalars(self, prefix: str, step: int, figures: dict[str, float]) -> None:
        """Log the figures of a step under the names "prefix/name"."""

    def log_samples(self, split: str, step: int, rows: list[dict]) -> None:
        """Log a few predictions of an evaluation."""

    def close(self) -> None:
        """Write what is not written yet, and end the tracker's run."""


class Wandb:
    """Log to a run of Weights & Biases, online or offline."""

    name = "wandb"

    def __init__(self, config: BaseConfig, folder: Path, run_id: str | None):
        import wandb
        import yaml

        for name, value in WANDB_LIMITS.items():
            os.environ.setdefault(name, value)
        self.run = wandb.init(
            project=config.tracking.wandb_project,
            name=folder.name,
            id=run_id,
            resume="allow" if run_id else None,
            dir=str(folder),
            mode=config.tracking.wandb,
            config=yaml.safe_load(to_yaml(config)),
        )
        self.id = self.run.id

    def log_scalars(self, prefix: str, step: int, figures: dict[str, float]) -> None:
        self.run.log({f"{prefix}/{name}": value for name, value in figures.items()}, step=step)

    def log_samples(self, split: str, step: int, rows: list[dict]) -> None:
        import wandb

        columns = list(rows[0])
        table = wandb.Table(columns=columns, data=[[row[column] for column in columns] for row in rows])
        self.run.log({f"{split}/predictions": table}, step=step)

    def close(self) -> None:
        self.run.finish()


class VisualDL:
    """Log to a VisualDL log in the run directory."""

    name = "VisualDL"

    def __init__(self, config: BaseConfig, folder: Path, run_id: str | None):
        from visualdl import LogWriter

        self.id = None
        self.writer = LogWriter(logdir=str(folder / "visualdl"))
        settings = _numbers(config.train.model_dump())
        self.writer.add_hparams(hparams_dict=settings, metrics_list=["train/loss"])

    def log_scalars(self, prefix: str, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(tag=f"{prefix}/{name}", value=value, step=step)

    def log_samples(self, split: str, step: int, rows: list[dict]) -> None:
        text = "\n\n".join("\n".join(f"{name}: {value}" for name, value in row.items()) for row in rows)
        self.writer.add_text(tag=f"{split}/predictions", text_string=text, step=step)

    def close(self) -> None:
        self.writer.close()


class Trackers:
    """All enabled trackers as one. Without any it does nothing, so the loop needs no `if`.

    Args:
        config: the configuration; its section `tracking` enables trackers.
        folder: the run's directory.
        ids: tracker -> run id of the earlier part of a resumed training, to be continued.
        enabled: False on all ranks except rank 0.
    """

    def __init__(self, config: BaseConfig, folder: Path, ids: dict[str, str] | None = None, enabled: bool = True):
        classes: list[type] = []
        if enabled and config.tracking.wandb != "off":
            classes.append(Wandb)
        if enabled and config.tracking.visualdl:
            classes.append(VisualDL)
        self.active: list[Tracker] = []
        for cls in classes:
            run_id = (ids or {}).get(cls.name)
            self._guard(cls.name, lambda cls=cls, run_id=run_id: self.active.append(cls(config, folder, run_id)))

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def _guard(self, name: str, action: Callable[[], Any]) -> None:
        """Run an action of a tracker. If it fails, switch the tracker off and warn."""
        try:
            action()
        except Exception as error:  # the run must continue whatever a tracker raises
            failed = [tracker for tracker in self.active if tracker.name == name]
            self.active = [tracker for tracker in self.active if tracker.name != name]
            for tracker in failed:
                with contextlib.suppress(Exception):  # so that it writes what it has logged so far, if it still can
                    tracker.close()
            print_info(f"warning: {name} failed and is switched off for this run: {type(error).__name__}: {error}")

    @property
    def ids(self) -> dict[str, str]:
        """Return tracker -> run id. Checkpoints store these so that a resumed training continues the same runs."""
        return {tracker.name: tracker.id for tracker in self.active if tracker.id}

    def log_scalars(self, prefix: str, step: int, figures: dict) -> None:
        """Log those figures of a step that are numbers."""
        for tracker in list(self.active):
            self._guard(tracker.name, lambda tracker=tracker: tracker.log_scalars(prefix, step, _numbers(figures)))

    def log_samples(self, split: str, step: int, rows: list[dict]) -> None:
        """Log a few predictions, if there are any."""
        for tracker in list(self.active):
            if rows:
                self._guard(tracker.name, lambda tracker=tracker: tracker.log_samples(split, step, rows))

    def close(self) -> None:
        """Close all trackers."""
        for tracker in list(self.active):
            self._guard(tracker.name, tracker.close)


def _numbers(values: dict) -> dict[str, float]:
    """Return the entries whose values are int or float."""
    return {name: value for name, value in values.items() if is_number(value)}
