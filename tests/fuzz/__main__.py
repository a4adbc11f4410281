"""Fuzz the targets, or those that are named, and print a table of what was found.

    python -m tests.fuzz --cases 100000 --target config_file

A target runs in a process of its own. If it dies, that is a find, and the next process goes on behind the case that killed it. A
find is a folder in --finds with the files of the case, and a text beside it that says what is wrong. `--again FOLDER` repeats it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from paddle_ft.system.progress import Progress
from tests.fuzz.guard import Find, run_case
from tests.fuzz.search import save_case
from tests.fuzz.target import Target, find_targets, read_files
from tests.support.paths import ROOT


@dataclass
class Outcome:
    """What the cases of a target came to. finds: place -> the folder of the case."""

    cases: int = 0
    seconds: float = 0.0
    finds: dict[str, str] = field(default_factory=dict)


def main() -> int:
    arguments = _parse()
    targets = find_targets()
    if unknown := set(arguments.target) - set(targets):
        print(f"error: --target {' '.join(sorted(unknown))}: there are {', '.join(sorted(targets))}", file=sys.stderr)
        return 2
    if arguments.again is not None:
        return _run_again(targets[arguments.target[0]], arguments.again)
    arguments.finds.mkdir(parents=True, exist_ok=True)
    outcomes = {}
    for name in arguments.target or sorted(targets):
        outcomes[name] = fuzz(targets[name], max(1, round(arguments.cases * targets[name].share)), arguments.seed, arguments.finds)
    print(make_table(outcomes))
    return 1 if any(outcome.finds for outcome in outcomes.values()) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what reads input.")
    parser.add_argument("--cases", type=int, default=100_000, help="how many cases a target (default 100000)")
    parser.add_argument("--target", nargs="*", default=[], metavar="NAME", help="which targets (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="another number gives other cases (default 0)")
    parser.add_argument("--finds", type=Path, default=ROOT / "runs" / "fuzz", help="where finds are written (default runs/fuzz)")
    parser.add_argument("--again", type=Path, metavar="FOLDER", help="run the case in this folder with the one --target")
    arguments = parser.parse_args()
    if arguments.again is not None and len(arguments.target) != 1:
        parser.error("--again needs one --target")
    return arguments


def fuzz(target: Target, cases: int, seed: int, finds: Path) -> Outcome:
    """Run cases of a target in processes, and show the progress. Blocks of cases are numbered from `seed` times a million on."""
    outcome, block, begin = Outcome(), seed * 1_000_000, time.monotonic()
    with Progress(cases, target.name, "case") as progress:
        while outcome.cases < cases:
            ran, block = _run_process(target, block, cases - outcome.cases, finds, outcome, progress)
            if not ran:
                break
    outcome.seconds = time.monotonic() - begin
    return outcome


def _run_process(target: Target, block: int, cases: int, finds: Path, outcome: Outcome, progress: Progress) -> tuple[int, int]:
    """Run cases until they are done or the process dies. Return how many it ran, and the next block."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, tempfile.TemporaryFile("w+") as errors:  # a pipe could fill up
        command = [sys.executable, "-m", "tests.fuzz.search", target.name, str(block), str(cases), folder, str(finds)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        ran = 0
        assert process.stdout is not None
        for event in map(json.loads, process.stdout):
            if "find" in event:
                outcome.finds.setdefault(event["find"], event["case"])
            else:
                ran, block = ran + event["ran"], event["block"]
                outcome.cases += event["ran"]
                progress.update(event["ran"])
            progress.note(finds=len(outcome.finds))
        if process.wait() == 0:
            return ran, block
        errors.seek(0)
        output = errors.read()[-4000:]
        print(output, file=sys.stderr)
        case = finds / f"{target.name}-{process.pid}-died"
        files = read_files(Path(folder, "case")) if Path(folder, "case").is_dir() else {}
        save_case(case, Find("death", f"exit code {process.returncode}", output), files)
        outcome.finds[f"exit code {process.returncode} in block {block}"] = str(case)
        outcome.cases += 1
        return ran + bool(files), block + 1


def _run_again(target: Target, folder: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        find = run_case(target, read_files(folder), Path(work))
    print("no find" if find is None else f"{find.kind}: {find.place}\n{find.details}")
    return 0 if find is None else 1


def make_table(outcomes: dict[str, Outcome]) -> str:
    """Return the table of the targets, and below it the finds."""
    rows = [("target", "cases", "finds", "cases/s")]
    for name, outcome in outcomes.items():
        rows.append((name, f"{outcome.cases:,}", str(len(outcome.finds)), f"{outcome.cases / max(outcome.seconds, 1e-9):.0f}"))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| --- | ---: | ---: | ---: |")
    found = [f"{name}: {place}\n  {case}" for name, outcome in outcomes.items() for place, case in outcome.finds.items()]
    return "\n".join([*lines, *found])


if __name__ == "__main__":
    sys.exit(main())
