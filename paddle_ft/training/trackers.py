"""Experiment trackers. Each may fail, at the start or later: the run goes on without it, and says so once."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from paddle_ft.config.describe import to_yaml
from paddle_ft.system.progress import say


class Wandb:
    """Figures and samples in a run of Weights & Biases, online or offline."""

    name = "wandb"

    def __init__(self, config, folder: Path, run_id: str | None):
        import wandb
        import yaml

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

    def scalars(self, prefix: str, step: int, figures: dict[str, float]) -> None:
        self.run.log({f"{prefix}/{name}": value for name, value in figures.items()}, step=step)

    def samples(self, split: str, step: int, rows: list[dict]) -> None:
        import wandb

        columns = list(rows[0])
        table = wandb.Table(columns=columns, data=[[row[c] for c in columns] for row in rows])
        self.run.log({f"{split}/predictions": table}, step=step)

    def close(self) -> None:
        self.run.finish()


class VisualDL:
    """Figures and samples in a VisualDL log in the run directory."""

    name = "VisualDL"

    def __init__(self, config, folder: Path, run_id: str | None):
        from visualdl import LogWriter

        self.id = None
        self.writer = LogWriter(logdir=str(folder / "visualdl"))
        settings = _numbers(config.train.model_dump())
        self.writer.add_hparams(hparams_dict=settings, metrics_list=["train/loss"])

    def scalars(self, prefix: str, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(tag=f"{prefix}/{name}", value=value, step=step)

    def samples(self, split: str, step: int, rows: list[dict]) -> None:
        text = "\n\n".join("\n".join(f"{name}: {value}" for name, value in row.items()) for row in rows)
        self.writer.add_text(tag=f"{split}/predictions", text_string=text, step=step)

    def close(self) -> None:
        self.writer.close()


class Trackers:
    """All trackers that are switched on, as one. With none it does nothing, so the loop needs no `if`."""

    def __init__(self, config, folder: Path, ids: dict[str, str] | None = None, enabled: bool = True):
        wanted = []
        if enabled and config.tracking.wandb != "off":
            wanted.append(Wandb)
        if enabled and config.tracking.visualdl:
            wanted.append(VisualDL)
        self.active: list[Any] = []
        for kind in wanted:
            self._guard(kind.name, lambda kind=kind: self.active.append(kind(config, folder, (ids or {}).get(kind.name))))

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def _guard(self, name: str, action) -> None:
        try:
            action()
        except Exception as error:  # whatever a tracker does, the run is worth more
            failed = [tracker for tracker in self.active if tracker.name == name]
            self.active = [tracker for tracker in self.active if tracker.name != name]
            for tracker in failed:
                with contextlib.suppress(Exception):  # what it wrote before it failed is kept where possible
                    tracker.close()
            say(f"warning: {name} failed and is switched off for this run: {type(error).__name__}: {error}")

    @property
    def ids(self) -> dict[str, str]:
        return {tracker.name: tracker.id for tracker in self.active if tracker.id}

    def scalars(self, prefix: str, step: int, figures: dict) -> None:
        for tracker in list(self.active):
            self._guard(tracker.name, lambda tracker=tracker: tracker.scalars(prefix, step, _numbers(figures)))

    def samples(self, split: str, step: int, rows: list[dict]) -> None:
        for tracker in list(self.active):
            if rows:
                self._guard(tracker.name, lambda tracker=tracker: tracker.samples(split, step, rows))

    def close(self) -> None:
        for tracker in list(self.active):
            self._guard(tracker.name, tracker.close)


def _numbers(values: dict) -> dict[str, float]:
    return {n: v for n, v in values.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
