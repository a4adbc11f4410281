"""Choose the files of a run that are published: those that the training has written into best/, and the model card.

Whatever else lies in best/ is somebody's own and stays here, unless it is named. Nothing is read through a link that leads out of
the folder, because it could lead to any file of this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import checksummed_files
from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import counted, format_size

CARD = "README.md"
TEXTS = "run"  # folder of the repository for the files that quote texts of the data


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


def collect_files(run: RunDirectory, with_texts: bool, added: Sequence[str] = ()) -> list[PublishedFile]:
    """Return the files to upload, largest first and the model card last.

    These are the files of best/ that the training has written, without trainer/, which only a training reads. The order matters for
    hubs that take one file after the other: while the weights are on their way, which takes nearly all the time, the repository is
    still as it was before.

    Args:
        run: the run.
        with_texts: add the predictions and the report, which quote texts of the data.
        added: names of other files in best/ that the user wants to upload.

    Raises:
        UserError: a file is a link out of its folder, or an added file cannot be uploaded.
    """
    best = run / "best"
    written = [name for name in checksummed_files(best) if not _is_for_training(name)]
    names = dict.fromkeys([*written, *(_check_added(best, name) for name in added)])
    if (best / CARD).exists():
        names[CARD] = None
    files = [PublishedFile(_inside(best, name), name) for name in names]
    if with_texts:
        texts = [path.name for path in [*run.path.glob("predictions-*.jsonl"), run / "report.html"] if path.is_file()]
        files += [PublishedFile(_inside(run.path, name), f"{TEXTS}/{name}") for name in texts]
    return sorted(files, key=lambda file: (file.name == CARD, -file.size, file.name))


def find_left_out(run: RunDirectory, files: Sequence[PublishedFile]) -> list[str]:
    """Return the names of the files and links in best/ that are not uploaded, without trainer/."""
    best, chosen = run / "best", {file.name for file in files}
    names = [path.relative_to(best).as_posix() for path in best.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(name for name in names if name not in chosen and not _is_for_training(name))


def _is_for_training(name: str) -> bool:
    return Path(name).parts[0] == "trainer"


def _check_added(best: Path, name: str) -> str:
    """Return the name of a file that the user adds, relative to best/. Raise UserError if it is no file there."""
    path = best / name
    relative = path.relative_to(best).as_posix() if path.is_relative_to(best) else name
    if path.is_dir():
        raise UserError(f"--add {name}: this is a folder; name the files in it, each with a flag of its own.")
    if not path.is_file() or ".." in path.parts or Path(name).is_absolute():
        raise UserError(f"--add {name}: there is no such file in {best}. Copy it there, and name it as it is called there.")
    if _is_for_training(relative):
        raise UserError(f"--add {name}: trainer/ is what only a training needs. It is not published.")
    return relative


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder. Raise UserError if links, or the name itself, lead out of the folder."""
    path = folder / name
    if ".." in Path(name).parts or not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"{path}: this leads out of the folder, to {path.resolve()}. Nothing was uploaded. If that file is meant, put a copy of"
            " it in the place of the link."
        )
    return path


def list_files(files: list[PublishedFile]) -> str:
    """Return a table of files with their sizes, and the total in its last line."""
    rows = [(file.name, format_size(file.size)) for file in files]
    rows.append((counted(len(files), "files"), format_size(sum(file.size for file in files))))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {size:>8}" for name, size in rows)
