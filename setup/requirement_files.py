"""Read the requirement files at the top of the repository. Standard library only: this runs before anything is installed."""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "setup"

CPU = "requirements.txt"
GPU = "requirements-gpu.txt"
BUILD = "requirements-build.txt"
DEV = "requirements-dev.txt"
ALL_FILES = (CPU, GPU, BUILD, DEV)


def requirement_lines(path: Path) -> list[str]:
    """Return the requirements of a file and of the files it includes with -r, without comments and empty lines."""
    lines = []
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if line.startswith("-r "):
            lines += requirement_lines(path.parent / line.removeprefix("-r ").strip())
        elif line:
            lines.append(line)
    return lines


def requirements_digest(root: Path = ROOT) -> str:
    """Return the SHA-256 of all requirements, as each lock file's header records it. Comments do not count."""
    text = "\n".join(f"{name}: {line}" for name in ALL_FILES for line in requirement_lines(root / name))
    return hashlib.sha256(text.encode()).hexdigest()


def recorded_digest(lock: Path) -> str | None:
    """Return the digest in a lock file's header, None if it has none."""
    match = re.search(r"^# requirements: sha256:([0-9a-f]{64})$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return match and match[1]
