"""The life of a training process: its start, the message after an interruption, and how it exits.

Paddle is imported by the functions that need it and not with this module.
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
    """Start one process a device and wait for all.

    Args:
        devices: as --devices.
        command: what each process runs.

    Returns:
        The exit code for all.

    Raises:
        UserError: the run directory or a device cannot be used.
    """
    RunDirectory.open_for_training(config.output_dir, resume, overwrite).release()
    return launch.run(devices, command, Path(config.output_dir) / "logs")


def use_one_device(config: BaseConfig, kind: str, number: str) -> BaseConfig:
    """Return the configuration for a training on one device of --devices, in this process.

    Args:
        kind: "cpu" or "gpu".
        number: of the GPU. It goes into the environment, which paddle.set_device("gpu") follows.
    """
    os.environ["FLAGS_selected_gpus"] = number  # noqa: SIM112 Paddle's own spelling
    return config.model_copy(update={"device": kind})


def run_check(config: BaseConfig) -> None:
    """Run --check: load everything, evaluate two batches, train a step, print an estimate."""
    import_frameworks_quietly()
    from paddle_ft.training.run import check

    check(config)


def run_training(config: BaseConfig, resume: bool, overwrite: bool, imports: Sequence[str] = ()) -> int:
    """Train, and print the summary or how to go on after an interruption.

    Args:
        imports: the user's modules of --import, for the command that goes on.

    Returns:
        The exit code. A process started by a launcher does not return: it exits.
    """
    import_frameworks_quietly()
    from paddle_ft.training.run import train
    from paddle_ft.training.signals import Interrupted

    exit_code = 0
    try:
        run = train(config, resume, overwrite)
    except Interrupted as stop:
        if launched_processes() > 1:  # all is saved: a launcher that sends the signal again must not change the exit code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(f"\nstopped by {stop}; {_how_to_go_on(config, imports)}", file=sys.stderr)
        exit_code = stop.exit_code
    else:
        if is_main_process():
            from paddle_ft.reporting.tables import summary

            print(summary(run.path))
    if launched_processes() > 1:
        exit_worker(exit_code)
    return exit_code


def _how_to_go_on(config: BaseConfig, imports: Sequence[str]) -> str:
    """Return the command that resumes an interrupted training."""
    saved = Path(config.output_dir).expanduser() / "config.yaml"
    if not saved.exists():
        return "the training had not begun and nothing was written"
    devices = f" --devices {os.environ[launch.DEVICES]}" if launch.DEVICES in os.environ else ""
    modules = "".join(f" --import {module}" for module in imports)
    script = launch.CODE_FOLDER / "train.py"  # not in the working directory where the user's files lie in a folder of their own
    program = f"python {shlex.quote(os.path.relpath(script))}" if script.is_file() else "python -m paddle_ft train"
    return f"go on with:\n  {program} --config {shlex.quote(str(saved))} --resume{devices}{modules}"


def exit_worker(exit_code: int = 0) -> None:
    """Exit this worker. Rank 0 exits last because it hosts the TCP store that the other ranks still use.

    The interpreter's own clean-up is skipped, because gloo's threads now and then abort in it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if is_main_process():
        time.sleep(1)
    os._exit(exit_code)
