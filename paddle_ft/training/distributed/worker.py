"""Start the processes of a training, and exit one of them.

This module imports Paddle only inside the functions that need it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from paddle_ft.config.schema import BaseConfig
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.system.world import is_main_process
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


def exit_worker(exit_code: int = 0) -> None:
    """Exit this worker. Rank 0 exits last because it hosts the TCP store that the other ranks still use.

    The interpreter's own clean-up is skipped, because gloo's threads sometimes abort in it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if is_main_process():
        time.sleep(1)
    os._exit(exit_code)
