"""The directory of a run: who may write into it, and what is in it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.files import WriteError, to_json, write_atomically

LOCK = ".lock"
# what a run writes, beside predictions-*.jsonl and checkpoint-*
WRITTEN = (
    "config.yaml", "metrics.jsonl", "results.json", "report.html", "plots", "best", "last", ".best.old", ".last.old",
    "visualdl", "wandb", "bad-batch.jsonl", "texts",
)  # fmt: skip


class RunDirectory:
    """Paths and files of one run.

    config.yaml, metrics.jsonl, results.json, predictions-<split>.jsonl, best/, last/, plots/, report.html, texts/
    """

    def __init__(self, path: str | Path, silent: bool = False):
        """silent: write nothing. This is for all ranks but rank 0 of a training in several processes."""
        self.path = Path(path).expanduser()
        self.silent = silent
        self.lock = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @classmethod
    def open_for_training(cls, path: str, resume: bool, overwrite: bool) -> RunDirectory:
        """Open the directory for a training, and lock it.

        Raises:
            UserError: the training would overwrite something, or the directory cannot be written.
        """
        run = cls(path)
        if run.path.exists() and not run.path.is_dir():
            raise UserError(f"output_dir: {path} is a file; name a directory.")
        occupied = run.path.is_dir() and any(entry.name not in ("logs", LOCK) for entry in run.path.iterdir())
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
        run.check_writable()
        run._take_lock()
        return run

    def _take_lock(self) -> None:
        """Make sure that only one process trains in the directory. The lock ends with the process that holds it."""
        self.lock = open(self.path / LOCK, "w")  # noqa: SIM115 held as long as the run
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock = None
            raise UserError(f"output_dir: another process is training in {self.path} right now. Use another output_dir.") from None

    def release(self) -> None:
        """Unlock the directory. Remove it if it is empty, as it is when the training did not start."""
        if self.lock is not None:
            (self.path / LOCK).unlink(missing_ok=True)
            self.lock.close()
            self.lock = None
        if not self.silent and self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def is_run(self) -> bool:
        """Tell whether the directory holds a run."""
        return (self.path / "config.yaml").is_file()

    @classmethod
    def open_existing(cls, path: str | Path) -> RunDirectory:
        """Return the run in a directory. Raise UserError if there is none."""
        run = cls(path)
        if not run.is_run():
            raise UserError(f"{path}: this is not a run's directory (no config.yaml in it).")
        return run

    def check_writable(self) -> None:
        """Make the directory. Raise UserError if it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise UserError(
                f"output_dir: {self.path} cannot be written: {error.strerror or error}. Choose another with output_dir=..."
            ) from None

    def clear(self) -> None:
        """Remove what an earlier run wrote, and nothing else. The lock stays."""
        import shutil

        leftovers = [self.path / name for name in WRITTEN]
        leftovers += [*self.path.glob("predictions-*.jsonl"), *self.path.glob("checkpoint-*"), *self.path.glob(".*.tmp-*")]
        for path in leftovers:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def log(self, event: dict) -> None:
        """Append one line to metrics.jsonl."""
        if self.silent:
            return
        try:
            with open(self.metrics, "a", encoding="utf-8") as file:
                file.write(to_json(event) + "\n")
        except OSError as error:
            raise WriteError.from_os_error(self.metrics, error) from None

    def metrics_size(self) -> int:
        """Return the size of metrics.jsonl in bytes. A checkpoint stores it, so that a resumed run repeats no line."""
        return self.metrics.stat().st_size if self.metrics.exists() else 0

    def cut_metrics(self, size: int) -> None:
        """Cut metrics.jsonl back to `size` bytes."""
        if not self.silent and self.metrics.exists() and self.metrics.stat().st_size > size:
            os.truncate(self.metrics, size)

    def events(self) -> list[dict]:
        """Return all complete lines of metrics.jsonl."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines if line]

    def results(self) -> dict:
        """Return the content of results.json, {} where there is none. Raise UserError if it is damaged."""
        path = self.path / "results.json"
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise UserError(f"{path}: this file is damaged: {error}. Delete it, or start the run again with --overwrite.") from None

    def write_config(self, text: str) -> None:
        """Write config.yaml."""
        if not self.silent:
            write_atomically(self.path / "config.yaml", text)

    def write_texts(self, files: dict[str, str]) -> None:
        """Write what a task keeps of its data into texts/: file name -> content."""
        if files and not self.silent:
            (self.path / "texts").mkdir(exist_ok=True)
            for name, text in files.items():
                write_atomically(self.path / "texts" / name, text)

    def write_results(self, results: dict) -> None:
        """Write results.json."""
        if self.silent:
            return
        write_atomically(self.path / "results.json", to_json(results, indent=2) + "\n")

    def write_predictions(self, split: str, rows: list[dict]) -> None:
        """Write predictions-<split>.jsonl, one JSON object a line."""
        if self.silent:
            return
        text = "".join(to_json(row) + "\n" for row in rows)
        write_atomically(self.path / f"predictions-{split}.jsonl", text)
