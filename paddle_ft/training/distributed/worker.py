"""How a training process starts and how it exits.

Paddle is imported by the functions that need it and not with this module.
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


def exit_worker(exit_code: int = 0) -> None:
    """Exit this worker. Rank 0 exits last because it hosts the TCP store that the other ranks still use.

    The interpreter's own clean-up is skipped, because gloo's threads now and then abort in it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if is_main_process():
        time.sleep(1)
    os._exit(exit_code)
