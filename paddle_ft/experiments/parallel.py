"""Run several trainings at once, one on each device, each in a process of its own.

A signal is forwarded once to all of them, so that they save a checkpoint and stop, and no other is started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.formatting import counted
from paddle_ft.system.installation import PARENT
from paddle_ft.system.progress import print_info
from paddle_ft.system.runtime import available_cpus
from paddle_ft.training.distributed.launch import check_devices
from paddle_ft.training.signals import Interrupted

REPORT_SECONDS = 30  # time between two lines about what is running
WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """A training.

    Attributes:
        label: what it is called in messages.
        command: its command, without --devices.
        log: the file for its output.
    """

    label: str
    command: Sequence[str]
    log: Path

    def last_line(self) -> str:
        """Return the last line of its output that is not empty."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n") if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output yet")


def refuse_failed(failed: Sequence[Job], count: int) -> None:
    """Raise UserError if some of `count` jobs have failed (run_jobs)."""
    if failed:
        names = "\n".join(f"  {job.label}: {job.last_line()} ({job.log})" for job in failed)
        have = "has" if len(failed) == 1 else "have"
        raise UserError(f"{len(failed)} of {counted(count, 'runs')} {have} failed; the same command tries them again:\n{names}")


def run_jobs(jobs: Iterable[Job], devices: str, on_done: Callable[[], object]) -> list[Job]:
    """Run all jobs, and return those that have failed.

    Args:
        jobs: the trainings, in the order in which they are started. Each is asked for when a device is free.
        devices: GPU numbers such as 0,1, or cpu:2 for two at a time on the CPU, which share its cores.
        on_done: called after each job that has ended well.

    Raises:
        UserError: the devices are not available.
        Interrupted: a signal has stopped them.
    """
    kind, numbers = check_devices(devices)
    waiting, failed, are_all_started = iter(jobs), [], False
    running: dict[str, tuple[Job, subprocess.Popen]] = {}
    received: list[int] = []

    def forward(number, frame):
        if not received:
            print_info("stopping: the trainings save a checkpoint first")
        received.append(number)
        for _, process in running.values():
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        reported = time.monotonic()
        while running or not (are_all_started or received):
            for device in numbers:
                if device in running or are_all_started or received:
                    continue
                job = next(waiting, None)
                if job is None:
                    are_all_started = True
                    break
                print_info(f"{job.label} on {kind} {device}: output in {job.log}")
                running[device] = job, _start(job, kind, device, len(numbers))
            for device, (job, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[device]
                if process.returncode == 0:
                    print_info(f"{job.label}: finished; {len(running)} still running")
                    on_done()
                elif not received:
                    print_info(f"{job.label}: failed: {job.last_line()}")
                    failed.append(job)
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                for job, _ in running.values():
                    print_info(f"{job.label}: {job.last_line()}")
            time.sleep(WAIT_SECONDS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for _, process in running.values():
            process.kill()
    if received:
        raise Interrupted(received[0], has_directory=True)
    return failed


def _start(job: Job, kind: str, device: str, count: int) -> subprocess.Popen:
    """Start a job on a device. `count` is the number of devices, which share the cores of the CPU."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PARENT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONSAFEPATH": "1",  # -m must not import modules from the working directory
    }
    cores = available_cpus()
    if kind == "cpu" and environment.get("OMP_NUM_THREADS", str(cores)) == str(cores):  # not set by the user
        environment["OMP_NUM_THREADS"] = str(max(1, cores // count))
    job.log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [*job.command, "--devices", "cpu:1" if kind == "cpu" else device]
    with open(job.log, "w", encoding="utf-8") as output:
        return subprocess.Popen(arguments, env=environment, stdout=output, stderr=output, start_new_session=True)
