"""Choose the files of a run that are published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_ft.runs.directory import RunDirectory

CARD = "README.md"
TEXTS = "run"  # folder of the repository for the files that quote texts of the data
UNITS = ("B", "kB", "MB", "GB")


@dataclass(frozen=True)
class PublishedFile:
    """A file to upload.

    Attributes:
        path: where it is on this machine.
        name: its name in the repository, with "/" between folders.
    """

    path: Path
    name: str

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.path.stat().st_size


def collect_files(run: RunDirectory, with_texts: bool) -> list[PublishedFile]:
    """Return the files to upload, largest first and the model card last.

    These are the files of best/ without hidden ones and without trainer/, which only a training reads. The order matters for hubs
    that take one file after the other: while the weights are on their way, which takes nearly all the time, the repository is
    still as it was before.

    Args:
        run: the run.
        with_texts: add the predictions and the report, which quote texts of the data.
    """
    best = run / "best"
    names = [path.relative_to(best) for path in best.rglob("*") if path.is_file()]
    files = [
        PublishedFile(best / name, name.as_posix())
        for name in names
        if name.parts[0] != "trainer" and not any(part.startswith(".") for part in name.parts)
    ]
    if with_texts:
        texts = [path for path in [*run.path.glob("predictions-*.jsonl"), run / "report.html"] if path.is_file()]
        files += [PublishedFile(path, f"{TEXTS}/{path.name}") for path in texts]
    return sorted(files, key=lambda file: (file.name == CARD, -file.size, file.name))


def format_size(size: int) -> str:
    """Return a number of bytes as "199 B", "52.5 kB" or "1.3 GB"."""
    value, unit = float(size), UNITS[0]
    for unit in UNITS:
        if value < 999.95 or unit == UNITS[-1]:
            break
        value /= 1000
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def list_files(files: list[PublishedFile]) -> str:
    """Return a table of files with their sizes, and the total in its last line."""
    rows = [(file.name, format_size(file.size)) for file in files]
    rows.append((f"{len(files)} files", format_size(sum(file.size for file in files))))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {size:>8}" for name, size in rows)
