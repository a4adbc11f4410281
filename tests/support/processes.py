"""Start trainings in processes of their own, wait for a step, resume them, and read their logs."""

import json
import subprocess
import time
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.prepared import PreparedProcess, shared_preparation

TIMING_FIELDS = ("samples_per_second", "target_tokens_per_second", "memory_mb", "seconds")


def start_training(*arguments: str, cwd: Path = ROOT) -> PreparedProcess:
    """Start train.py with these arguments in any working directory."""
    return shared_preparation().start([str(ROOT / "train.py"), *arguments], cwd=cwd)


def resume_to_the_end(run: Path, resumed_step: int, num_steps: int) -> str:
    """Resume a stopped run, check that it resumes at this step, and wait for its end. Return its stderr."""
    process = start_training("--config", f"{run}/config.yaml", "--resume")
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert f"resuming at step {resumed_step} of {num_steps}" in errors
    return errors


def read_events(run: Path, kind: str | None = None) -> list[dict]:
    """Return the events of metrics.jsonl, or those of one kind."""
    lines = (run / "metrics.jsonl").read_text().split("\n")[:-1]  # the last line may be incomplete
    return [event for event in map(json.loads, lines) if kind in (None, event["event"])]


def computed_events(run: Path) -> list[dict]:
    """Return the events without times and memory, which differ from run to run."""
    return [{name: value for name, value in event.items() if name not in TIMING_FIELDS} for event in read_events(run)]


def wait_for_step(process: PreparedProcess, run: Path, step: int) -> None:
    """Wait until a training has logged this step. Fail if it ends before, or takes longer than 100 seconds."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "metrics.jsonl").exists() and any(event["step"] >= step for event in read_events(run, "train")):
            return
        time.sleep(0.02)
    process.kill()
    raise AssertionError("\n".join(filter(None, process.communicate())))


def run_until_a_checkpoint(command: list[str], run: Path) -> None:
    """Start a command that trains several runs, and kill it when this run has its first checkpoint."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not (run / "last").is_dir() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
