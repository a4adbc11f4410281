"""Run many cases of a target. A process of its own does it (main), so that a case that kills or blocks it is a find too.

It writes one JSON line for each block of cases and for each find to stdout, and it leaves the files of the case that runs in its
folder, where they are found if it dies.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky

from tests.fuzz.guard import WAIT, Find, run_case
from tests.fuzz.target import Files, Target, find_targets, write_files

BLOCK = 500  # hypothesis remembers what it tried: in blocks, its memory stays small, and it goes on after a find
_SHRINK_SECONDS = 20


class _FoundError(Exception):
    """Tells hypothesis that a case failed, so that it looks for a smaller one that fails in the same place."""


class _Input:
    """The files of a case. Hypothesis writes each input as text, which would take longer than the case if it were all of it."""

    def __init__(self, files: Files):
        self.files = files

    def __repr__(self) -> str:
        return "_Input(...)"


class Search:
    """Cases of a target, made by hypothesis.

    Args:
        target: what is run.
        folder: an empty folder for the cases.
        report: called with each find and its files.
    """

    def __init__(self, target: Target, folder: Path, report: Callable[[Find, Files], None]):
        self.target = target
        self.folder = folder
        self.report = report
        self.places: dict[str, int] = {}  # of all finds: how often each was seen

    def run_block(self, number: int, cases: int) -> int:
        """Run up to `cases` cases, fewer if there is a find. The number decides which. Return how many were run."""
        ran, smallest, first_seen = 0, None, 0.0

        @seed(number)
        @settings(
            max_examples=cases, deadline=None, database=None, phases=(Phase.generate, Phase.shrink), print_blob=False,
            suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet, report_multiple_bugs=False,
        )  # fmt: skip
        @given(self.target.inputs.map(_Input))
        def search(case: _Input) -> None:
            nonlocal ran, smallest, first_seen
            files = case.files
            if smallest is None:
                ran += 1
            elif time.monotonic() > first_seen + _SHRINK_SECONDS:
                return
            faulthandler.dump_traceback_later(2 * WAIT * self.target.seconds + 20, exit=True)  # code that never returns to Python
            find = run_case(self.target, files, self.folder)
            faulthandler.cancel_dump_traceback_later()
            if find is None or (smallest is not None and find.place != smallest[0].place):
                return
            if smallest is None:
                self.places[find.place] = self.places.get(find.place, 0) + 1
                if self.places[find.place] > 1:
                    return
                first_seen = time.monotonic()
                if find.kind in ("time", "memory"):  # too slow to look for a smaller one
                    self.report(find, files)
                    return
            if smallest is None or _size(files) <= _size(smallest[1]):
                smallest = find, files
            raise _FoundError

        with suppress(_FoundError, Flaky):  # flaky: shrinking was cut off, or a lazy import brought hypothesis new constants
            search()
        if smallest is not None:
            self.report(*smallest)
        return ran


def _size(files: Files) -> int:
    return sum(map(len, files.values()))


def save_case(folder: Path, find: Find, files: Files) -> None:
    """Write the files of a find into a folder, and beside them what is wrong: FOLDER.txt."""
    write_files(folder, files)
    folder.with_name(f"{folder.name}.txt").write_text(f"{find.kind}: {find.place}\n\n{find.details}\n", encoding="utf-8")


def main(name: str, first: int, cases: int, folder: str, finds: str) -> None:
    """Run cases of the target `name` from block `first` on, and write the finds into the folder `finds`."""
    sys.dont_write_bytecode = True
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(**event: Any) -> None:
        print(json.dumps(event), file=channel, flush=True)

    def report(find: Find, files: Files) -> None:
        case = Path(finds, f"{name}-{os.getpid()}-{len(search.places)}")
        save_case(case, find, files)
        tell(find=find.place, kind=find.kind, case=str(case))

    target = find_targets()[name]
    search = Search(target, Path(folder), report)
    number, left = first, cases
    while left > 0:
        block = min(BLOCK, left)
        ran = search.run_block(number, block)
        number, left = number + 1, left - max(ran, 1)
        tell(ran=ran, block=number, seen=sum(search.places.values()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
