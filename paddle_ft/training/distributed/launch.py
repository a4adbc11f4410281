"""Implement --devices: start one process for each device, and watch the processes.

They get the environment that python -m paddle.distributed.launch sets. A signal is forwarded once to all of them, so that they save
and stop together. If one process dies, the others are ended within seconds, and a message names the one that died.
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
from paddle_ft.system.installation import PARENT, install_hint
from paddle_ft.system.runtime import available_cpus, has_gpu_build

DEVICES = "PADDLE_FT_DEVICES"  # environment variable with the value of --devices that a process was started with
GRACE_SECONDS = 10  # time for the other processes to exit after one has died
PORTS = range(20000, 32000)  # below the ports that systems assign, so that no port is taken before the processes open it


def parse_devices(text: str) -> tuple[str, list[str]]:
    """Parse --devices: return ("gpu", ["0", "1"]) for "0,1" and ("cpu", ["0", "1"]) for "cpu:2". Raise UserError otherwise."""
    if match := re.fullmatch(r"cpu:(\d+)", text):
        count = int(match[1])
        if 1 <= count <= 64:
            return "cpu", [str(i) for i in range(count)]
    elif re.fullmatch(r"\d+(,\d+)*", text):
        numbers = text.split(",")
        if len(set(numbers)) == len(numbers):
            return "gpu", numbers
    raise UserError(f"--devices {text}: give GPU numbers such as 0,1,2,3, or cpu:2 for two CPU processes.")


def check_devices(devices: str) -> tuple[str, list[str]]:
    """Return what parse_devices does. Raise UserError also for GPUs that the installed Paddle cannot use."""
    device_type, numbers = parse_devices(devices)
    if device_type == "gpu" and not has_gpu_build():
        raise UserError(
            f"--devices {devices}: these are GPUs, but the installed paddlepaddle is the CPU build. Use CPU"
            f" processes (--devices cpu:{len(numbers)}), or for the GPU build: {install_hint('paddle', 'gpu')}"
        )
    return device_type, numbers


def _free_ports(count: int) -> list[int]:
    """Return `count` unused ports. Raise UserError if there are not enough."""
    ports: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise UserError(f"--devices: no {count} free ports between {PORTS.start} and {PORTS.stop} on this machine.")


def launch_processes(devices: str, command: list[str], logs: Path) -> int:
    """Run a command once for each device, and wait for the end.

    Args:
        devices: the value of --devices.
        command: the command of each process.
        logs: folder for the output of all ranks except rank 0, whose output goes to the terminal.

    Returns:
        The exit code of the training.

    Raises:
        UserError: the devices are not available.
    """
    device_type, numbers = check_devices(devices)
    endpoints = [f"127.0.0.1:{port}" for port in _free_ports(len(numbers) + 1)]
    master = endpoints.pop()
    logs.mkdir(parents=True, exist_ok=True)
    cores, processes = available_cpus(), []
    for rank, number in enumerate(numbers):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PARENT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONSAFEPATH": "1",  # -m must not import modules from the working directory
            "PADDLE_TRAINER_ID": str(rank),
            "PADDLE_TRAINERS_NUM": str(len(numbers)),
            "PADDLE_TRAINER_ENDPOINTS": ",".join(endpoints),
            "PADDLE_CURRENT_ENDPOINT": endpoints[rank],
            "PADDLE_MASTER": master,
            DEVICES: devices,
        }
        if device_type == "cpu":
            environment["PADDLE_DISTRI_BACKEND"] = "gloo"
            if environment.get("OMP_NUM_THREADS", str(cores)) == str(cores):  # not set by the user
                environment["OMP_NUM_THREADS"] = str(max(1, cores // len(numbers)))
        else:
            environment["FLAGS_selected_gpus"] = number
        output = None if rank == 0 else open(logs / f"rank-{rank}.log", "w")  # noqa: SIM115 open as long as the process
        processes.append(
            subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        )  # fmt: skip
    return _watch(processes, logs)


def _watch(processes: list[subprocess.Popen], logs: Path) -> int:
    """Forward signals, wait for all processes, and return the exit code of the training."""

    def forward_signal(number, frame):
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, forward_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.1)
        killed = [rank for rank, process in enumerate(processes) if (process.poll() or 0) < 0]
        _wait_for_rest(processes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if killed:
        return _report_killed(killed[0], processes, logs)
    return max(abs(process.returncode) for process in processes)


def _wait_for_rest(processes: list[subprocess.Popen]) -> None:
    """Wait for the remaining processes. After a failure kill them when GRACE_SECONDS have passed."""
    failed = any(process.poll() not in (None, 0) for process in processes)
    deadline = time.monotonic() + (GRACE_SECONDS if failed else 3600)
    while any(process.poll() is None for process in processes):
        failed = failed or any(process.poll() not in (None, 0) for process in processes)
        if failed:
            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        if time.monotonic() > deadline:
            for process in processes:
                if process.poll() is None:
                    process.kill()
        time.sleep(0.1)


def _report_killed(rank: int, processes: list[subprocess.Popen], logs: Path) -> int:
    """Print which process was killed by a signal, and return the exit code."""
    print(
        f"error: process {rank} of {len(processes)} was ended by signal {-processes[rank].returncode}; the others were stopped."
        f" Its output: {'above' if rank == 0 else logs / f'rank-{rank}.log'}. Resume from the last checkpoint with --resume.",
        file=sys.stderr,
    )
    return 1
