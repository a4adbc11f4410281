"""Run the commands of entries on this machine, and store their figures."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docs.results.entry import Entry, Measured, store

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("paddlepaddle", "paddlenlp")


def script(entry: Entry, names: dict[str, str]) -> str:
    """Return the command of an entry for bash, with the reader's python, files and directories.

    Args:
        entry: the entry.
        names: "DATA" -> the folder of the data, and the name of each model -> its directory.
    """
    command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", entry.command, flags=re.MULTILINE)
    for file in sorted(entry.files, key=len, reverse=True):
        command = re.sub(rf"(?<![\w./]){re.escape(file)}", lambda _, file=file: f"{names['DATA']}/{file}", command)
    for name in ("DATA", *entry.models):
        if name in names:
            command = re.sub(rf"\b{name}\b", lambda _, name=name: names[name], command)
    return command


def missing(entry: Entry, names: dict[str, str]) -> list[str]:
    """Return what the command of an entry needs and is not there."""
    lacks = [f"--set {name}=PATH" for name in entry.models if name not in names]
    if (entry.files or re.search(r"\bDATA\b", entry.command)) and "DATA" not in names:
        return [*lacks, "--data FOLDER"]
    return [*lacks, *(f"{names['DATA']}/{file}" for file in entry.files if not Path(names["DATA"], file).exists())]


def machine() -> str:
    """Return the processor and the number of cores, or the GPUs."""
    try:
        listed = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
        if listed.returncode == 0 and listed.stdout.strip():
            return ", ".join(listed.stdout.split("\n")[:-1])
    except FileNotFoundError:
        pass
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return f"{found[1] if found else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def figures_of_train(entry: Entry, results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures of an entry from results.json of a training."""
    found = {}
    for figure in entry.figures:
        metrics, baseline = results["metrics"][figure.split], results["baseline"].get(figure.split, {})
        values = {"value": metrics[figure.metric], "interval": metrics.get(f"{figure.metric}_ci"),
                  "before": results["before_training"].get(figure.split, {}).get(figure.metric),
                  "baseline": baseline.get(figure.metric), "baseline_interval": baseline.get(f"{figure.metric}_ci")}  # fmt: skip
        found[figure.key] = {name: value for name, value in values.items() if value is not None}
    return found


def figures_of_repeat(entry: Entry, results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures of an entry from results.json of a repetition."""
    titles = list(results["runs"])
    found: dict[str, dict[str, Any]] = {}
    for figure in entry.figures:
        if figure.variant == "difference":
            values = results["differences"][titles[1]][figure.split][figure.metric]
            note = f"better in {values['better']} of {values['pairs']}"
            if values["error"] is not None:
                note += f", standard error {values['error']:.2g}"
            found[figure.key] = {"value": values["mean"], "note": note}
        else:
            found[figure.key] = {"value": results["runs"][titles[int(figure.variant or 0)]][figure.split][figure.metric]["mean"]}
    return found


def read_results(entry: Entry, printed: str) -> Measured:
    """Return the figures of a command that has ended: of the directory that it wrote, or the table that it printed."""
    base = {"date": str(datetime.date.today()), "machine": machine()}
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    if entry.kind in ("table", "tables"):
        tables = re.findall(r"(?:^\|.*\n)+(?:\n(?:^- .*\n)+)?", f"{printed}\n", re.MULTILINE)
        wanted = tables if entry.kind == "tables" else tables[-1:]
        return Measured(**base, versions=versions, seeds=[], table="\n\n".join(table.strip() for table in wanted))
    results = json.loads((ROOT / entry.run / "results.json").read_text(encoding="utf-8"))
    if entry.kind == "repeat":
        return Measured(**base, versions=versions, seeds=results["seeds"], figures=figures_of_repeat(entry, results))
    rows = {split: info["rows"] for split, info in results["data"].items() if isinstance(info, dict) and "rows" in info}
    return Measured(**base, versions=versions, seeds=[results["seed"]], rows=rows, figures=figures_of_train(entry, results))


def run(entry: Entry, names: dict[str, str]) -> str:
    """Run the command of an entry and store its figures. Return what became of it, in words."""
    if lacks := missing(entry, names):
        return f"not run; missing: {', '.join(lacks)}"
    wanted = subprocess.PIPE if entry.kind in ("table", "tables") else None
    completed = subprocess.run(["bash", "-e", "-c", script(entry, names)], cwd=ROOT, stdout=wanted, text=True)
    if completed.returncode:
        return f"failed with exit code {completed.returncode}; its message is above"
    return f"measured, written to {store(entry, read_results(entry, completed.stdout or ''))}"
