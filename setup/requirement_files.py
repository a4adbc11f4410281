"""Read the requirement files at the top of the repository. This runs before anything is installed."""

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
    """Return the requirements in a file and in the files that it includes with -r, without comments and empty lines."""
    lines = []
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if line.startswith("-r "):
            lines += requirement_lines(path.parent / line.removeprefix("-r ").strip())
        elif line:
            lines.append(line)
    return lines


def requirements_digest(root: Path = ROOT) -> str:
    """Return the SHA-256 of all requirements without comments. The header of each lock file records it."""
    text = "\n".join(f"{name}: {line}" for name in ALL_FILES for line in requirement_lines(root / name))
    return hashlib.sha256(text.encode()).hexdigest()


def recorded_digest(lock: Path) -> str | None:
    """Return the digest in the header of a lock file, or None if it has none."""
    match = re.search(r"^# requirements: sha256:([0-9a-f]{64})$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return match and match[1]
