"""--devices: starts one process a device and watches over them.

Sets the environment that python -m paddle.distributed.launch sets. A signal is passed on once to all, so that they save and
stop together; where one process dies, the others are ended within seconds, and it is said which.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from paddle_ft.system.errors import UserError
from paddle_ft.system.runtime import available_cpus, has_gpu_build

DEVICES = "PADDLE_FT_DEVICES"  # in a process's environment: the --devices it was started by
GRACE = 10  # seconds for the others to end by themselves after one has died
PORTS = range(20000, 32000)  # below those that systems hand out: nobody is given one before the processes take it
CODE = Path(__file__).resolve().parents[3]  # where paddle_ft lies: the processes must find it from any working directory


def parse_devices(text: str) -> tuple[str, list[str]]:
    """("gpu", ["0", "1"]) from "0,1"; ("cpu", ["0", "1"]) from "cpu:2". Raises UserError."""
    if match := re.fullmatch(r"cpu:(\d+)", text):
        count = int(match[1])
        if 1 <= count <= 64:
            return "cpu", [str(i) for i in range(count)]
    elif re.fullmatch(r"\d+(,\d+)*", text):
        numbers = text.split(",")
        if len(set(numbers)) == len(numbers):
            return "gpu", numbers
    raise UserError(f"--devices {text}: give GPU numbers such as 0,1,2,3, or cpu:2 for two CPU processes.")


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("", port))
            found.append(port)
        if len(found) == count:
            return found
    raise UserError(f"--devices: no {count} free ports between {PORTS.start} and {PORTS.stop} on this machine.")


def run(devices: str, command: list[str], logs: Path) -> int:
    """Runs `command` once a device and returns the exit code for all. Output of the processes after the first goes to logs/."""
    kind, numbers = parse_devices(devices)
    if kind == "gpu" and not has_gpu_build():
        raise UserError(
            f"--devices {devices}: these are GPUs, but the installed paddlepaddle is the CPU build. Install"
            f" requirements-gpu.txt (see README), or take processes of the CPU: --devices cpu:{len(numbers)}."
        )
    endpoints = [f"127.0.0.1:{port}" for port in _free_ports(len(numbers) + 1)]
    master = endpoints.pop()
    logs.mkdir(parents=True, exist_ok=True)
    cores, processes = available_cpus(), []
    for rank, number in enumerate(numbers):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PADDLE_TRAINER_ID": str(rank),
            "PADDLE_TRAINERS_NUM": str(len(numbers)),
            "PADDLE_TRAINER_ENDPOINTS": ",".join(endpoints),
            "PADDLE_CURRENT_ENDPOINT": endpoints[rank],
            "PADDLE_MASTER": master,
            DEVICES: devices,
        }
        if kind == "cpu":
            environment["PADDLE_DISTRI_BACKEND"] = "gloo"
            if environment.get("OMP_NUM_THREADS", str(cores)) == str(cores):  # not the user's own choice
                environment["OMP_NUM_THREADS"] = str(max(1, cores // len(numbers)))
        else:
            environment["FLAGS_selected_gpus"] = number
        output = None if rank == 0 else open(logs / f"rank-{rank}.log", "w")  # noqa: SIM115 lives as long as the process
        processes.append(
            subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        )  # fmt: skip
    return _watch(processes, logs)


def _watch(processes: list[subprocess.Popen], logs: Path) -> int:
    def pass_on(number, frame):
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.1)
        lost = [rank for rank, process in enumerate(processes) if (process.poll() or 0) < 0]
        _end_together(processes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if lost:
        return _tell_lost(lost[0], processes, logs)
    return max(abs(process.returncode) for process in processes)


def _end_together(processes: list[subprocess.Popen]) -> None:
    """Waits for the rest; after a failure only GRACE seconds, then ends them."""
    failed = any(process.poll() not in (None, 0) for process in processes)
    deadline = time.monotonic() + (GRACE if failed else 3600)
    while any(process.poll() is None for process in processes):
        failed = failed or any(process.poll() not in (None, 0) for process in processes)
        if failed:
            deadline = min(deadline, time.monotonic() + GRACE)
        if time.monotonic() > deadline:
            for process in processes:
                if process.poll() is None:
                    process.kill()
        time.sleep(0.1)


def _tell_lost(rank: int, processes: list[subprocess.Popen], logs: Path) -> int:
    print(
        f"error: process {rank} of {len(processes)} was ended by signal {-processes[rank].returncode}; the others were stopped."
        f" Its output: {'above' if rank == 0 else logs / f'rank-{rank}.log'}. Go on from the last checkpoint with --resume.",
        file=sys.stderr,
    )
    return 1
