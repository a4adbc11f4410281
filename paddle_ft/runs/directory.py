"""Read and write the directory of a run, and lock it so that only one training writes into it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import TextIO

from paddle_ft.runs.stored import check_results, parse_json
from paddle_ft.system.errors import UserError
from paddle_ft.system.files import WriteError, to_json, write_atomically, write_json_lines
from paddle_ft.system.formatting import is_number

LOCK = ".lock"
BEST_NOTE = "best.json"  # in best/trainer: which step it is
# Everything that a run writes, except predictions-*.jsonl, losses-*.jsonl and checkpoint-*.
WRITTEN = (
    "config.yaml", "metrics.jsonl", "results.json", "report.html", "plots", "best", "last", ".best.old", ".last.old",
    "visualdl", "wandb", "bad-batch.jsonl", "texts",
)  # fmt: skip


class RunDirectory:
    """The directory of one run and its files.

    These are config.yaml, metrics.jsonl, results.json, predictions-<split>.jsonl, losses-<split>.jsonl, best/, last/, plots/,
    report.html and texts/.

    Args:
        path: the directory. It need not exist yet.
        silent: write nothing. This is for all ranks except rank 0 of a training with several processes.
    """

    def __init__(self, path: str | Path, silent: bool = False):
        self.path = Path(path).expanduser()
        self.silent = silent
        self.lock: TextIO | None = None
        self._created: list[Path] = []

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def metrics(self) -> Path:
        """The path of metrics.jsonl."""
        return self.path / "metrics.jsonl"

    @classmethod
    def open_for_training(cls, path: str, resume: bool, overwrite: bool) -> RunDirectory:
        """Open a directory for a training, and lock it.

        Args:
            path: the directory. It is created if it does not exist.
            resume: continue the run in it.
            overwrite: replace the run in it.

        Raises:
            UserError: the training would overwrite files, there is no run to resume, another process is training in the
                directory, or the directory cannot be written.
        """
        run = cls(path)
        run.refuse_unusable(resume, overwrite)
        run.check_writable()
        run._take_lock()
        return run

    def refuse_unusable(self, resume: bool, overwrite: bool) -> None:
        """Raise UserError if a training would overwrite files, or if there is no run to resume. This writes nothing."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"output_dir: {self.path} is a file; name a directory.")
        if self.is_being_trained():
            raise self._locked()
        occupied = self.path.is_dir() and any(entry.name not in ("logs", LOCK) for entry in self.path.iterdir())
        if occupied and not (resume or overwrite):
            content = "a run" if self.is_run() else "files"
            raise UserError(
                f"output_dir: {self.path} already contains {content}. Use --resume to continue it, --overwrite to replace it,"
                " or output_dir=ANOTHER for a new run."
            )
        if occupied and overwrite and not self.is_run():
            raise UserError(
                f"output_dir: {self.path} contains files but no run of paddle_ft (no config.yaml); --overwrite only replaces runs."
                " Choose another output_dir."
            )
        if resume and not self.is_run():
            raise UserError(f"--resume: {self.path} contains no run to continue (it has no config.yaml). Leave --resume out.")

    def _take_lock(self) -> None:
        """Make sure that only one process trains in the directory. The system removes the lock when that process ends."""
        self.lock = open(self.path / LOCK, "w")  # noqa: SIM115 the file stays open until release
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock.close()
            self.lock = None
            raise self._locked() from None

    def _locked(self) -> UserError:
        return UserError(f"output_dir: another process is training in {self.path} right now. Use another output_dir.")

    def is_being_trained(self) -> bool:
        """Return whether another process, or another object of this one, trains in the directory now. This writes nothing."""
        try:
            with open(self.path / LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # there is no lock, or the file system has none
            return False
        return False

    def release(self) -> None:
        """Unlock the directory. If it is empty, so that the training did not start, remove it and the parents made for it."""
        if self.lock is not None:
            (self.path / LOCK).unlink(missing_ok=True)
            self.lock.close()
            self.lock = None
        if not self.silent and self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()
            with contextlib.suppress(OSError):  # a parent has other files by now, or another training has removed it
                for folder in self._created:
                    folder.rmdir()

    def is_run(self) -> bool:
        """Return whether the directory contains a run."""
        return (self.path / "config.yaml").is_file()

    @classmethod
    def open_existing(cls, path: str | Path) -> RunDirectory:
        """Return the run in a directory. Raise UserError if there is none."""
        run = cls(path)
        if not run.is_run():
            raise UserError(f"{path}: this is not the directory of a run (it has no config.yaml).")
        return run

    def check_writable(self) -> None:
        """Create the directory if it does not exist. Raise UserError if it cannot be written."""
        self._created = [folder for folder in self.path.parents if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise UserError(
                f"output_dir: {self.path} cannot be written: {error.strerror or error}. Choose another with output_dir=..."
            ) from None

    def clear(self) -> None:
        """Remove the files of an earlier run. The lock and the user's own files stay."""
        import shutil

        leftovers = [self.path / name for name in WRITTEN]
        for pattern in ("predictions-*.jsonl", "losses-*.jsonl", "checkpoint-*", ".*.tmp-*"):
            leftovers += self.path.glob(pattern)
        for path in leftovers:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def log(self, event: dict) -> None:
        """Append one event to metrics.jsonl, as a line of JSON."""
        if self.silent:
            return
        try:
            with open(self.metrics, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(to_json(event) + "\n")
        except OSError as error:
            raise WriteError.from_os_error(self.metrics, error) from None

    def metrics_size(self) -> int:
        """Return the size of metrics.jsonl in bytes. Checkpoints store it, so that a resumed run does not log a step twice."""
        return self.metrics.stat().st_size if self.metrics.exists() else 0

    def cut_metrics(self, size: int) -> None:
        """Truncate metrics.jsonl to `size` bytes."""
        if not self.silent and self.metrics.exists() and self.metrics.stat().st_size > size:
            os.truncate(self.metrics, size)

    def events(self) -> list[dict]:
        """Return the events in metrics.jsonl.

        A last line without a newline is left out, because a crash may have cut it off, and so are damaged lines, which the report
        names.
        """
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        events = []
        for line in filter(None, lines):
            with contextlib.suppress(ValueError):
                events.append(parse_json(line))
        return [event for event in events if isinstance(event, dict)]

    def results(self) -> dict:
        """Return the content of results.json, or {} if it does not exist. Raise UserError if it is damaged."""
        path = self.path / "results.json"
        if not path.exists():
            return {}
        try:
            results, problems = check_results(path.read_text(encoding="utf-8"))
        except ValueError as error:
            problems = [str(error)]
        if problems:
            raise UserError(f"{path}: this file is damaged: {problems[0]}. Delete it, or start the run again with --overwrite.")
        return results

    def is_finished(self) -> bool:
        """Return whether the training in the directory has ended and its best checkpoint was evaluated."""
        return self.results().get("status") == "finished"

    def trained_steps(self) -> int:
        """Return the steps of the newest checkpoint, 0 if there is none, or none that can be read."""
        try:
            return int(parse_json((self / "last" / "trainer" / "state.json").read_text(encoding="utf-8"))["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def best_step(self) -> tuple[int, float] | None:
        """Return the step and the epoch of best/, or None if it does not say: version 0.1 has not noted them."""
        try:
            note = parse_json((self / "best" / "trainer" / BEST_NOTE).read_text(encoding="utf-8"))
            return int(note["step"]), float(note["epoch"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def last_logged(self) -> tuple[int, float]:
        """Return the step and the epoch of the last training line in metrics.jsonl, (0, 0.0) if there is none."""
        event: dict = next((event for event in reversed(self.events()) if event.get("event") == "train"), {})
        step, epoch = event.get("step"), event.get("epoch")
        return step if isinstance(step, int) else 0, float(epoch) if is_number(epoch) else 0.0

    def describe_unfinished(self, used: str, max_steps: int, num_train_epochs: float) -> str | None:
        """Return the line that tells the user of a run's model that the training has not finished; None if it has.

        Args:
            used: the checkpoint that is used, "best" or "last".
            max_steps, num_train_epochs: how long the training is meant to be. max_steps is used if it is positive.
        """
        live = self.is_being_trained()
        if used == "last" and not live:
            return f"{self.path}: the training was stopped before it saved best/; {self / used} is used, its latest checkpoint"
        if used == "best" and self.is_finished():  # a training that replaces or lengthens a run leaves it as it is at first
            return f"{self.path}: a training is running in this directory and may replace {self / used}" if live else None

        def where(step: int, epoch: float) -> str:
            return f"step {step:,}" if max_steps > 0 else f"epoch {epoch:.2f}"

        whole = f"{max_steps:,}" if max_steps > 0 else f"{num_train_epochs:g}"
        known = self.best_step() if used == "best" else None
        since = f", saved at {where(*known)}" if known else ""
        what = f"its best checkpoint so far{since}" if used == "best" else "its latest checkpoint: it has no best/ yet"
        running = "; a training is running in it" if live else ""
        progress = f"{where(*self.last_logged())} of {whole}"
        return f"{self.path}: this run has not finished ({progress}){running}; {self / used} is used, {what}"

    def write_config(self, text: str) -> None:
        """Write config.yaml."""
        if not self.silent:
            write_atomically(self.path / "config.yaml", text)

    def write_texts(self, files: dict[str, str]) -> None:
        """Write text files into texts/, where a task keeps a copy of its data.

        Args:
            files: file name -> content.
        """
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
        """Write predictions-<split>.jsonl, with one JSON object per line."""
        if not self.silent:
            write_json_lines(self.path / f"predictions-{split}.jsonl", rows)

    def write_losses(self, split: str, rows: list[dict[str, float]]) -> None:
        """Write losses-<split>.jsonl, with the loss of each row, unless there are none."""
        if rows and not self.silent:
            write_json_lines(self.path / f"losses-{split}.jsonl", rows)
