"""The run directory: who may write into it, what is in it, and how a file appears there whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from paddle_ft.errors import UserError

# what a run writes, beside predictions-*.jsonl and checkpoint-*
WRITTEN = (
    "config.yaml", "metrics.jsonl", "results.json", "report.html", "plots", "best", "last", ".best.old", ".last.old",
    "visualdl", "wandb", "logs", "bad-batch.jsonl", "texts",
)  # fmt: skip


def write_atomically(path: Path, text: str) -> None:
    """Writes a file under another name in the same folder, flushes it to disk, and renames it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.tmp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _plain(value: Any) -> Any:
    """NumPy scalars and paths to what JSON knows."""
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)


class RunDir:
    """Paths and files of one run.

    config.yaml, metrics.jsonl, results.json, predictions-<split>.jsonl, best/, last/, plots/, report.html, texts/
    """

    def __init__(self, path: str | Path, silent: bool = False):
        """`silent`: nothing is written; for the processes beside the first of a training on several devices."""
        self.path = Path(path)
        self.silent = silent

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @classmethod
    def claim(cls, path: str, resume: bool, overwrite: bool) -> RunDir:
        """Opens the directory for a training. Raises UserError if that would overwrite something, or cannot be written."""
        run = cls(path)
        if run.path.exists() and not run.path.is_dir():
            raise UserError(f"output_dir: {path} is a file; name a directory.")
        occupied = run.path.is_dir() and any(entry.name != "logs" for entry in run.path.iterdir())
        if occupied and not (resume or overwrite):
            what = "a run" if run.is_run() else "files"
            raise UserError(
                f"output_dir: {path} already holds {what}. Use --resume to go on with it, --overwrite to replace it,"
                " or output_dir=ANOTHER for a new run."
            )
        if occupied and overwrite and not run.is_run():
            raise UserError(
                f"output_dir: {path} holds files but no run of paddle_ft (no config.yaml); --overwrite only replaces runs."
                " Choose another output_dir."
            )
        if resume and not run.is_run():
            raise UserError(f"--resume: {path} holds no run to go on with (no config.yaml there). Leave --resume out.")
        run._check_writable()
        return run

    def is_run(self) -> bool:
        return (self.path / "config.yaml").is_file()

    def _check_writable(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise UserError(
                f"output_dir: {self.path} cannot be written: {error.strerror or error}. Choose another with output_dir=..."
            ) from None

    def remove_if_empty(self) -> None:
        """Takes back a directory that was made for a training which then did not start."""
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def clear(self) -> None:
        """Removes what an earlier run left, and only that."""
        import shutil

        leftovers = [self.path / name for name in WRITTEN]
        leftovers += [*self.path.glob("predictions-*.jsonl"), *self.path.glob("checkpoint-*"), *self.path.glob(".*.tmp-*")]
        for path in leftovers:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def log(self, event: dict) -> None:
        """Appends one line to metrics.jsonl."""
        if self.silent:
            return
        with open(self.metrics, "a", encoding="utf-8") as file:
            file.write(to_json(event) + "\n")

    def metrics_size(self) -> int:
        """Bytes of metrics.jsonl so far: a checkpoint remembers it, so that a resumed run repeats no line."""
        return self.metrics.stat().st_size if self.metrics.exists() else 0

    def cut_metrics(self, size: int) -> None:
        if not self.silent and self.metrics.exists() and self.metrics.stat().st_size > size:
            os.truncate(self.metrics, size)

    def events(self) -> list[dict]:
        """All whole lines of metrics.jsonl."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines if line]

    def results(self) -> dict:
        path = self.path / "results.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def write_config(self, text: str) -> None:
        if not self.silent:
            write_atomically(self.path / "config.yaml", text)

    def write_texts(self, files: dict[str, str]) -> None:
        """Writes what a task keeps of its data, by file name, into texts/."""
        if files and not self.silent:
            (self.path / "texts").mkdir(exist_ok=True)
            for name, text in files.items():
                write_atomically(self.path / "texts" / name, text)

    def write_results(self, results: dict) -> None:
        if self.silent:
            return
        write_atomically(self.path / "results.json", to_json(results, indent=2) + "\n")

    def write_predictions(self, split: str, rows: list[dict]) -> None:
        if self.silent:
            return
        text = "".join(to_json(row) + "\n" for row in rows)
        write_atomically(self.path / f"predictions-{split}.jsonl", text)
