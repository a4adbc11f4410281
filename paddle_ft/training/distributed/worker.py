"""Start and end a training process, and print the message after an interruption.

This module imports Paddle only inside the functions that need it.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from paddle_ft.config.schema import BaseConfig
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.runtime import import_frameworks_quietly
from paddle_ft.system.world import is_main_process, launched_processes
from paddle_ft.training.distributed import launch


def start_workers(config: BaseConfig, devices: str, command: list[str], resume: bool, overwrite: bool) -> int:
    """Start one process for each device, and wait for all of them.

    Args:
        config: the configuration.
        devices: the value of --devices.
        command: the command that each process runs.
        resume: whether the run in output_dir is continued.
        overwrite: whether the run in output_dir may be replaced.

    Returns:
        The exit code of the training.

    Raises:
        UserError: the run directory or a device cannot be used.
    """
    RunDirectory.open_for_training(config.output_dir, resume, overwrite).release()
    return launch.launch_processes(devices, command, Path(config.output_dir) / "logs")


def use_one_device(config: BaseConfig, kind: str, number: str) -> BaseConfig:
    """Return the configuration for a training in this process, on the one device of --devices.

    Args:
        config: the configuration.
        kind: "cpu" or "gpu".
        number: number of the GPU. It is put into the environment, where paddle.set_device("gpu") reads it.
    """
    os.environ["FLAGS_selected_gpus"] = number  # noqa: SIM112 Paddle's own spelling
    return config.model_copy(update={"device": kind})


def run_check(config: BaseConfig) -> None:
    """Run --check: load everything, try two batches and two steps, and print an estimate of the cost."""
    import_frameworks_quietly()
    from paddle_ft.training.run import check

    check(config)


def run_training(config: BaseConfig, resume: bool, overwrite: bool, imports: Sequence[str] = ()) -> int:
    """Train, and print the summary, or after an interruption the command that resumes the training.

    Args:
        config: the configuration.
        resume: whether to continue the run in output_dir.
        overwrite: whether to replace the run in output_dir.
        imports: the user's modules of --import, for the command that resumes.

    Returns:
        The exit code. A process that a launcher started exits instead of returning.
    """
    import_frameworks_quietly()
    from paddle_ft.training.run import train
    from paddle_ft.training.signals import Interrupted

    exit_code = 0
    try:
        run = train(config, resume, overwrite)
    except Interrupted as interruption:
        if launched_processes() > 1:  # everything is saved; a repeated signal must not change the exit code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(f"\nstopped by {interruption}; {_resume_hint(config, imports)}", file=sys.stderr)
        exit_code = interruption.exit_code
    else:
        if is_main_process():
            from paddle_ft.reporting.tables import summary

            print(summary(run.path))
    if launched_processes() > 1:
        exit_worker(exit_code)
    return exit_code


def _resume_hint(config: BaseConfig, imports: Sequence[str]) -> str:
    """Return the part of a message that says how to resume an interrupted training."""
    config_file = Path(config.output_dir).expanduser() / "config.yaml"
    if not config_file.exists():
        return "the training had not started and nothing was written"
    devices = f" --devices {os.environ[launch.DEVICES]}" if launch.DEVICES in os.environ else ""
    modules = "".join(f" --import {module}" for module in imports)
    return f"resume with:\n  python train.py --config {shlex.quote(str(config_file))} --resume{devices}{modules}"


def exit_worker(exit_code: int = 0) -> None:
    """Exit this worker. Rank 0 exits last because it hosts the TCP store that the other ranks still use.

    The interpreter's own clean-up is skipped, because gloo's threads sometimes abort in it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if is_main_process():
        time.sleep(1)
    os._exit(exit_code)
