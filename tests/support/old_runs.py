"""The files of the small runs that earlier versions have written, in memory."""

from __future__ import annotations

import tarfile
from functools import cache

from tests.support.paths import ROOT

ARCHIVE = ROOT / "tests" / "compatibility" / "runs.tar.xz"


@cache
def read_old_run(name: str) -> dict[str, bytes]:
    """Return the files of a run, such as "classification" (stopped) or "finished": path in the run -> content."""
    with tarfile.open(ARCHIVE) as archive:
        files = [member for member in archive.getmembers() if member.isfile() and member.name.startswith(f"{name}/")]
        return {member.name.removeprefix(f"{name}/"): archive.extractfile(member).read() for member in files}
